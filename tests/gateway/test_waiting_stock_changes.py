"""What waits for an order's completion in the ERP is kept and asked once, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from isthmus.masterdata.v1.item_pb2 import Item
from isthmus.production.v1.production_events_pb2 import WorkOrderTotals
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit import migrate
from servicekit.database import Database
from servicekit.door import Door
from services.gateway import stock_wire, use_cases, wire
from services.gateway.domain.stock_change import StockChange
from services.gateway.erp.canonical import ErpOrder, ErpState
from services.gateway.store import STORE
from tests.support.toy import rows

pytestmark = pytest.mark.connected


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[tuple[Database, Door]]:
    database = Database(database_url)
    migrate.migrate(database.engines[0], "gateway", Path("services/gateway/migrations"))
    door = Door(database, STORE, lambda _facts: None)
    serving = asyncio.ensure_future(door.serve())
    yield database, door
    serving.cancel()
    database.close()


def a_change(number: int, kind: str) -> stock_wire.ChangeInErp:
    of = f"change/{number}", "ghent", "ghent-1", "RESIN-7", "R-1"
    return stock_wire.ChangeInErp(StockChange(*of, kind, '{"itemId": "RESIN-7", "lotId": "R-1"}'), "")


async def test_changes_wait_for_the_completion_and_are_asked_behind_it_once(gateway: tuple[Database, Door]) -> None:
    database, door = gateway
    order = WorkOrder(plant_id="ghent", erp_order_number="1", item_id="RESIN-7")
    seen = ErpOrder(order, ErpState.RELEASED, (Item(item_id="RESIN-7"),))
    await door.run(use_cases.notice_order, wire.NoticeOrder(seen, "tryton 8.0"))
    await door.run(use_cases.advance_erp, wire.AdvanceErp("ghent", "", "8.0"))
    for _ in range(2):  # a fact may be heard again
        for number, kind in enumerate(("adjust_stock", "transfer_stock"), start=1):
            await door.run(use_cases.change_in_erp, a_change(number, kind))
    kept = await rows(database, "SELECT document_id, kind FROM stock_changes ORDER BY document_id")
    assert [tuple(row) for row in kept] == [("change/1", "adjust_stock"), ("change/2", "transfer_stock")]
    for _ in range(2):
        await door.run(use_cases.complete_in_erp, wire.CompleteInErp("ghent-1", WorkOrderTotals()))
    await door.run(use_cases.change_in_erp, a_change(3, "adjust_stock"))
    asked = await rows(database, "SELECT kind FROM posting WHERE order_key = 'ghent-1' ORDER BY posting_number")
    assert [row[0] for row in asked] == ["complete_work_order", "adjust_stock", "transfer_stock", "adjust_stock"]
    assert await rows(database, "SELECT document_id FROM stock_changes") == []
