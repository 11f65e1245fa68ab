"""Who owns a place on PostgreSQL: one at a time, shared fairly, taken over when its session is gone, fenced for ever after."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from servicekit import outbox
from servicekit.broker import Broker as Connection
from servicekit.database import Database
from servicekit.door import Door, run_again
from servicekit.inbox import Inbox
from servicekit.owners import Fence, OwnerLost, Owners, raise_epoch
from servicekit.poster import Poster
from servicekit.relay import Relay
from tests.servicekit.test_inbox import a_fact
from tests.servicekit.test_poster import OUTCOME, Partner, plan
from tests.servicekit.test_relay_and_reader import RULES, SLOT
from tests.support import toy
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.postgres import Postgres
from tests.support.toy import an_add

pytestmark = pytest.mark.connected
PLACES = ("aachen", "brno", "group")


class Replica:
    """A process that shares the database, with a note of what it works on."""

    def __init__(self, database: Database) -> None:
        self.works_on: dict[str, Fence] = {}
        self.begun: dict[str, int] = defaultdict(int)
        self.owners = Owners(database, "inventory", dict.fromkeys(PLACES, self._work))
        self.task = asyncio.ensure_future(self.owners.serve())

    async def _work(self, fence: Fence) -> None:
        self.works_on[fence.place] = fence
        self.begun[fence.place] += 1
        try:
            await asyncio.Event().wait()
        finally:
            del self.works_on[fence.place]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def database(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Database]:
    made = toy.open_database(postgres.fresh(), tmp_path / "versions")
    yield made
    made.close()


def are_shared(*replicas: Replica) -> bool:
    held = sorted(place for replica in replicas for place in replica.works_on)
    assert held == sorted(PLACES), held
    assert max(len(replica.works_on) for replica in replicas) <= -(-len(PLACES) // len(replicas))
    return True


async def test_replicas_share_the_places_and_take_over_what_is_left(database: Database) -> None:
    first = Replica(database)
    await eventually(lambda: are_shared(first))
    second = Replica(database)
    await eventually(lambda: are_shared(first, second))
    await first.stop()
    await eventually(lambda: are_shared(second))
    assert not first.works_on
    await second.stop()


async def test_an_owner_whose_session_is_gone_is_fenced(database: Database, tmp_path: Path) -> None:
    first = Replica(database)
    await eventually(lambda: are_shared(first))
    before = first.works_on["aachen"]
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    await eventually(lambda: first.begun["aachen"] == 2)
    after = first.works_on["aachen"]
    assert after.epoch == before.epoch + 1
    inbox = Inbox(database, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="reader")
    untouched = await toy.snapshot(database)
    with pytest.raises(OwnerLost):
        await inbox.of_owner(before).take([a_fact(1)])
    with pytest.raises(OwnerLost):
        await inbox.of_owner(before).drain("new-1")
    assert await toy.snapshot(database) == untouched
    assert (await inbox.of_owner(after).take([a_fact(1)])).advanced
    await first.stop()


async def test_a_frozen_process_within_a_row_of_statements_holds_up_its_successor_for_seconds_only(
    database: Database,
) -> None:
    """The server's idle timeout does not see it: to the server it is in the middle of its work."""
    await database.write(lambda tx: raise_epoch(tx, "aachen"))
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, options="-c idle_in_transaction_session_timeout=1s") as frozen:
        frozen.pgconn.enter_pipeline_mode()
        for statement in (b"BEGIN", b"SELECT 1 FROM owner FOR SHARE"):
            frozen.pgconn.send_query_params(statement, None)
        frozen.pgconn.send_flush_request()
        frozen.pgconn.flush()
        successor = Replica(database)
        await eventually(lambda: are_shared(successor), within=30)
        await successor.stop()
        frozen.pgconn.finish()


async def test_a_relay_outlives_rows_that_another_process_holds(
    database: Database, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = Connection(broker.url, RULES, "relay")
    relay = Relay(database, connection)
    await Door(database, toy.STORE, relay.told).run(toy.add, an_add("1"))
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as other:
        other.execute("SELECT 1 FROM producer FOR UPDATE")
        task = asyncio.ensure_future(relay.serve([SLOT]))
        told: list[str] = []

        def pauses() -> bool:
            told.append(capsys.readouterr().out)
            return task.done() or "relay pauses" in "".join(told)

        await eventually(pauses)
        other.rollback()

    async def is_marked() -> bool:
        assert not task.done()
        return (await database.read(lambda tx: outbox.producer(tx, SLOT))).stored == 1

    await eventually(is_marked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connection.close()


async def test_a_place_that_can_not_be_begun_holds_up_no_other(database: Database) -> None:
    """Whoever holds the row of one place does not keep a process from working on the rest."""
    await database.write(lambda tx: raise_epoch(tx, "aachen"))
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as other:
        other.execute("SELECT 1 FROM owner WHERE scope = 'aachen' FOR UPDATE")
        replica = Replica(database)
        await eventually(lambda: {"brno", "group"} <= replica.works_on.keys() and replica.begun["brno"] == 1, within=4)
        other.rollback()
    await eventually(lambda: are_shared(replica))
    assert set(replica.begun.values()) == {1}, "work that ran was left alone"
    await replica.stop()


async def test_a_poster_that_lost_its_place_asks_its_partner_for_nothing(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Fence("service", await run_again(database, lambda tx: raise_epoch(tx, "service")))
    await run_again(database, lambda tx: raise_epoch(tx, "service"))
    partner = Partner()
    await plan(database, "k1")
    poster = Poster(database, toy.STORE, {("erp", "post"): partner}, OUTCOME, lambda _facts: None, before)
    task = asyncio.ensure_future(poster.serve())
    told: list[str] = []

    def pauses() -> bool:
        told.append(capsys.readouterr().out)
        return "posting pauses" in "".join(told)

    await eventually(pauses)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not partner.drafts
    assert await toy.rows(database, "SELECT state, owner_epoch FROM posting") == [("planned", 0)]
