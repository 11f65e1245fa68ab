"""A deadline that passes during the commit: committed whole, told, and the retry gets the kept answer. On both databases."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from isthmus.inventory.v1.inventory_service_pb2 import ConfirmReceiptRequest, ConfirmReceiptResponse
from isthmus.inventory.v1.inventory_service_pb2_grpc import (
    InventoryServiceServicer,
    InventoryServiceStub,
    add_InventoryServiceServicer_to_server,
)
from servicekit.database import Database
from servicekit.door import Door
from servicekit.errors import Refusals
from servicekit.outbox import Stored
from servicekit.wire import key_of_message, quantity_of
from tests.support import toy
from tests.support.eventually import eventually
from tests.support.requests import a_key
from tests.support.toy import rows

pytestmark = pytest.mark.connected


class Receipts(InventoryServiceServicer):
    """The toy behind a real contract."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def ConfirmReceipt(self, request: ConfirmReceiptRequest, context: Any) -> ConfirmReceiptResponse:
        command = toy.Add(key_of_message(request.business_key), request.lot_id, quantity_of(request.quantity))
        return await self._door.run(toy.add, command)


@dataclass
class Served:
    stub: InventoryServiceStub
    told: list[Stored]


@pytest.fixture
async def served(database: Database) -> AsyncIterator[Served]:
    told: list[Stored] = []
    door = Door(database, toy.STORE, told.extend)
    serving = asyncio.ensure_future(door.serve()) if database.is_sqlite else None
    server = grpc.aio.server(interceptors=[Refusals()])
    add_InventoryServiceServicer_to_server(Receipts(door), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(InventoryServiceStub(channel), told)
    await server.stop(None)
    if serving is not None:
        serving.cancel()


def a_receipt(number: int) -> ConfirmReceiptRequest:
    request = ConfirmReceiptRequest(business_key=a_key(str(number)), plant_id="aachen", item_id="I", lot_id="new-1")
    request.quantity.value, request.quantity.unit_code = "1", "C62"
    request.occur_time.FromDatetime(datetime.now(UTC))
    return request


@contextmanager
def nothing_commits(database: Database) -> Iterator[None]:
    """Another connection holds what every transaction here needs at its end."""
    engine = sa.create_engine(database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for sql in ("BEGIN IMMEDIATE",) if database.is_sqlite else ("BEGIN", "LOCK TABLE outbox IN EXCLUSIVE MODE"):
            connection.exec_driver_sql(sql)
        try:
            yield
        finally:
            connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


async def test_a_deadline_that_passes_during_the_commit_leaves_it_whole_and_the_retry_gets_its_answer(
    served: Served, database: Database
) -> None:
    with nothing_commits(database), pytest.raises(grpc.aio.AioRpcError) as gone:
        await served.stub.ConfirmReceipt(a_receipt(1), timeout=0.4)
    assert gone.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await eventually(lambda: len(served.told) == 1)
    assert await rows(database, "SELECT amount FROM tallies") == [(1_000_000,)]
    assert await rows(database, "SELECT COUNT(*) FROM claims") == [(1,)]
    again = await served.stub.ConfirmReceipt(a_receipt(1), timeout=10)
    assert again.replayed
    assert again.stock.quantity.value == "1"
    assert await rows(database, "SELECT COUNT(*) FROM outbox") == [(1,)]


async def test_deadlines_at_every_moment_of_a_call_leave_one_effect_each(served: Served, database: Database) -> None:
    dice = random.Random(9)
    passed = 0
    for number in range(80):
        try:
            await served.stub.ConfirmReceipt(a_receipt(number), timeout=dice.uniform(0.0005, 0.015))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            passed += 1
            await served.stub.ConfirmReceipt(a_receipt(number), timeout=30)
    assert passed > 0
    assert await rows(database, "SELECT amount FROM tallies") == [(80 * 10**6,)]
    for table in ("claims", "outbox"):
        assert await rows(database, f"SELECT COUNT(*) FROM {table}") == [(80,)]
    assert sorted(fact.sequence for fact in served.told) == list(range(1, 81))
