"""From one service's outbox to another's effect over a real broker: in order, once, and again when the broker lost it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from isthmus.operations.v1.lane_service_pb2 import ListSlotStopsRequest, ResumeSlotRequest
from servicekit import stops
from servicekit.broker import Broker as Connection
from servicekit.broker import StreamRules
from servicekit.database import Database, Tx
from servicekit.desk import Desk
from servicekit.domain import BusinessKey
from servicekit.door import Door
from servicekit.facts import key_message, slot_of
from servicekit.inbox import Inbox
from servicekit.reader import Reader
from servicekit.relay import Relay
from servicekit.restate import Restater
from servicekit.run import end_of
from servicekit.stops import SlotStopMissing
from tests.support import toy
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.toy import an_add, rows

pytestmark = pytest.mark.connected
SLOT = slot_of("inventory", "aachen")
RULES = StreamRules.load(Path("deploy/nats/streams.yaml"))


@dataclass
class Two:
    """A service that says, and one that hears, each with a database of its own."""

    door: Door
    here: Database
    there: Database
    url: str
    tasks: list[asyncio.Future[None]] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    def connect(self, name: str) -> Connection:
        self.connections.append(Connection(self.url, RULES, name))
        return self.connections[-1]

    def relay(self) -> asyncio.Future[None]:
        self.tasks.append(asyncio.ensure_future(Relay(self.here, self.connect("relay")).serve([SLOT])))
        return self.tasks[-1]

    def reader(self) -> asyncio.Future[None]:
        inbox = Inbox(self.there, toy.STORE, toy.HANDLERS, lambda _slots: None, consumer="reader")
        self.tasks.append(asyncio.ensure_future(Reader(self.there, self.connect("reader"), inbox, [SLOT]).serve()))
        return self.tasks[-1]

    async def say(self, first: int, last: int) -> None:
        await asyncio.gather(*(self.door.run(toy.add, an_add(str(n))) for n in range(first, last + 1)))

    async def heard(self) -> int:
        found = await rows(self.there, "SELECT amount FROM tallies")
        return found[0][0] // 10**6 if found else 0

    async def has_heard(self, count: int, within: float = 30.0) -> None:
        async def all_of_it() -> bool:
            assert await self.heard() == count
            return True

        await eventually(all_of_it, within=within)


@pytest.fixture
async def two(database: Database, door: Door, broker: Broker, tmp_path: Path) -> AsyncIterator[Two]:
    there = toy.open_database(f"sqlite:///{tmp_path / 'there.db'}", tmp_path / "versions")
    made = Two(door, database, there, broker.url)
    yield made
    await end_of(made.tasks)
    for connection in made.connections:
        await connection.close()
    there.close()


async def stop(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_facts_arrive_once_and_in_order(two: Two) -> None:
    two.relay(), two.reader()
    await two.say(1, 300)
    await two.has_heard(300)
    said = await rows(two.here, "SELECT event_id FROM outbox ORDER BY sequence")
    assert len(await rows(two.there, "SELECT 1 FROM outbox")) == len(said) == 300


async def test_a_broker_killed_in_the_middle_loses_and_doubles_nothing(two: Two, broker: Broker) -> None:
    two.relay(), two.reader()
    await two.say(1, 50)
    broker.kill()
    await two.say(51, 120)
    broker.start()
    await two.say(121, 150)
    await two.has_heard(150)


async def test_a_lost_broker_store_is_filled_again_from_the_outbox(two: Two, broker: Broker) -> None:
    two.relay(), two.reader()
    await two.say(1, 60)
    await two.has_heard(60)
    broker.kill()
    broker.wipe()
    broker.start()
    await two.say(61, 80)
    await two.has_heard(80)


async def test_a_reader_that_died_goes_on_at_its_own_position(two: Two) -> None:
    two.relay()
    reader = two.reader()
    await two.say(1, 40)
    await two.has_heard(40)
    await stop(reader)
    await two.say(41, 90)
    two.reader()
    await two.has_heard(90)


async def test_a_new_relay_goes_on_behind_the_last_message(two: Two) -> None:
    relay = two.relay()
    two.reader()
    await two.say(1, 20)
    await two.has_heard(20)
    await stop(relay)
    await two.say(21, 40)
    two.relay()
    await two.has_heard(40)
    info = await two.connections[0].stream(SLOT)
    facts = info.state.messages
    assert facts <= 40 + 2, "every fact stands once in the stream, beside a heartbeat or two"


async def test_two_relays_of_one_slot_are_fenced(two: Two) -> None:
    two.relay(), two.relay(), two.reader()
    await two.say(1, 200)
    await two.has_heard(200)


async def test_a_message_deleted_in_the_middle_is_asked_for_again(two: Two) -> None:
    two.relay()
    await two.say(1, 30)
    connection = two.connections[0]

    async def stored() -> bool:
        return (await connection.stream(SLOT)).state.messages >= 30

    await eventually(stored)
    await (await connection.jetstream()).delete_msg(SLOT, 15)
    two.reader()
    await two.has_heard(30, within=45)


async def test_a_stream_made_anew_under_the_same_name_is_read_from_its_beginning(two: Two) -> None:
    two.relay(), two.reader()
    await two.say(1, 30)
    await two.has_heard(30)
    await (await two.connections[0].jetstream()).delete_stream(SLOT)
    await two.say(31, 45)
    await two.has_heard(45, within=45)


async def test_a_stream_that_is_not_as_declared_is_refused(two: Two) -> None:
    connection = two.connect("other")
    js = await connection.jetstream()
    await js.add_stream(name=SLOT, subjects=["isthmus.aachen.inventory.>"], discard="old")
    with pytest.raises(Exception, match="declared"):
        await connection.stream(SLOT)


def put_back_to(sequence: int) -> Callable[[Tx], None]:
    """What is left of the producer in a copy that was made when this was the last fact."""

    def put_back(tx: Tx) -> None:
        tx.run("DELETE FROM outbox WHERE sequence > ?", (sequence,))
        tx.run("DELETE FROM claims")
        tx.run("UPDATE producer SET last_sequence = ?, stored_sequence = ?", (sequence, sequence))

    return put_back


async def test_a_reader_at_the_common_point_goes_on_with_the_new_epoch(two: Two) -> None:
    relay, reader = two.relay(), two.reader()
    await two.say(1, 10)
    await two.has_heard(10)
    await stop(reader)
    await two.say(11, 20)
    await eventually(lambda: stream_holds(two, 20))
    await stop(relay)
    await two.here.write(put_back_to(10))
    await two.say(21, 25)  # numbered 11 to 15, as others were before
    two.relay()
    await eventually(lambda: stream_holds(two, 25))
    two.reader()
    await two.has_heard(15)
    at = await rows(two.there, "SELECT producer_epoch, producer_sequence FROM position")
    assert [tuple(row) for row in at] == [(2, 15)]
    assert not await rows(two.there, "SELECT 1 FROM slot_stop")


async def stream_holds(two: Two, messages: int) -> bool:
    return (await two.connections[0].stream(SLOT)).state.messages >= messages


async def test_a_reader_beyond_a_database_put_back_stands_still_until_a_person_decides(two: Two) -> None:
    """Then what is said again is recognised, and what is new takes effect."""
    relay = two.relay()
    two.reader()
    await two.say(1, 20)
    await two.has_heard(20)
    await stop(relay)
    await two.here.write(put_back_to(10))
    await two.say(16, 25)  # 16 to 20 were said before
    two.relay()

    async def stands_still() -> bool:
        found = await rows(two.there, "SELECT reason, is_accepted FROM slot_stop")
        assert [tuple(row) for row in found] == [("PRODUCER_WENT_BACK", False)]
        return True

    await eventually(stands_still)
    await two.say(26, 27)
    await eventually(lambda: stream_holds(two, 33))
    assert await two.heard() == 20, "nothing of the slot is taken until a person decides"
    desk = Desk(two.there, {})
    key = key_message(BusinessKey("test", "resume", "1"))
    request = ResumeSlotRequest(
        business_key=key, consumer="reader", producer_slot=SLOT, resume_reason="compared", operator_id="kim"
    )
    assert not (await desk.ResumeSlot(request, None)).replayed
    assert (await desk.ListSlotStops(ListSlotStopsRequest(), None)).slot_stops[0].is_accepted
    await two.has_heard(27)  # 20 of them before; 21 to 27 once, 16 to 20 not again
    assert not await rows(two.there, "SELECT 1 FROM slot_stop")
    assert len(await rows(two.there, "SELECT 1 FROM audit WHERE what = 'resume'")) == 1
    with pytest.raises(SlotStopMissing):
        await desk.ResumeSlot(request, None)


async def test_a_new_epoch_is_found_again_after_the_broker_lost_its_store(two: Two, broker: Broker) -> None:
    relay = two.relay()
    await two.say(1, 10)
    await eventually(lambda: stream_holds(two, 10))
    await stop(relay)
    await two.here.write(put_back_to(5))
    await two.say(11, 15)
    relay = two.relay()
    await eventually(lambda: stream_holds(two, 16))
    broker.kill()
    broker.wipe()
    broker.start()
    two.reader()
    await two.say(16, 17)
    await two.has_heard(12, within=45)
    epochs = await rows(two.here, "SELECT epoch, COUNT(*) FROM outbox GROUP BY epoch ORDER BY epoch")
    assert [tuple(row) for row in epochs] == [(1, 5), (2, 7)]


async def test_facts_that_nobody_can_repeat_stop_their_slot_until_a_person_accepts_the_loss(two: Two) -> None:
    two.relay()
    reader = two.reader()
    await two.say(1, 10)
    await two.has_heard(10)
    await stop(reader)
    await two.say(11, 20)
    await eventually(lambda: stream_holds(two, 20))
    js = await two.connections[0].jetstream()
    await js.purge_stream(SLOT)
    await two.here.write(lambda tx: tx.run("DELETE FROM outbox WHERE sequence <= 15"))
    two.reader()
    await two.say(21, 22)

    async def stands_still() -> bool:
        found = await rows(two.there, "SELECT reason FROM slot_stop")
        assert [row[0] for row in found] == ["FACTS_LOST"]
        return True

    await eventually(stands_still, within=60)
    assert await two.heard() == 10
    restater = Restater(two.here, two.connect("restate"), [], lambda _facts: None)
    two.tasks.append(asyncio.ensure_future(restater.serve([SLOT])))
    await two.there.write(lambda tx: stops.accept(tx, "reader", SLOT))
    await two.has_heard(17, within=45)
    asked = await rows(two.here, "SELECT consumer FROM restate")
    assert asked == [("reader",)], "what the lost facts made is said again"
