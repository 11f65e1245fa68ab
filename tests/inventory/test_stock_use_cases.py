"""Adjustments and transfers of stock, decided on what was seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from servicekit.domain import BusinessKey, Quantity, UnitMismatch
from servicekit.use_case import Decision
from services.inventory import stock_wire
from services.inventory.domain.allocation import AllocationMark
from services.inventory.domain.hold import Cause, Hold, LotOnHold
from services.inventory.domain.ledger import (
    OUTPUT,
    SCRAP,
    STORAGE,
    WAREHOUSE,
    Lot,
    LotMissing,
    Movement,
    PlaceUnknown,
    QuantityNotPositive,
    QuantityZero,
    SamePlace,
    Stock,
    TimeInFuture,
    Transaction,
)
from services.inventory.stock_use_cases import decide_adjust, decide_transfer
from services.inventory.store import STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
LATER = NOW + timedelta(minutes=6)
LOT = Lot("aachen", "PUMP-100", "P-1", "aachen-1", "", NOW)
HOLD = Hold("aachen", "PUMP-100", "P-1", Cause.PERSON, "aachen-1", "cracked", NOW)


def pieces(value: str, unit_code: str = "C62") -> Quantity:
    return Quantity(Decimal(value), unit_code)


THERE = Stock("aachen", "PUMP-100", "P-1", WAREHOUSE, pieces("4"))


def adjust(*known: object, **changes: Any) -> Decision:
    values: dict[str, Any] = {"location_id": WAREHOUSE, "quantity": pieces("-1"), "lot_id": "P-1", "occur_time": NOW}
    command = stock_wire.AdjustStock(
        BusinessKey("app", "count", "1"), "aachen", "PUMP-100", adjustment_reason="counted", **{**values, **changes}
    )
    return decide_adjust(seen(STORE, *known), command, NOW)


def transfer(*known: object, **changes: Any) -> Decision:
    values: dict[str, Any] = {"from_location_id": WAREHOUSE, "to_location_id": OUTPUT, "quantity": pieces("1")}
    values |= {"lot_id": "P-1", "occur_time": NOW}
    command = stock_wire.TransferStock(
        BusinessKey("app", "move", "1"), "aachen", "PUMP-100", transfer_reason="rework", **{**values, **changes}
    )
    return decide_transfer(seen(STORE, *known), command, NOW)


def lines_of(decision: Decision) -> list[tuple[str, Movement, str]]:
    found = [noun for noun in decision.changed if isinstance(noun, Transaction)]
    return [(line.location_id, line.movement, str(line.quantity.value)) for line in found]


def stocks_of(decision: Decision) -> dict[str, str]:
    return {noun.location_id: str(noun.quantity.value) for noun in decision.changed if isinstance(noun, Stock)}


def test_an_adjustment_is_one_line_and_is_said_in_the_order_of_the_lot() -> None:
    decision = adjust(LOT, THERE)
    assert lines_of(decision) == [(WAREHOUSE, Movement.ADJUSTMENT, "-1")]
    assert stocks_of(decision) == {WAREHOUSE: "3"}
    assert facts_of(decision) == ["StockAdjusted", "InventoryMoved"]
    assert {fact.order_key for fact in decision.facts} == {"aachen-1"}
    assert decision.answer.stock.quantity.value == "3"


def test_a_transfer_is_two_lines_that_come_to_nothing_together() -> None:
    decision = transfer(LOT, THERE)
    assert lines_of(decision) == [(WAREHOUSE, Movement.TRANSFER, "-1"), (OUTPUT, Movement.TRANSFER, "1")]
    assert stocks_of(decision) == {WAREHOUSE: "3", OUTPUT: "1"}
    assert facts_of(decision) == ["StockTransferred", "InventoryMoved"]
    assert [stock.location_id for stock in decision.answer.stocks] == [WAREHOUSE, OUTPUT]


def test_an_item_without_lots_is_kept_in_order_by_its_own_key_and_may_go_below_zero() -> None:
    decision = adjust(lot_id="", location_id=STORAGE)
    assert stocks_of(decision) == {STORAGE: "-1"}
    assert {(fact.order_key, fact.subject_id) for fact in decision.facts} == {("item:PUMP-100", "PUMP-100")}


@pytest.mark.parametrize(("place", "count"), [(WAREHOUSE, 1), (OUTPUT, 0)])
def test_deliveries_are_allocated_anew_when_the_warehouse_changes(place: str, count: int) -> None:
    decision = adjust(LOT, THERE, location_id=place)
    assert sum(isinstance(noun, AllocationMark) for noun in decision.changed) == count


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"location_id": "attic"}, PlaceUnknown),
        ({"quantity": pieces("0")}, QuantityZero),
        ({"quantity": pieces("1", "KGM")}, UnitMismatch),
        ({"quantity": pieces("1", "KGM"), "location_id": SCRAP}, UnitMismatch),
        ({"lot_id": "P-9"}, LotMissing),
        ({"occur_time": LATER}, TimeInFuture),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused(changes: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        adjust(LOT, THERE, **changes)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"from_location_id": "attic"}, PlaceUnknown),
        ({"to_location_id": "attic"}, PlaceUnknown),
        ({"to_location_id": WAREHOUSE}, SamePlace),
        ({"quantity": pieces("0")}, QuantityNotPositive),
        ({"quantity": pieces("-1")}, QuantityNotPositive),
        ({"quantity": pieces("1", "KGM")}, UnitMismatch),
        ({"lot_id": "P-9"}, LotMissing),
        ({"occur_time": LATER}, TimeInFuture),
    ],
)
def test_a_transfer_that_cannot_be_is_refused(changes: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        transfer(LOT, THERE, **changes)


@pytest.mark.parametrize(("source", "target"), [(OUTPUT, WAREHOUSE), (SCRAP, STORAGE), (STORAGE, WAREHOUSE)])
def test_a_held_lot_is_not_brought_to_where_it_could_be_used_or_shipped(source: str, target: str) -> None:
    with pytest.raises(LotOnHold) as refusal:
        transfer(LOT, THERE, HOLD, from_location_id=source, to_location_id=target)
    assert refusal.value.facts["hold_id"] == HOLD.hold_id
    free = HOLD.released("sound", NOW)
    assert facts_of(transfer(LOT, THERE, free, from_location_id=source, to_location_id=target))


@pytest.mark.parametrize("target", [OUTPUT, SCRAP])
def test_a_held_lot_may_be_taken_aside(target: str) -> None:
    assert stocks_of(transfer(LOT, THERE, HOLD, to_location_id=target)) == {WAREHOUSE: "3", target: "1"}


def test_a_held_lot_may_be_adjusted_and_stays_held() -> None:
    decision = adjust(LOT, THERE, HOLD)
    assert stocks_of(decision) == {WAREHOUSE: "3"}
    assert not any(isinstance(noun, Hold) for noun in decision.changed)


def test_a_hold_of_another_lot_stands_in_no_transfers_way() -> None:
    other = replace(HOLD, lot_id="P-2")
    assert facts_of(transfer(LOT, THERE, other, from_location_id=OUTPUT, to_location_id=WAREHOUSE))
