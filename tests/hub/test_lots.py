"""A lot's page over the ledger of running services: what went in, what came out, where it is, who got it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import httpx
import pytest

from isthmus.inventory.v1 import inventory_service_pb2 as inventory
from servicekit.errors import from_rpc_error
from services.operations.console.app import application
from services.operations.console.asked import connect
from tests.hub.conftest import Calls
from tests.support.eventually import eventually
from tests.support.requests import a_confirmation, a_key, a_release, an_item
from tests.support.running import Hub

pytestmark = pytest.mark.connected


@pytest.fixture
async def console(hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    asked = connect("127.0.0.1:9", "", {"inventory": hub.address("inventory")}, {}, ("aachen", "brno"), "")
    transport = httpx.ASGITransport(app=application(asked, form_minutes=60))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def made(calls: Calls, number: str, item: str, lot: str, *used: tuple[str, str, str]) -> None:
    """An order of four of an item, out of (item, lot, amount)."""
    calls.master_data.RecordItem(an_item(item), timeout=10)

    def release() -> bool:
        try:
            calls.production.ReleaseWorkOrder(a_release(number, item_id=item, quantity="4"), timeout=10)
        except grpc.RpcError as error:
            if from_rpc_error(error)[1] == "ITEM_UNKNOWN":  # production has not heard of it yet
                return False
            raise
        return True

    await eventually(release)
    first = a_confirmation(f"{number}-10", f"aachen-{number}", 10, "4")
    for item_id, lot_id, amount in used:
        part = first.confirmation.consumptions.add(item_id=item_id, lot_id=lot_id)
        part.quantity.value, part.quantity.unit_code = amount, "C62"
    calls.production.ConfirmOperation(first, timeout=10)
    calls.production.ConfirmOperation(a_confirmation(f"{number}-20", f"aachen-{number}", 20, "4", lot), timeout=10)
    await eventually(lambda: balance(calls, item, lot) == 4)


def balance(calls: Calls, item: str, lot: str) -> int:
    request = inventory.ListStockRequest(plant_id="aachen", item_id=item)
    stocks = calls.inventory.ListStock(request, timeout=10).stocks
    return sum(int(one.quantity.value) for one in stocks if one.lot_id == lot)


def shipped(calls: Calls, item: str, lot: str) -> None:
    request = inventory.AdviseShipmentRequest(business_key=a_key("GEN-1", document="delivery"))
    said = request.shipment
    said.plant_id, said.erp_delivery_number, said.customer_name = "aachen", "GEN-1", "<b>Acme</b>"
    line = said.lines.add(item_id=item)
    line.quantity.value, line.quantity.unit_code = "3", "C62"
    shipment = calls.inventory.AdviseShipment(request, timeout=10).shipment
    left = inventory.ConfirmShipmentRequest(business_key=a_key("GEN-1", "wms", "shipment"))
    left.shipment_id = shipment.shipment_id
    taken = left.shipped_lots.add(item_id=item, lot_id=lot)
    taken.quantity.value, taken.quantity.unit_code = "3", "C62"
    left.occur_time.FromDatetime(datetime.now(UTC))
    calls.inventory.ConfirmShipment(left, timeout=10)


async def test_a_lot_is_followed_both_ways_to_its_customer(calls: Calls, console: httpx.AsyncClient) -> None:
    await made(calls, "GEN1", "CAST-1", "C/1 ä")
    await made(calls, "GEN2", "HOUSING-1", "H-1", ("CAST-1", "C/1 ä", "2"), ("SCREW-1", "", "8"))
    await made(calls, "GEN3", "PUMP-9", "P-1", ("HOUSING-1", "H-1", "4"))
    await eventually(lambda: balance(calls, "HOUSING-1", "H-1") == 0)
    shipped(calls, "PUMP-9", "P-1")

    found = (await console.get("/lots", params={"lot": "H-1"})).text
    assert found.count("/lots/aachen/H-1") == 1
    assert "No plant" in (await console.get("/lots", params={"lot": "H-2"})).text

    page = (await console.get("/lots/aachen/H-1")).text
    into, came, went = page.index("Who got it"), page.index("What went into it"), page.index("What it went into")
    assert "<dt>output</dt><dd>4 pcs</dd><dt>storage</dt><dd>-4 pcs</dd>" in page[:into], "used before it was put away"
    assert "Nobody" in page[into:came]
    assert "2 pcs of CAST-1, lot" in page[came:went]
    assert "8 pcs of SCREW-1, without lot" in page[came:went]
    assert 'href="/orders/aachen-GEN2"' in page[came:went]
    assert "4 pcs of PUMP-9, lot" in page[went:]

    pump = (await console.get("/lots/aachen/P-1")).text
    tree = pump[pump.index("What went into it") :]
    assert tree.index("HOUSING-1") < tree.index("CAST-1") < tree.index("SCREW-1")
    assert "&lt;b&gt;Acme&lt;/b&gt;" in pump
    assert '<td class="number">3 pcs</td>' in pump

    cast = (await console.get("/lots/aachen/C/1%20%C3%A4")).text
    assert cast.index("HOUSING-1") < cast.index("PUMP-9")
    missing = await console.get("/lots/aachen/nothing")
    assert (missing.status_code, "LOT_UNKNOWN" in missing.text) == (404, True)
