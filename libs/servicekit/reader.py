"""The reader: follows the slots' streams at a position of our own, takes what has arrived in one transaction, misses nothing.

The broker's redelivery is never relied on: consumers are ephemeral and without acknowledgements, opened at the position.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.events.v1.heartbeat_pb2 import RepeatRequest, Restate
from servicekit import clock, position
from servicekit.broker import FAULTS, Broker, StreamDiffers, created_of, is_heartbeat, read_heartbeat
from servicekit.database import Again, Database
from servicekit.domain import DomainError
from servicekit.inbox import Delivery, Inbox
from servicekit.position import NOTHING_SAID, Position, Said
from servicekit.stops import FACTS_LOST, PRODUCER_WENT_BACK, Standstill

log = structlog.get_logger()
BATCH_MOST = 256
BUFFER_MOST = 1024  # facts that wait in memory, over all slots
PULL_MESSAGES, PULL_BYTES = 1024, 4_000_000
PULL_SECONDS, BEAT_SECONDS = 30, 5
PULL_REQUEST = json.dumps(
    {
        "batch": PULL_MESSAGES,
        "max_bytes": PULL_BYTES,
        "expires": PULL_SECONDS * 1_000_000_000,
        "idle_heartbeat": BEAT_SECONDS * 1_000_000_000,
    }
).encode()
PAUSE_FIRST, PAUSE_LONGEST = 0.2, 5.0
REPEAT_SECONDS = 5.0
FULL_SECONDS = 2.0


class Reopen(Exception):
    """Read again from our own position."""


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

    def taken(self) -> None:
        self.buffered -= 1
        if not self.buffered:
            self.idle.set()

    def __post_init__(self) -> None:
        self.idle.set()


class Feed:
    """What the broker sent and was not looked at yet: bounded by the credit that was given. A callback, for it costs least."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self._messages: list[Msg] = []
        self._arrived = asyncio.Event()

    async def put(self, message: Msg) -> None:
        self._messages.append(message)
        self._arrived.set()

    async def take(self, reopen: asyncio.Event) -> list[Msg]:
        """All that has arrived. Raises Reopen when it is asked for, ConnectionError after two missed heartbeats."""
        for _ in range(BEAT_SECONDS * 2):
            if reopen.is_set():
                raise Reopen
            if not self._messages:
                try:
                    async with asyncio.timeout(1):  # wait_for can lose a cancellation before Python 3.12
                        await self._arrived.wait()
                except TimeoutError:
                    continue
            self._arrived.clear()
            taken, self._messages = self._messages, []
            return taken
        raise ConnectionError("two heartbeats of the broker missed")


def _numbers(message: Msg) -> tuple[int, int] | None:
    """(stream sequence, consumer sequence) of a message; None if it is a word of the broker itself."""
    if not message.reply.startswith("$JS.ACK"):
        return None
    tokens = message.reply.split(".")
    if len(tokens) == 9:
        return int(tokens[5]), int(tokens[6])
    found = message.metadata.sequence  # the longer form that names a domain
    return found.stream, found.consumer


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
        js = await self._broker.jetstream()
        consumer = await js.add_consumer(
            slot.name,
            ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=max(1, start),
                ack_policy=AckPolicy.NONE,
                inactive_threshold=30,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        client = await self._broker.client()
        feed = Feed(client.new_inbox())
        subscription = await client.subscribe(feed.inbox, cb=feed.put, pending_msgs_limit=8192)
        try:
            await self._pull(slot, created, f"$JS.API.CONSUMER.MSG.NEXT.{slot.name}.{consumer.name}", feed)
        finally:
            await subscription.unsubscribe()

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

    async def _pull(self, slot: Slot, created: str, subject: str, feed: Feed) -> None:
        client = await self._broker.client()
        credit, consumer_sequence = 0, 0
        while True:
            if credit <= PULL_MESSAGES // 2:
                await client.publish(subject, PULL_REQUEST, reply=feed.inbox)
                credit += PULL_MESSAGES
            facts: list[Delivery] = []
            for message in await feed.take(slot.reopen):
                numbers = _numbers(message)
                if numbers is None:
                    credit = self._after_status(message, credit)
                    continue
                credit -= 1
                if numbers[1] != consumer_sequence + 1:
                    raise Reopen
                consumer_sequence = numbers[1]
                if is_heartbeat(message.subject):
                    await self._put(slot, facts)
                    facts = []
                    await self._check_tail(slot, message.data)
                elif (fact := self._read_fact(slot, created, message, numbers[0])) is not None:
                    facts.append(fact)
            await self._put(slot, facts)

    @staticmethod
    def _after_status(message: Msg, credit: int) -> int:
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status == "100":  # idle heartbeat
            return credit
        if status in ("408", "409"):  # the pull is over; what it had left is told
            return max(0, credit - int(headers.get("Nats-Pending-Messages", str(credit))))
        raise ConnectionError(f"consumer gone: {status}")

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
            for _, delivery in waiting:
                self._slots[delivery.slot].taken()

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
