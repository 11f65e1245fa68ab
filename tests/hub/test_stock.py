"""Stock set right and moved between places by people, on running services and both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc
import pytest

from isthmus.inventory.v1 import inventory_service_pb2 as messages
from isthmus.inventory.v1.inventory_transaction_pb2 import MovementType
from servicekit.errors import from_rpc_error
from tests.hub.conftest import Calls
from tests.hub.test_refusals import refusal_of
from tests.support.eventually import eventually
from tests.support.requests import a_key

pytestmark = pytest.mark.connected
NUMBERS = count(1)
ITEM = "SEAL-7"
INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
AHEAD = timedelta(minutes=6)


def a_number() -> str:
    return f"ST{next(NUMBERS)}"


def a_change(request: Any, lot: str, quantity: str, unit: str, ahead: timedelta) -> Any:
    request.business_key.CopyFrom(a_key(a_number(), "app-stock", "stock_change"))
    request.plant_id, request.item_id, request.lot_id = "aachen", ITEM, lot
    request.quantity.value, request.quantity.unit_code = quantity, unit
    request.occur_time.FromDatetime(datetime.now(UTC) + ahead)
    return request


def an_adjustment(
    lot: str, quantity: str = "-1", place: str = "storage", unit: str = "C62", ahead: timedelta = timedelta(0)
) -> messages.AdjustStockRequest:
    request = messages.AdjustStockRequest(location_id=place, adjustment_reason="counted")
    return a_change(request, lot, quantity, unit, ahead)


def a_transfer(
    lot: str,
    source: str = "storage",
    target: str = "warehouse",
    quantity: str = "2",
    unit: str = "C62",
    ahead: timedelta = timedelta(0),
) -> messages.TransferStockRequest:
    request = messages.TransferStockRequest(
        from_location_id=source, to_location_id=target, transfer_reason="to the shelf"
    )
    return a_change(request, lot, quantity, unit, ahead)


@pytest.fixture
def lot(calls: Calls) -> str:
    """Ten pieces of a bought lot in storage."""
    name = f"L-{a_number()}"
    key = a_key(name, "app-stock", "opening")
    request = messages.OpenStockRequest(business_key=key, plant_id="aachen", item_id=ITEM, lot_id=name)
    request.quantity.value, request.quantity.unit_code = "10", "C62"
    calls.inventory.OpenStock(request, timeout=10)
    return name


def stocks_of(calls: Calls, lot: str) -> dict[str, str]:
    request = messages.ListStockRequest(plant_id="aachen", item_id=ITEM, page_size=500)
    found = calls.inventory.ListStock(request, timeout=10).stocks
    return {stock.location_id: stock.quantity.value for stock in found if stock.lot_id == lot}


def lines_of(calls: Calls, lot: str) -> list[tuple[str, str, str, str]]:
    request = messages.ListInventoryTransactionsRequest(plant_id="aachen", lot_id=lot)
    found = calls.inventory.ListInventoryTransactions(request, timeout=10).transactions
    return [
        (line.location_id, MovementType.Name(line.movement_type), line.quantity.value, line.reason_code)
        for line in found
    ][1:]


def hold(calls: Calls, lot: str) -> None:
    key = a_key(a_number(), "app-stock", "hold")
    request = messages.HoldLotRequest(business_key=key, plant_id="aachen", item_id=ITEM, lot_id=lot, hold_reason="wet")
    calls.inventory.HoldLot(request, timeout=10)


def test_an_adjustment_is_booked_once_however_often_it_is_said(calls: Calls, lot: str) -> None:
    request = an_adjustment(lot)
    first, again = (calls.inventory.AdjustStock(request, timeout=10) for _ in range(2))
    assert (first.stock.quantity.value, first.replayed) == ("9", False)
    assert (again.stock.quantity.value, again.replayed) == ("9", True)
    assert lines_of(calls, lot) == [("storage", "MOVEMENT_TYPE_ADJUSTMENT", "-1", "counted")]
    request.quantity.value = "-2"
    with pytest.raises(grpc.RpcError) as refused:
        calls.inventory.AdjustStock(request, timeout=10)
    assert from_rpc_error(refused.value)[1] == "BUSINESS_KEY_CONFLICT"
    assert stocks_of(calls, lot) == {"storage": "9"}


def test_a_transfer_is_booked_once_however_often_it_is_said(calls: Calls, lot: str) -> None:
    request = a_transfer(lot)
    first, again = (calls.inventory.TransferStock(request, timeout=10) for _ in range(2))
    assert [(s.location_id, s.quantity.value) for s in first.stocks] == [("storage", "8"), ("warehouse", "2")]
    assert (first.replayed, again.replayed, again.stocks) == (False, True, first.stocks)
    assert sorted(lines_of(calls, lot)) == [
        ("storage", "MOVEMENT_TYPE_TRANSFER", "-2", "to the shelf"),
        ("warehouse", "MOVEMENT_TYPE_TRANSFER", "2", "to the shelf"),
    ]
    request.to_location_id = "scrap"
    with pytest.raises(grpc.RpcError) as refused:
        calls.inventory.TransferStock(request, timeout=10)
    assert from_rpc_error(refused.value)[1] == "BUSINESS_KEY_CONFLICT"
    assert stocks_of(calls, lot) == {"storage": "8", "warehouse": "2"}


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [
        (lambda lot: an_adjustment(lot, place="attic"), INVALID, "PLACE_UNKNOWN"),
        (lambda lot: an_adjustment(lot, "0"), INVALID, "QUANTITY_ZERO"),
        (lambda lot: an_adjustment(lot, unit="KGM"), INVALID, "UNIT_MISMATCH"),
        (lambda lot: an_adjustment(lot, place="scrap", unit="KGM"), INVALID, "UNIT_MISMATCH"),
        (lambda lot: an_adjustment("NO-LOT"), MISSING, "LOT_MISSING"),
        (lambda lot: an_adjustment(lot, ahead=AHEAD), INVALID, "TIME_IN_FUTURE"),
        (lambda lot: a_transfer(lot, target="attic"), INVALID, "PLACE_UNKNOWN"),
        (lambda lot: a_transfer(lot, target="storage"), INVALID, "SAME_PLACE"),
        (lambda lot: a_transfer(lot, quantity="-2"), INVALID, "QUANTITY_NOT_POSITIVE"),
        (lambda lot: a_transfer(lot, unit="KGM"), INVALID, "UNIT_MISMATCH"),
        (lambda lot: a_transfer("NO-LOT"), MISSING, "LOT_MISSING"),
        (lambda lot: a_transfer(lot, ahead=AHEAD), INVALID, "TIME_IN_FUTURE"),
    ],
)
def test_a_change_of_stock_that_cannot_be_is_refused_and_changes_nothing(
    calls: Calls, lot: str, changed: Callable[[str], Any], code: grpc.StatusCode, reason: str
) -> None:
    request = changed(lot)
    is_adjustment = isinstance(request, messages.AdjustStockRequest)
    call = calls.inventory.AdjustStock if is_adjustment else calls.inventory.TransferStock
    assert refusal_of(calls, lambda: call(request, timeout=10), "inventory") == (code, reason)


def test_a_held_lot_is_adjusted_and_taken_aside_and_not_brought_to_the_warehouse(calls: Calls, lot: str) -> None:
    hold(calls, lot)
    request = a_transfer(lot)
    refused = refusal_of(calls, lambda: calls.inventory.TransferStock(request, timeout=10), "inventory")
    assert refused == (PRECONDITION, "LOT_ON_HOLD")
    calls.inventory.AdjustStock(an_adjustment(lot), timeout=10)
    calls.inventory.TransferStock(a_transfer(lot, target="scrap"), timeout=10)
    assert stocks_of(calls, lot) == {"storage": "7", "scrap": "2"}


async def test_what_can_be_used_is_said_after_goods_moved(calls: Calls) -> None:
    """Also what is kept back: a held lot is on hand and can't be used. Scrap is neither."""
    item = "AVAIL-1"
    for lot, quantity in (("A-1", "40"), ("A-2", "5")):
        opening = messages.OpenStockRequest(business_key=a_key(a_number()), plant_id="aachen", item_id=item, lot_id=lot)
        opening.quantity.value, opening.quantity.unit_code = quantity, "C62"
        calls.inventory.OpenStock(opening, timeout=10)
    await eventually(lambda: availability(calls, item) == ("45", "0", "45"))
    hold = messages.HoldLotRequest(business_key=a_key(a_number()), plant_id="aachen", item_id=item, lot_id="A-2")
    hold.hold_reason = "cracked"
    calls.inventory.HoldLot(hold, timeout=10)
    await eventually(lambda: availability(calls, item) == ("45", "5", "40"))
    gone = an_adjustment("A-1", "-40")
    gone.item_id = item
    calls.inventory.AdjustStock(gone, timeout=10)
    await eventually(lambda: availability(calls, item) == ("5", "5", "0"))


def said(calls: Calls, item: str) -> list[Any]:
    request = messages.ListMaterialAvailabilitiesRequest(plant_id="aachen", item_id=item)
    return list(calls.inventory.ListMaterialAvailabilities(request, timeout=10).material_availabilities)


def availability(calls: Calls, item: str) -> tuple[str, str, str] | None:
    return next(((one.on_hand.value, one.held.value, one.available.value) for one in said(calls, item)), None)
