"""Says how much of each item a plant can use, after goods have moved: what stands is compared with what was said last.

Nothing of it is done when goods are booked. Whatever moves, holds or allocates goods says a fact, so a plant whose slot
stands still has nothing new; and what was not said yet when the process died is found by the next look.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from servicekit import outbox
from servicekit.database import Again, Tx
from servicekit.domain import DomainError
from servicekit.run import Kit
from services.inventory import queries, stock_use_cases, stock_wire
from services.inventory.domain.availability import Availability

log = structlog.get_logger()
LOOK_SECONDS = 2.0
AT_ONCE = 100  # items a transaction
Look = tuple[int, list[Availability]]


async def serve(kit: Kit) -> None:
    """Run until cancelled."""
    seen: dict[str, int] = {}
    while True:
        for plant_id in kit.settings.plants:
            try:
                seen[plant_id] = await _look(kit, plant_id, seen.get(plant_id, -1))
            except (DomainError, Again) as fault:
                log.warning("telling availability pauses", plant_id=plant_id, fault=str(fault))
        await asyncio.sleep(LOOK_SECONDS)


async def _look(kit: Kit, plant_id: str, before: int) -> int:
    """Say what differs. The number of the plant's last fact as it was looked at."""
    number, differing = await kit.database.read(partial(_read, plant_id=plant_id, before=before))
    for at in range(0, len(differing), AT_ONCE):
        told = stock_wire.TellAvailability(plant_id, tuple(differing[at : at + AT_ONCE]))
        await kit.door.run(stock_use_cases.tell_availability, told)
    return number


def _read(tx: Tx, plant_id: str, before: int) -> Look:
    number = outbox.producer(tx, f"inventory-{plant_id}").last
    return number, queries.differing_availabilities(tx, plant_id) if number != before else []
