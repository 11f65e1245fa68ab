"""Who owns a place on PostgreSQL: one at a time, shared fairly, taken over when its session is gone, fenced for ever after."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from servicekit.database import Database
from servicekit.inbox import Inbox
from servicekit.owners import Fence, OwnerLost, Owners, raise_epoch
from tests.servicekit.test_inbox import a_fact
from tests.support import toy
from tests.support.eventually import eventually
from tests.support.postgres import Postgres

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
