"""Says nouns again as they stand, for a reader that was added when the facts that made them are no longer kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from nats.aio.msg import Msg

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.events.v1.heartbeat_pb2 import Restate
from servicekit import clock, outbox
from servicekit.broker import FAULTS, Broker
from servicekit.database import Again, Database, Tx
from servicekit.domain import DomainError
from servicekit.door import run_again
from servicekit.facts import parts_of, timestamp, wrap
from servicekit.outbox import Stored, Told
from servicekit.owners import FREE, Fence
from servicekit.rows import Rows
from servicekit.use_case import Fact

log = structlog.get_logger()
PAGE = 100
PAUSE_SECONDS = 0.2  # between two pages: 500 nouns a second, so that business facts of the slot are not held up
LOOK_SECONDS = 1.0
FAULT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Restates:
    """One kind of noun and the fact that says it whole. Its table has a plant_id; `say` may read what belongs to the noun."""

    rows: Rows[Any]
    say: Callable[[Tx, Any, datetime], Fact]
    where: str = ""  # which of them a newcomer needs; empty: all


class Restater:
    """Hears requests for the slots of a place, and says page by page, in order of kinds and keys, in the slot's own stream."""

    def __init__(
        self, database: Database, broker: Broker, kinds: Sequence[Restates], told: Told, fence: Fence = FREE
    ) -> None:
        self._database, self._broker, self._kinds, self._told = database, broker, kinds, told
        self._fence = fence

    async def serve(self, slots: Sequence[str]) -> None:
        """Run until cancelled."""
        while True:
            try:
                async with AsyncExitStack() as ears:
                    client = await self._broker.client()
                    for slot in slots:
                        ear = await client.subscribe(f"isthmus.restate.{slot}", cb=self._asked)
                        ears.push_async_callback(ear.unsubscribe)
                    while self._broker.is_connected:
                        said = await run_again(self._database, lambda tx: self._page(tx, slots))
                        self._told(said)
                        await asyncio.sleep(PAUSE_SECONDS if said else LOOK_SECONDS)
            except (*FAULTS, Again, DomainError) as fault:
                log.warning("restating pauses", fault=str(fault) or type(fault).__name__)
            await asyncio.sleep(FAULT_SECONDS)

    async def _asked(self, message: Msg) -> None:
        request = Restate.FromString(message.data)
        log.info("restate asked", slot=request.producer_slot, consumer=request.consumer)
        await self._database.write(
            lambda tx: tx.run(
                "INSERT INTO restate (slot, consumer, step, last_key, is_done) VALUES (?, ?, 0, '', FALSE) "
                "ON CONFLICT (slot, consumer) DO UPDATE SET step = 0, last_key = '', is_done = FALSE WHERE restate.is_done",
                (request.producer_slot, request.consumer),
            )
        )
        await message.respond(message.data)

    def _page(self, tx: Tx, slots: Sequence[str]) -> list[Stored]:
        """The next nouns of the first request that is open, if there is one."""
        self._fence.check(tx)
        open_ones = tx.rows(
            "SELECT slot, consumer, step, last_key FROM restate WHERE NOT is_done ORDER BY slot, consumer"
        )
        for slot, consumer, step, last_key in open_ones:
            if slot not in slots:
                continue
            if step >= len(self._kinds):
                tx.run("UPDATE restate SET is_done = TRUE WHERE slot = ? AND consumer = ?", (slot, consumer))
                log.info("restated", slot=slot, consumer=consumer)
                continue
            kind = self._kinds[step]
            nouns = _after(tx, kind, parts_of(slot)[1], json.loads(last_key) if last_key else None)
            is_last = len(nouns) < PAGE
            at = (step + 1, "") if is_last else (step, json.dumps(list(kind.rows.key_of(nouns[-1]))))
            tx.run("UPDATE restate SET step = ?, last_key = ? WHERE slot = ? AND consumer = ?", (*at, slot, consumer))
            now = clock.now()
            return outbox.append(tx, [_envelope(kind.say(tx, noun, now), slot, consumer, now) for noun in nouns], now)
        return []


def _after(tx: Tx, kind: Restates, plant_id: str, last: list[Any] | None) -> list[Any]:
    keys = ", ".join(kind.rows.key_columns)
    where = "plant_id = ?" + (f" AND ({kind.where})" if kind.where else "")
    if last is not None:
        where += f" AND ({keys}) > ({', '.join('?' for _ in last)})"
    return kind.rows.select(tx, f"{where} ORDER BY {keys} LIMIT {PAGE}", (plant_id, *(last or [])))


def _envelope(fact: Fact, slot: str, consumer: str, now: datetime) -> Envelope:
    cause = f"restate:{consumer}:{fact.subject_id}"
    envelope = wrap(fact, slot, cause, 0, timestamp(now), traceparent=fact.traceparent, correlation_id="")
    envelope.restated_for = consumer
    return envelope
