"""A backlog is told at a bounded rate, in order; what is live, there or in another slot, does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import marks
from servicekit import relay as relays
from servicekit.broker import Broker as Connection
from servicekit.broker import is_heartbeat
from servicekit.database import Database, Tx
from servicekit.door import Door
from servicekit.relay import Relay
from servicekit.run import end_of
from tests.servicekit.test_relay_and_reader import RULES, SLOT
from tests.support import toy
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.toy import an_add

pytestmark = pytest.mark.connected
OTHER = "inventory-brno"


@pytest.fixture
async def connection(broker: Broker) -> AsyncIterator[Connection]:
    made = Connection(broker.url, RULES, "relay")
    yield made
    await made.close()


@asynccontextmanager
async def working(database: Database, relay: Relay) -> AsyncIterator[Door]:
    """A service with its relay at work, and the door through which its facts come."""
    door = Door(database, toy.STORE, relay.told)
    parts = [relay.serve([SLOT, OTHER]), *([door.serve()] if database.is_sqlite else [])]
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        yield door
    finally:
        await end_of(tasks)


async def say(door: Door, first: int, last: int) -> None:
    await asyncio.gather(*(door.run(toy.add, an_add(str(n))) for n in range(first, last + 1)))


async def stored(connection: Connection, slot: str) -> list[tuple[int, datetime]]:
    """Number and broker's time of every fact that the stream holds, in its order."""
    last = (await connection.stream(slot)).state.last_seq
    found = [await connection.message(slot, sequence) for sequence in range(1, last + 1)]
    facts = [message for message in found if message is not None and not is_heartbeat(message.subject or "")]
    return [(Envelope.FromString(m.data or b"").producer_sequence, m.time) for m in facts if m.time is not None]


async def holds(connection: Connection, slot: str, count: int) -> bool:
    return (await connection.stream(slot)).state.messages >= count


async def told(connection: Connection, count: int) -> bool:
    if not connection.is_connected:
        return False
    return len(await stored(connection, SLOT)) == count


