"""The relay: tells what the outbox holds, in order, fenced, and again when the stream lost it. The only way out of a service.

Lost answer, lost tail, lost stream and a second relay are one case: read the stream's last message and go on behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

import structlog
from nats.aio.msg import Msg

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.events.v1.heartbeat_pb2 import EpochStart, Heartbeat, RepeatRequest
from servicekit import clock, outbox
from servicekit.broker import FAULTS, Broker, StreamDiffers, ack_error, is_heartbeat, read_heartbeat, subjects_of
from servicekit.database import Again, Database
from servicekit.domain import DomainError
from servicekit.marks import Marks
from servicekit.outbox import Stored
from servicekit.settings import CATCH_UP_RATE

log = structlog.get_logger()
BATCH_MOST = 256
ATOMIC_FROM = (
    16  # facts that go as one atomic batch: fewer are sooner there one behind the other, at either sync of the broker
)
FRESH_MOST = 2048  # committed facts of one slot that are kept in memory for the relay
CATCH_UP_SECONDS = 0.1  # of its rate at a time: a backlog comes evenly, not in a burst a second
HEARTBEAT_SECONDS = 15.0
POLL_SECONDS, POLL_ALONE_SECONDS = 0.1, 1.0  # the second where no other process writes, which can't wake us
PAUSE_LONGEST = 5.0
WRONG_LAST_SEQUENCE = 10071


class Fenced(Exception):
    """The stream went on without us: read its last message again."""


class Told(NamedTuple):
    """What a stream ends with."""

    epoch: int
    sequence: int
    event_id: str


NOTHING_TOLD = Told(0, 0, "")


class Fresh:
    """Facts of one slot just committed, so that they need not be read again. Bounded: what is lost here stands in the table."""

    def __init__(self) -> None:
        self._facts: deque[Stored] = deque()

    def put(self, facts: Sequence[Stored]) -> None:
        """Facts that one commit numbered, one behind the other."""
        is_next = not self._facts or facts[0].sequence == self._facts[-1].sequence + 1
        if not is_next or len(self._facts) >= FRESH_MOST:
            self._facts.clear()
        self._facts.extend(facts)

    def after(self, sequence: int, epoch: int) -> list[Stored] | None:
        """The facts behind this one; None if there are some but the next is not here: it stands in the table only.

        Those numbered anew since, with another epoch, are forgotten.
        """
        while self._facts and (self._facts[0].sequence <= sequence or self._facts[0].epoch != epoch):
            self._facts.popleft()
        if self._facts and self._facts[0].sequence != sequence + 1:
            return None
        return list(islice(self._facts, BATCH_MOST))


class Pace:
    """Bounds how fast a slot's backlog is told, so that those who share line, broker and readers with it don't notice."""

    def __init__(self, rate: int) -> None:
        self._rate, self._free = rate, 0.0
        self.most = max(1, min(BATCH_MOST, int(rate * CATCH_UP_SECONDS)))  # facts at a time

    def left(self) -> float:
        """Seconds until the next facts may be told."""
        return max(0.0, self._free - clock.monotonic())

    def took(self, count: int) -> None:
        """So many are told now. Time that was lost before is not made good by haste."""
        self._free = clock.monotonic() + count / self._rate


class Relay:
    """Relays of a service's slots, one task each."""

    def __init__(self, database: Database, broker: Broker, catch_up_rate: int = CATCH_UP_RATE) -> None:
        """`catch_up_rate`: facts a second of a slot that are told out of the table, after the stream was away."""
        self._database, self._broker, self._catch_up_rate = database, broker, catch_up_rate
        self._fresh: dict[str, Fresh] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._repeat_from: dict[str, int] = {}
        self._poll_seconds = POLL_ALONE_SECONDS if database.is_sqlite else POLL_SECONDS

    def told(self, facts: Sequence[Stored]) -> None:
        """These facts were committed just now. Those of slots that another process tells are found there, in the table."""
        for slot, said in groupby(facts, attrgetter("slot")):
            if slot in self._fresh:
                self._fresh[slot].put(list(said))
                self._wake[slot].set()

    async def serve(self, slots: Sequence[str]) -> None:
        """Tell these slots until cancelled."""
        for slot in slots:
            self._fresh[slot], self._wake[slot] = Fresh(), asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                for slot in slots:
                    group.create_task(self._serve_slot(slot), name=f"relay {slot}")
        finally:
            for slot in slots:
                del self._fresh[slot], self._wake[slot]

    async def _serve_slot(self, slot: str) -> None:
        pause = POLL_SECONDS
        while True:
            try:
                async with self._hearing_repeats(slot):
                    await self._tell(slot)
            except Fenced:
                pause = POLL_SECONDS
            except (*FAULTS, Again, DomainError, StreamDiffers) as fault:
                log.warning("relay pauses", slot=slot, fault=str(fault) or type(fault).__name__, seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_LONGEST)

    @asynccontextmanager
    async def _hearing_repeats(self, slot: str) -> AsyncIterator[None]:
        client = await self._broker.client()

        async def repeat(message: Msg) -> None:
            request = RepeatRequest.FromString(message.data)
            log.warning("repeat asked", slot=slot, consumer=request.consumer, from_sequence=request.from_sequence)
            known = self._repeat_from.get(slot, request.from_sequence)
            self._repeat_from[slot] = min(known, request.from_sequence)
            self._wake[slot].set()

        subscription = await client.subscribe(f"isthmus.repeat.{slot}", cb=repeat)
        try:
            yield
        finally:
            with suppress(*FAULTS):  # a connection that is gone has taken its ears with it
                await subscription.unsubscribe()

    async def _tell(self, slot: str) -> None:
        """Publish behind the stream's last message until something goes wrong."""
        marks = Marks(self._database, slot)
        try:
            await self._tell_on(slot, marks)
        finally:
            await marks.end()

    async def _tell_on(self, slot: str, marks: Marks) -> None:
        self._fresh[slot], pace = Fresh(), Pace(self._catch_up_rate)  # what was said meanwhile is a backlog
        info = await self._broker.stream(slot)
        last_sequence = info.state.last_seq
        ends_with = await self._ends_with(slot, last_sequence)
        epoch, told = await self._begin(slot, ends_with)
        opened = max(1, ends_with.epoch)
        beat_due = clock.monotonic()
        most = 1  # the first goes alone: of several, the last one's refusal says only that one before it was refused
        is_to_look = True  # into the table: not after each batch that memory gave, but when it has no more to give
        while True:
            again = self._repeat_from.pop(slot, told + 1) - 1
            told, is_to_look = min(told, again), is_to_look or again < told
            self._wake[slot].clear()
            facts = self._fresh[slot].after(told, epoch)
            is_to_look = facts is None or (is_to_look and not facts)
            if is_to_look:
                facts = await self._look(slot, told, epoch, pace)
            if facts and facts[0].epoch > opened:  # an epoch opens with where it began
                last_sequence, opened = await self._beat(slot, last_sequence), facts[0].epoch
            if facts:
                facts = [fact for fact in facts[:most] if fact.epoch == facts[0].epoch]
                last_sequence = await self._publish(slot, facts, last_sequence)
                told, most = facts[-1].sequence, BATCH_MOST
            now = clock.monotonic()
            marks.look(told, is_wanted=now >= beat_due)
            # A heartbeat says what is on record as stored: were that less than the truth, a next relay would repeat the rest.
            if not facts and now >= beat_due and not marks.are_behind(told):
                last_sequence = await self._beat(slot, last_sequence)
                beat_due = now + HEARTBEAT_SECONDS
            elif not facts:
                await self._rest(slot, min(beat_due, marks.due) if marks.are_behind(told) else beat_due)
                is_to_look = True

    async def _look(self, slot: str, told: int, epoch: int, pace: Pace) -> list[Stored]:
        """What the table holds behind this, no faster than a backlog may be told; out of memory, should it be over."""
        if await self._woken(slot, pace.left()) and (facts := self._fresh[slot].after(told, epoch)):
            return facts
        await asyncio.sleep(pace.left())
        facts = await self._database.read(partial(outbox.after, slot=slot, sequence=told, most=pace.most))
        pace.took(len(facts))
        return facts

    async def _woken(self, slot: str, within: float) -> bool:
        """Whether there was something to do for this slot within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._wake[slot].wait()
        return self._wake[slot].is_set()

    async def _rest(self, slot: str, until: float) -> None:
        is_woken = await self._woken(slot, min(self._poll_seconds, max(0.01, until - clock.monotonic())))
        if not is_woken and not self._broker.is_connected:
            raise ConnectionError("the broker is away")

    async def _ends_with(self, slot: str, last_sequence: int) -> Told:
        message = await self._broker.message(slot, last_sequence) if last_sequence else None
        if message is None or message.data is None:
            return NOTHING_TOLD
        if is_heartbeat(message.subject or ""):
            beat = read_heartbeat(message.data)
            return Told(beat.producer_epoch, beat.last_stored_sequence, beat.last_stored_event_id)
        envelope = Envelope.FromString(message.data)
        return Told(envelope.producer_epoch, envelope.producer_sequence, envelope.event_id)

    async def _begin(self, slot: str, ends_with: Told) -> tuple[int, int]:
        """(epoch to go on in, the sequence told last). Raises the epoch if the stream holds what this database never said.

        Then the database was put back: the same numbers would be given again, and readers would skip them as repeats.
        """
        producer = await self._database.read(partial(outbox.producer, slot=slot))
        told = ends_with.sequence if ends_with.epoch == producer.epoch else min(ends_with.sequence, producer.continues)
        if ends_with.epoch <= producer.epoch and await self._said(slot, told, ends_with):
            return producer.epoch, told
        epoch = await self._database.write(partial(outbox.raise_epoch, slot=slot, above=ends_with.epoch))
        after = await self._database.read(partial(outbox.producer, slot=slot))
        log.error(
            "database was put back: new epoch",
            slot=slot,
            epoch=epoch,
            continues_sequence=after.continues,
            stream_holds=ends_with.sequence,
        )
        return epoch, after.continues

    async def _said(self, slot: str, sequence: int, ends_with: Told) -> bool:
        if not sequence:
            return True
        ours = await self._database.read(partial(outbox.event_at, slot=slot, sequence=sequence))
        is_same_place = sequence == ends_with.sequence and ends_with.event_id
        return ours is not None and not (ours and is_same_place and ours != ends_with.event_id)

    async def _publish(self, slot: str, facts: Sequence[Stored], last_sequence: int) -> int:
        """Append facts, fenced. Returns the stream's last sequence after them.

        Many are one atomic batch, fenced at its head. Few go one behind the other, each fenced by the one before it, so that
        the last one's answer is that of all: a batch takes the broker 1.7 ms, however small.
        """
        client = await self._broker.client()
        is_batch, batch_id = len(facts) >= ATOMIC_FROM, clock.new_id()
        for index, fact in enumerate(facts):
            headers = {"traceparent": fact.traceparent} if fact.traceparent else {}
            if is_batch:
                headers |= {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(index + 1)}
            if index == 0 or not is_batch:
                headers["Nats-Expected-Last-Sequence"] = str(last_sequence + index)
            if index < len(facts) - 1:
                await client.publish(fact.subject, fact.payload(), headers=headers)
                continue
            if is_batch:
                headers["Nats-Batch-Commit"] = "1"
            answer = await client.request(fact.subject, fact.payload(), timeout=5, headers=headers)
        self._check(slot, answer.data)
        return last_sequence + len(facts)

    async def _beat(self, slot: str, last_sequence: int) -> int:
        producer = await self._database.read(lambda tx: outbox.producer(tx, slot))
        beat = Heartbeat(
            producer_slot=slot,
            producer_epoch=producer.epoch,
            lowest_retained_sequence=producer.lowest,
            last_stored_sequence=producer.stored,
            last_stored_event_id=producer.stored_event_id,
            epoch_starts=[EpochStart(producer_epoch=e, continues_sequence=c) for e, c in producer.starts],
        )
        client = await self._broker.client()
        headers = {"Nats-Expected-Last-Sequence": str(last_sequence)}
        answer = await client.request(subjects_of(slot)[1], beat.SerializeToString(), timeout=5, headers=headers)
        self._check(slot, answer.data)
        return last_sequence + 1

    def _check(self, slot: str, answer: bytes) -> None:
        error = ack_error(answer)
        if error is None:
            return
        if error.get("err_code") == WRONG_LAST_SEQUENCE:
            raise Fenced(slot)
        raise ConnectionError(f"stream {slot}: {error.get('description')}")
