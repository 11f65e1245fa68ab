"""A slot that a reader must not follow on its own: it stands still until a person decides, and says what going on means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import clock, lanes, position
from servicekit.broker import Broker, created_of, is_heartbeat
from servicekit.database import Database, Tx
from servicekit.domain import DomainError, Kind
from servicekit.position import Position, Said

log = structlog.get_logger()
PRODUCER_WENT_BACK, FACTS_LOST = "PRODUCER_WENT_BACK", "FACTS_LOST"
LOOK_SECONDS = 1.0


class SlotStopMissing(DomainError):
    """The reader follows that slot; there is nothing to resume."""

    reason, kind = "SLOT_STOP_MISSING", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Stop:
    consumer: str
    slot: str
    reason: str
    text: str
    since_time: int  # microseconds
    is_accepted: bool


COLUMNS = "consumer, slot, reason, text, since_time, is_accepted"


def listed(tx: Tx, after: Sequence[Any] = (0, "", ""), most: int = 100) -> list[Stop]:
    """Stops behind this (since, consumer, slot), oldest first."""
    rows = tx.rows(
        f"SELECT {COLUMNS} FROM slot_stop WHERE (since_time, consumer, slot) > (?, ?, ?) "
        "ORDER BY since_time, consumer, slot LIMIT ?",
        (*after, most),
    )
    return [_stop(row) for row in rows]


def _one(tx: Tx, consumer: str, slot: str) -> Stop | None:
    rows = tx.rows(f"SELECT {COLUMNS} FROM slot_stop WHERE consumer = ? AND slot = ?", (consumer, slot))
    return _stop(rows[0]) if rows else None


def _stop(row: Any) -> Stop:
    return Stop(row.consumer, row.slot, row.reason, row.text, row.since_time, bool(row.is_accepted))


def accept(tx: Tx, consumer: str, slot: str) -> tuple[Stop, bool]:
    """Say go on. The stop, and whether that was said before. SLOT_STOP_MISSING."""
    found = _one(tx, consumer, slot)
    if found is None:
        raise SlotStopMissing(consumer=consumer, slot=slot)
    tx.run("UPDATE slot_stop SET is_accepted = TRUE WHERE consumer = ? AND slot = ?", (consumer, slot))
    return replace(found, is_accepted=True), found.is_accepted


class Standstill:
    """Stops of one consumer: on record before anything else, and ended by a person only."""

    def __init__(self, database: Database, broker: Broker, consumer: str) -> None:
        self._database, self._broker, self._consumer = database, broker, consumer

    async def stand(
        self, slot: str, at: Position, said: Said, reason: str, also: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Stand still until a person accepts, do what is also needed then, and put the position where reading may go on."""
        text = _words(at, said, reason)
        log.error("reader stands still", consumer=self._consumer, slot=slot, reason=reason, text=text)
        await self._database.write(lambda tx: self._record(tx, slot, reason, text))
        while not await self._database.read(lambda tx: self._is_accepted(tx, slot)):  # noqa: ASYNC110 - it is said in the database
            await asyncio.sleep(LOOK_SECONDS)
        if also is not None:
            await also()
        beat = await self._broker.last_heartbeat(slot)
        said = Said.of(beat) if beat is not None else said
        known: list[str] = []
        if reason == PRODUCER_WENT_BACK:
            known = await self._taken_beyond(slot, at, said.limit(at.producer_epoch))
            on = Position(slot, producer_epoch=said.epoch, producer_sequence=said.limit(at.producer_epoch))
        else:
            on = replace(at, producer_sequence=(said.lowest_retained or said.last_stored + 1) - 1)
        await self._database.write(lambda tx: self._go_on(tx, on, known))
        log.warning(
            "reader goes on", consumer=self._consumer, slot=slot, sequence=on.producer_sequence, recognised=len(known)
        )

    def _record(self, tx: Tx, slot: str, reason: str, text: str) -> None:
        tx.run(
            f"INSERT INTO slot_stop ({COLUMNS}) VALUES (?,?,?,?,?,FALSE) ON CONFLICT (consumer, slot) DO UPDATE SET "
            "reason = excluded.reason, text = excluded.text",
            (self._consumer, slot, reason, text, clock.micros(clock.now())),
        )

    def _is_accepted(self, tx: Tx, slot: str) -> bool:
        found = _one(tx, self._consumer, slot)
        return found is not None and found.is_accepted

    def _go_on(self, tx: Tx, on: Position, known: Sequence[str]) -> None:
        lanes.taken_before(tx, self._consumer, known)
        position.save(tx, self._consumer, [on])
        tx.run("DELETE FROM slot_stop WHERE consumer = ? AND slot = ?", (self._consumer, on.slot))

    async def _taken_beyond(self, slot: str, at: Position, limit: int) -> list[str]:
        """Ids of the facts behind `limit` that we took: made again by their producer they have the same ids.

        Read backwards from our position; what the stream does not hold any more can't be recognised.
        """
        info = await self._broker.stream(slot)
        last = at.stream_sequence if created_of(info) == at.stream_created else info.state.last_seq
        found: dict[int, str] = {}
        for sequence in range(last, max(0, info.state.first_seq - 1), -1):
            message = await self._broker.message(slot, sequence)
            if message is None or message.data is None or is_heartbeat(message.subject or ""):
                continue
            envelope = Envelope.FromString(message.data)
            if envelope.producer_epoch > at.producer_epoch or envelope.producer_sequence > at.producer_sequence:
                continue
            if envelope.producer_sequence <= limit:
                break
            found[envelope.producer_sequence] = envelope.event_id
        return list(found.values())


def _words(at: Position, said: Said, reason: str) -> str:
    if reason == PRODUCER_WENT_BACK:
        limit = said.limit(at.producer_epoch)
        return (
            f"The producer's database was put back to an older copy: it knows its facts up to {limit}, we took effect of "
            f"{at.producer_sequence - limit} more. Put the newer copy in its place, or resume: what it says again of them "
            "is passed over, what it does not say again stays booked here and must be compared."
        )
    return (
        f"Facts from {at.producer_sequence + 1} on are missing in the stream and their producer can repeat only from "
        f"{said.lowest_retained or said.last_stored + 1}. Resume to go on there without them; their producer then says "
        "its nouns again as they stand."
    )
