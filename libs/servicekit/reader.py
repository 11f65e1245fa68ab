"""The reader: follows the slots' streams at a position of our own, takes what has arrived in one transaction, misses nothing.

What a stream sends from there on is its `Feed`; what becomes of a fact is the inbox's.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.events.v1.heartbeat_pb2 import RepeatRequest, Restate
from servicekit import clock, feed, position
from servicekit.broker import FAULTS, Broker, StreamDiffers, created_of, is_heartbeat, read_heartbeat
from servicekit.database import Again, Database
from servicekit.dispatch import Delivery
from servicekit.domain import DomainError
from servicekit.feed import Feed, Reopen
from servicekit.inbox import Inbox
from servicekit.position import NOTHING_SAID, Position, Said
from servicekit.stops import FACTS_LOST, PRODUCER_WENT_BACK, Standstill

log = structlog.get_logger()
BATCH_MOST = 256
BUFFER_MOST = 1024  # facts that wait in memory, over all slots
PAUSE_FIRST, PAUSE_LONGEST = 0.2, 5.0
REPEAT_SECONDS = 5.0
FULL_SECONDS = 2.0


@dataclass(slots=True)
class Slot:
    """What we know of a slot while it is open."""

    name: str
    generation: int = 0  # raised when it is opened again: what was buffered before is dropped
    said: Said = NOTHING_SAID
    is_full: bool = False  # our own facts of its plant wait for their stream
    is_restating: bool = False  # its owner has promised to say its nouns again
    is_lost: bool = False  # what is missing can't be repeated any more
    holes: int = 0  # times in a row that the next number did not come
    ask_again: float = 0.0  # monotonic time before which no repeat is asked again
    reopen: asyncio.Event = field(default_factory=asyncio.Event)
    buffered: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)  # nothing of it is buffered

    def put(self, count: int) -> None:
        self.buffered += count
        self.idle.clear()

    def taken(self, count: int) -> None:
        self.buffered -= count
        if not self.buffered:
            self.idle.set()

    def __post_init__(self) -> None:
        self.idle.set()


class Reader:
    """Follows slots for one consumer."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        inbox: Inbox,
        slots: Iterable[str],
        plants: Sequence[str] | None = None,
    ) -> None:
        """`plants`: those whose lanes are retried here; None for all."""
        self._plants = plants
        self._database, self._broker, self._inbox = database, broker, inbox
        self._slots = {name: Slot(name) for name in slots}
        self._standstill = Standstill(database, broker, inbox.consumer)
        self._buffer: deque[tuple[int, Delivery]] = deque()
        self._arrived, self._has_room = asyncio.Event(), asyncio.Event()

    async def serve(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for slot in self._slots.values():
                group.create_task(self._follow(slot), name=f"reader {slot.name}")
            group.create_task(self._take_batches(), name="reader batches")
            group.create_task(self._retry_lanes(), name="reader lanes")

    async def _follow(self, slot: Slot) -> None:
        pause = PAUSE_FIRST
        while True:
            try:
                await self._read(slot)
            except Reopen:
                pause = PAUSE_FIRST
                if slot.is_full:
                    slot.is_full = False
                    log.warning("reader pauses", slot=slot.name, fault="PLANT_BACKLOG_FULL", seconds=FULL_SECONDS)
                    await asyncio.sleep(FULL_SECONDS)
            except (*FAULTS, Again, DomainError, StreamDiffers) as fault:
                log.warning("reader pauses", slot=slot.name, fault=str(fault) or type(fault).__name__, seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_LONGEST)

    async def _read(self, slot: Slot) -> None:
        slot.generation += 1
        slot.reopen.clear()
        info = await self._broker.stream(slot.name)
        created = created_of(info)
        beat = await self._broker.last_heartbeat(slot.name)
        said = Said.of(beat) if beat is not None else NOTHING_SAID
        at = await self._position(slot.name)
        if at is None and said.lowest_retained > 1 and not slot.is_restating:
            await self._ask_restate(slot.name)
            slot.is_restating = True
        slot.said = said
        await self._stand_if_stopped(slot, at)
        start = await self._start(slot.name, at, created, info.state.last_seq)
        async with feed.opened(self._broker, slot.name, start) as opened:
            await self._hear(slot, created, opened)

    async def _stand_if_stopped(self, slot: Slot, at: Position | None) -> None:
        """What only a person may decide. Raises Reopen once it is decided."""
        if at is None:
            return
        is_beyond = at.producer_sequence > slot.said.limit(at.producer_epoch)
        if is_beyond or slot.is_lost:
            reason = PRODUCER_WENT_BACK if is_beyond else FACTS_LOST
            also = None if is_beyond else partial(self._ask_restate, slot.name)
            await self._standstill.stand(slot.name, at, slot.said, reason, also)
            slot.is_lost, slot.holes = False, 0
            raise Reopen

    async def _ask_restate(self, slot: str) -> None:
        """Facts of the slot are gone: reading goes on once its owner has promised to say its nouns."""
        client = await self._broker.client()
        request = Restate(producer_slot=slot, consumer=self._inbox.consumer)
        await client.request(f"isthmus.restate.{slot}", request.SerializeToString(), timeout=5)
        log.warning("nouns asked for again", slot=slot, consumer=self._inbox.consumer)

    async def _start(self, slot: str, at: Position | None, created: str, last: int) -> int:
        """The stream sequence to open at: behind our position if the stream is still the one we read, else its first."""
        if at is None or at.stream_created != created or at.stream_sequence > last:
            return 1
        message = await self._broker.message(slot, at.stream_sequence)
        if message is None or message.data is None or is_heartbeat(message.subject or ""):
            return 1
        return at.stream_sequence + 1 if Envelope.FromString(message.data).event_id == at.event_id else 1

    async def _hear(self, slot: Slot, created: str, opened: Feed) -> None:
        while True:
            facts: list[Delivery] = []
            for message, stream_sequence in await opened.take(slot.reopen):
                if is_heartbeat(message.subject):
                    await self._put(slot, facts)
                    facts = []
                    await self._check_tail(slot, message.data)
                elif (fact := self._read_fact(slot, created, message, stream_sequence)) is not None:
                    facts.append(fact)
            await self._put(slot, facts)

    def _read_fact(self, slot: Slot, created: str, message: Msg, stream_sequence: int) -> Delivery | None:
        try:
            envelope = Envelope.FromString(message.data)
        except DecodeError:
            log.error("fact unreadable", slot=slot.name, stream_sequence=stream_sequence)
            return None  # its number is now missing: the hole is seen and asked for again
        if message.subject.split(".", 2)[1] != envelope.plant_id:
            log.error("fact misaddressed", slot=slot.name, subject=message.subject, plant_id=envelope.plant_id)
        return Delivery(envelope, slot.name, created, stream_sequence, slot.said)

    async def _put(self, slot: Slot, facts: list[Delivery]) -> None:
        """Into the buffer; waits while that is full, and so gives the broker no more credit."""
        if not facts:
            return
        slot.put(len(facts))
        self._buffer.extend((slot.generation, fact) for fact in facts)
        self._arrived.set()
        while len(self._buffer) > BUFFER_MOST:
            self._has_room.clear()
            await self._has_room.wait()

    async def _check_tail(self, slot: Slot, data: bytes) -> None:
        """A heartbeat stands behind the facts it counts: fewer facts before it than it says is a lost tail."""
        said = Said.of(read_heartbeat(data))
        if said.lowest_retained > 1 and not slot.is_restating and await self._position(slot.name) is None:
            raise Reopen
        if said.epoch >= slot.said.epoch:  # else one that was overtaken by what we read at opening
            slot.said = said
        await slot.idle.wait()  # what stood before it is taken
        at = await self._position(slot.name)
        if at is None:
            return
        if at.producer_sequence > slot.said.limit(at.producer_epoch):
            raise Reopen
        if min(said.last_stored, slot.said.limit(said.epoch)) > at.producer_sequence:
            await self._fill_hole(slot)

    async def _position(self, slot: str) -> Position | None:
        found = await self._database.read(lambda tx: position.load(tx, self._inbox.consumer, [slot]))
        return found.get(slot)

    async def _take_batches(self) -> None:
        pause = PAUSE_FIRST
        while True:
            while not self._buffer:
                self._arrived.clear()
                await self._arrived.wait()
            waiting = [self._buffer.popleft() for _ in range(min(BATCH_MOST, len(self._buffer)))]
            self._has_room.set()
            try:
                await self._take([d for generation, d in waiting if generation == self._slots[d.slot].generation])
                pause = PAUSE_FIRST
            except DomainError as fault:  # of the whole service: nothing was done; the slots are read again
                log.warning("reader pauses", fault=str(fault), seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_LONGEST)
                for name in {delivery.slot for _, delivery in waiting}:
                    self._read_again(self._slots[name])
            for name, count in Counter(delivery.slot for _, delivery in waiting).items():
                self._slots[name].taken(count)

    async def _take(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        taken = await self._inbox.take(deliveries)
        for name in taken.advanced:
            self._slots[name].holes = 0
        for name in taken.holes:
            await self._fill_hole(self._slots[name])
        for name in taken.beyond:
            self._read_again(self._slots[name])
        for name in taken.full:
            self._slots[name].is_full = True
            self._read_again(self._slots[name])

    @staticmethod
    def _read_again(slot: Slot) -> None:
        slot.generation += 1
        slot.reopen.set()

    async def _fill_hole(self, slot: Slot) -> None:
        """Read again from our own position once; if the number is still missing, ask the producer to repeat it.

        Meanwhile reading goes on, and takes nothing of the slot but the missing number.
        """
        slot.holes += 1
        if slot.holes == 1:
            self._read_again(slot)
            return
        if clock.monotonic() < slot.ask_again:
            return
        slot.ask_again = clock.monotonic() + REPEAT_SECONDS
        at = await self._position(slot.name)
        missing = at.producer_sequence + 1 if at is not None else 1
        if at is not None and not slot.said.can_repeat(missing):
            slot.is_lost = True
            self._read_again(slot)
            return
        log.error("hole in a producer's sequence", slot=slot.name, missing=missing, consumer=self._inbox.consumer)
        request = RepeatRequest(producer_slot=slot.name, consumer=self._inbox.consumer, from_sequence=missing)
        try:
            client = await self._broker.client()
            await client.publish(f"isthmus.repeat.{slot.name}", request.SerializeToString())
        except FAULTS as fault:
            log.warning("repeat not asked", slot=slot.name, fault=str(fault))

    async def _retry_lanes(self) -> None:
        while True:
            try:
                await self._inbox.retry_due(self._plants)
            except DomainError as fault:
                log.warning("lanes pause", fault=str(fault))
            await asyncio.sleep(0.25)