async def test_a_backlog_is_told_in_order_and_no_faster_than_it_may(
    database: Database, door: Door, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(door, 1, 600)
    async with working(database, Relay(database, connection, catch_up_rate=200)) as here:
        await eventually(lambda: holds(connection, SLOT, 1))
        monkeypatch.setattr(toy, "PLANT", "brno")
        await say(here, 601, 601)
        await eventually(lambda: holds(connection, SLOT, 600), within=30)
        backlog, live = await stored(connection, SLOT), await stored(connection, OTHER)
    assert [number for number, _ in backlog] == list(range(1, 601))
    assert (backlog[-1][1] - backlog[0][1]).total_seconds() >= 2.5
    assert live[0][1] < backlog[-1][1], "a live fact of another slot does not wait for the backlog"


async def test_what_was_said_while_the_broker_was_away_is_a_backlog_though_the_relay_heard_it(
    database: Database, connection: Connection, broker: Broker
) -> None:
    async with working(database, Relay(database, connection, catch_up_rate=50)) as door:
        await eventually(lambda: holds(connection, SLOT, 1))  # its first heartbeat: the relay is there
        broker.kill()
        await say(door, 1, 100)
        broker.start()
        await eventually(lambda: told(connection, 100), within=30)
        backlog = await stored(connection, SLOT)
    assert [number for number, _ in backlog] == list(range(1, 101))
    assert (backlog[-1][1] - backlog[0][1]).total_seconds() >= 1.5


async def test_live_facts_do_not_keep_to_the_rate_of_a_backlog(database: Database, connection: Connection) -> None:
    async with working(database, Relay(database, connection, catch_up_rate=1)) as door:
        await eventually(lambda: holds(connection, SLOT, 1))  # its first heartbeat: the relay is there
        for number in range(1, 61):
            await say(door, number, number)
        await eventually(lambda: told(connection, 60), within=30)


async def test_what_memory_could_not_keep_is_looked_for_at_once(
    database: Database, connection: Connection, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POLL_SECONDS", "POLL_ALONE_SECONDS"):
        monkeypatch.setattr(relays, name, 3600.0)
    monkeypatch.setattr(marks, "MARK_SECONDS", 3600.0)
    monkeypatch.setattr(relays, "FRESH_MOST", 3)
    async with working(database, Relay(database, connection)) as door:
        await eventually(lambda: holds(connection, SLOT, 1))  # its first heartbeat: the relay is there
        with broker.frozen():
            await say(door, 1, 1)  # on its way
            await say(door, 2, 11)
        await eventually(lambda: told(connection, 11), within=10)
        facts = await stored(connection, SLOT)
    assert [number for number, _ in facts] == list(range(1, 12))


async def stored_on_record(database: Database) -> int:
    return int((await toy.rows(database, "SELECT stored_sequence FROM producer"))[0][0])


@asynccontextmanager
async def notes_held_up(database: Database) -> AsyncIterator[threading.Event]:
    """Another transaction holds what each note changes, until the event is set."""
    other, begun, is_over = (
        Database(database.url.render_as_string(hide_password=False)),
        asyncio.Event(),
        threading.Event(),
    )
    loop = asyncio.get_running_loop()

    def hold(tx: Tx) -> None:
        tx.run("UPDATE producer SET stored_sequence = stored_sequence")
        loop.call_soon_threadsafe(begun.set)
        is_over.wait(30)

    holding = asyncio.ensure_future(other.write(hold))
    await begun.wait()
    try:
        yield is_over
    finally:
        is_over.set()
        await holding
        other.close()


async def test_nothing_that_is_to_be_told_waits_for_the_note_of_what_was(
    database: Database, door: Door, connection: Connection
) -> None:
    await say(door, 1, 5)
    async with notes_held_up(database) as is_over, working(database, Relay(database, connection)):
        await eventually(lambda: told(connection, 5), within=5)
        assert await stored_on_record(database) == 0
        is_over.set()
        await eventually(lambda: holds(connection, SLOT, 6))  # the heartbeat, which comes behind the note
        assert await stored_on_record(database) == 5
        beat = await connection.last_heartbeat(SLOT)
        assert beat is not None
        assert beat.last_stored_sequence == 5


async def test_a_relay_that_ends_leaves_no_note_on_its_way(
    database: Database, door: Door, connection: Connection
) -> None:
    await say(door, 1, 5)
    async with notes_held_up(database) as is_over:
        serving = asyncio.ensure_future(Relay(database, connection).serve([SLOT]))
        await eventually(lambda: told(connection, 5), within=5)
        serving.cancel()
        assert not (await asyncio.wait([serving], timeout=0.2))[0]
        is_over.set()
        await asyncio.wait([serving])
        assert await stored_on_record(database) == 1, "the note of the first fact, one note at a time"


async def test_a_stream_that_refuses_one_of_several_says_why_and_gets_the_rest_when_it_takes_it(
    database: Database, broker: Broker
) -> None:
    narrow = Connection(broker.url, replace(RULES, max_msg_size=1500), "narrow")
    with capture_logs() as logs:
        async with working(database, Relay(database, narrow)) as door:
            await eventually(lambda: holds(narrow, SLOT, 1))  # its first heartbeat: the relay is there
            await say(door, 1, 1)
            long = an_add("2", f"new-{'2' * 1500}")
            await asyncio.gather(say(door, 3, 4), door.run(toy.add, long), say(door, 5, 6))
            await eventually(lambda: any("message size exceeds" in str(line.get("fault")) for line in logs))
            held = [number for number, _ in await stored(narrow, SLOT)]
            assert held == list(range(1, len(held) + 1))
            assert len(held) < 6
            js = await narrow.jetstream()
            await js.update_stream(RULES.config(SLOT))
            await eventually(lambda: told(narrow, 6))
            assert [number for number, _ in await stored(narrow, SLOT)] == list(range(1, 7))
    await narrow.close()
