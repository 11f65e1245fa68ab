"""A full disk, under the database and under the broker: nothing acknowledged is lost, nothing is half done, and work goes on
by itself when there is space again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from nats.js.errors import APIError

from servicekit import outbox
from servicekit.broker import StreamRules
from servicekit.clock import now
from servicekit.database import Database, StoreUnavailable, Tx
from servicekit.door import Door
from servicekit.inbox import Inbox
from tests.hard.two import Ruled, between
from tests.servicekit.test_inbox import a_fact
from tests.servicekit.test_relay_and_reader import SLOT
from tests.support import toy
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.toy import an_add, rows

pytestmark = pytest.mark.connected
ROUNDS = 25


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Database]:
    """SQLite; on PostgreSQL a full disk is the server's to survive."""
    database = toy.open_database(f"sqlite:///{tmp_path / 'test.db'}", tmp_path / "versions")
    yield database
    database.close()


async def leave(database: Database, pages: int | None) -> None:
    """So many pages may still be written; None: as many as anyone wants."""

    def limit(tx: Tx) -> None:
        used = tx.rows("PRAGMA page_count")[0][0]
        tx.rows(f"PRAGMA max_page_count = {2**30 if pages is None else used + pages}")

    await database.write(limit)


async def whole(database: Database, done: int) -> None:
    """Everything that belongs to a document is there, or nothing of it."""
    assert await rows(database, "SELECT COALESCE(SUM(amount), 0) FROM tallies") == [(done * 10**6,)]
    for table in ("claims", "outbox"):
        assert await rows(database, f"SELECT COUNT(*) FROM {table}") == [(done,)]
    assert await rows(database, "SELECT COALESCE(SUM(last_sequence), 0) FROM producer") == [(done,)]


async def test_a_disk_that_fills_at_any_moment_loses_nothing_that_was_acknowledged(full: Database) -> None:
    door = Door(full, toy.STORE, lambda _facts: None)
    serving = asyncio.ensure_future(door.serve())
    dice = random.Random(10)
    acknowledged = refused = 0
    for number in range(ROUNDS):
        await leave(full, dice.randrange(6))
        calls = [an_add(f"{number}-{n}", f"new-{n}", note="n" * 200) for n in range(dice.randrange(1, 30))]
        answers = await asyncio.gather(*(door.run(toy.add, call) for call in calls), return_exceptions=True)
        lost = [answer for answer in answers if isinstance(answer, BaseException)]
        assert all(isinstance(answer, StoreUnavailable) for answer in lost), lost
        acknowledged += len(answers) - len(lost)
        refused += len(lost)
        await whole(full, acknowledged)
        await leave(full, None)
        again = await asyncio.gather(*(door.run(toy.add, call) for call in calls))
        assert sum(answer.replayed for answer in again) == len(answers) - len(lost)
        acknowledged += len(lost)
        await whole(full, acknowledged)
    assert refused > ROUNDS, "the disk was hardly ever full"
    assert await rows(full, "PRAGMA integrity_check") == [("ok",)]
    assert not serving.done(), "the door is open still"
    serving.cancel()


async def test_facts_that_meet_a_full_disk_are_taken_when_there_is_space(full: Database) -> None:
    inbox = Inbox(full, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="toy")
    dice = random.Random(11)
    facts = [a_fact(number, f"new-{number % 7}") for number in range(1, 400)]
    taken = pauses = 0
    while taken < len(facts):
        await leave(full, dice.randrange(5))
        batch = facts[taken : taken + dice.randrange(1, 40)]
        try:
            await inbox.take(batch)
            taken += len(batch)
        except StoreUnavailable:
            pauses += 1
            await leave(full, None if pauses % 3 == 0 else dice.randrange(20))
        ((at,),) = await rows(full, "SELECT COALESCE(MAX(producer_sequence), 0) FROM position")
        assert at == taken, "position and effects are one"
        assert await rows(full, "SELECT COUNT(*) FROM outbox") == [(taken,)]
    assert pauses > 5, "the disk was hardly ever full"


async def test_a_transaction_that_the_disk_rolled_back_does_not_go_on_in_another(full: Database) -> None:
    """Statements behind the rollback would commit by themselves: half a document."""

    def careless(tx: Tx) -> None:
        tx.run("INSERT INTO tallies VALUES ('first', 1, ?)", (False,))
        tx._connection.connection.driver_connection.execute("ROLLBACK")
        tx.run("INSERT INTO tallies VALUES ('second', 1, ?)", (False,))

    with pytest.raises(StoreUnavailable):
        await full.write(careless)
    assert await rows(full, "SELECT tally_id FROM tallies WHERE tally_id = 'first'") == []
    await full.write(lambda tx: outbox.mark_stored(tx, SLOT, 1, now()))


# --- the broker's disk

SMALL = StreamRules(max_bytes=4_000_000, max_age=3600, max_msg_size=1_000_000, num_replicas=1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Little space, and all of it for this test."""
    server = Broker(tmp_path / "broker", max_file="16M")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def two(database: Database, door: Door, broker: Broker, tmp_path: Path) -> AsyncIterator[Ruled]:
    async with between(door, database, broker.url, tmp_path, SMALL) as made:
        yield made


async def fill(js: JetStreamContext, size: int) -> str:
    """Publish until the broker has no place for so many bytes; what it said then."""
    while True:
        try:
            await js.publish("ballast", b"x" * size)
        except APIError as full:
            return str(full)


async def test_a_broker_whose_disk_is_full_stops_nobody_and_gets_everything_when_there_is_space(
    two: Ruled, capsys: pytest.CaptureFixture[str]
) -> None:
    two.relay(), two.reader()
    await two.say(1, 20)
    await two.has_heard(20)
    js = await two.connections[0].jetstream()
    await js.add_stream(name="ballast", subjects=["ballast"])
    for size in (500_000, 100):
        assert "insufficient" in await fill(js, size)
    capsys.readouterr()
    await two.say(21, 60)  # acknowledged: they stand in the outbox
    told: list[str] = []

    def is_refused() -> bool:
        told.append(capsys.readouterr().out)
        return "relay pauses" in "".join(told)

    await eventually(is_refused)
    assert await two.heard() == 20
    waiting, oldest = await two.here.read(lambda tx: outbox.backlog(tx, SLOT))
    assert (waiting, oldest is not None) == (40, True), "what waits is visible, with its age"
    await js.delete_stream("ballast")
    await two.has_heard(60)
    assert not any(task.done() for task in two.tasks)
