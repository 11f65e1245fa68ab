"""Looks at the clocks of all interfaces once in a few seconds, and says breaches and recoveries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from servicekit import clock
from servicekit.database import Again, Database
from servicekit.domain import DomainError
from servicekit.door import Door
from services.operations import sla_queries, use_cases
from services.operations.domain.sla import Change, Standing, Waiting, judge
from services.operations.interfaces import Interface, Interfaces
from services.operations.sla_queries import At
from services.operations.sla_wire import ChangeStanding

log = structlog.get_logger()
LOOK_SECONDS = 2.0


class SlaWatch:
    """Remembers since when it sees each interface beyond its limit; what was said stands in the database."""

    def __init__(self, database: Database, door: Door, interfaces: Interfaces, plants: Sequence[str]) -> None:
        self._database, self._door = database, door
        self._interfaces, self._plants = interfaces, plants
        self._seen_since: dict[At, datetime | None] = {}

    async def serve(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.look()
            except (DomainError, Again) as fault:
                log.warning("the watch of interfaces pauses", fault=str(fault))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """One look at every interface of every plant."""
        open_work, said = await self._database.read(lambda tx: (sla_queries.waiting(tx), sla_queries.standings(tx)))
        for plant_id in self._plants:
            for one in self._interfaces.all:
                at = one.interface_id, plant_id
                await self._judge(one, open_work.get(at) or Waiting(*at), said.get(at) or Standing(*at))

    async def _judge(self, one: Interface, waiting: Waiting, standing: Standing) -> None:
        at, now = (waiting.interface_id, waiting.plant_id), clock.now()
        verdict = judge(one.sla, waiting, standing, self._seen_since.get(at), now)
        self._seen_since[at] = verdict.seen_since
        words = {"interface_id": at[0], "plant_id": at[1], "open_count": waiting.open_count}
        if verdict.change is Change.BREACHED:
            since = waiting.beyond_since(one.sla.limit, now) or now
            await self._door.run(use_cases.breach_sla, ChangeStanding(waiting, since))
            log.error("sla breached", owner=one.owner, oldest_work_order_id=waiting.oldest_work_order_id, **words)
        elif verdict.change is Change.RECOVERED:
            await self._door.run(use_cases.recover_sla, ChangeStanding(waiting, now))
            log.info("sla recovered", owner=one.owner, **words)
