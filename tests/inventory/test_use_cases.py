"""Decisions of inventory, on what they have seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from servicekit import foreign
from servicekit.domain import BusinessKey, Quantity
from servicekit.use_case import Decision
from services.inventory import use_cases, wire
from services.inventory.domain.ledger import (
    OUTPUT,
    STORAGE,
    WAREHOUSE,
    Lot,
    LotMissing,
    OpeningBalanceLate,
    QuantityNotPositive,
    ReceiptExceedsStock,
    Stock,
    TimeInFuture,
    Transaction,
)
from services.inventory.domain.shipment import (
    Line,
    Shipment,
    ShipmentClosed,
    ShipmentExists,
    ShipmentLineMismatch,
    ShipmentState,
    ShippedLot,
)
from services.inventory.store import STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
KEY = BusinessKey("wms", "receipt", "1")
LOT = Lot("aachen", "PUMP-100", "P-1", "aachen-1", "", NOW)


def pieces(value: str) -> Quantity:
    return Quantity(Decimal(value), "C62")


def stocks_of(decision: Decision) -> dict[tuple[str, str, str], str]:
    found = [noun for noun in decision.changed if isinstance(noun, Stock)]
    return {(s.item_id, s.lot_id, s.location_id): str(s.quantity.value) for s in found}


def a_booking(sign: int = 1) -> wire.BookConfirmation:
    return wire.BookConfirmation(
        document_id="c1",
        plant_id="aachen",
        work_order_id="aachen-1",
        item_id="PUMP-100",
        output_lot_id="P-1",
        output=pieces(str(4 * sign)),
        scraps=(wire.Lost(pieces(str(1 * sign)), "GRAT"),),
        consumptions=(wire.Used("HSG-10", "H-1", pieces(str(5 * sign))),),
        occur_time=NOW,
        plant_day=NOW.date(),
        is_late=False,
        business_key=None,
    )


def test_a_confirmation_moves_what_went_in_out_and_was_lost() -> None:
    held = Stock("aachen", "HSG-10", "H-1", STORAGE, pieces("40"))
    decision = use_cases.decide_book(seen(STORE, held), a_booking(), NOW)
    assert stocks_of(decision) == {
        ("HSG-10", "H-1", STORAGE): "35",
        ("PUMP-100", "", "scrap"): "1",
        ("PUMP-100", "P-1", OUTPUT): "4",
    }
    assert facts_of(decision) == ["InventoryMoved", "OutputStored"]


def test_a_reversal_leaves_what_was_before() -> None:
    first = use_cases.decide_book(seen(STORE), a_booking(), NOW)
    after = [noun for noun in first.changed if isinstance(noun, Stock | Lot)]
    back = use_cases.decide_book(seen(STORE, *after), a_booking(-1), NOW)
    assert set(stocks_of(back).values()) == {"0"}


def test_an_opening_balance_comes_before_any_movement() -> None:
    command = wire.OpenStock(KEY, "aachen", "HSG-10", "H-1", pieces("40"))
    assert stocks_of(use_cases.decide_open(seen(STORE), command, NOW)) == {("HSG-10", "H-1", STORAGE): "40"}
    with pytest.raises(OpeningBalanceLate):
        use_cases.decide_open(seen(STORE, Stock("aachen", "HSG-10", "H-1", STORAGE, pieces("1"))), command, NOW)


def a_receipt(**changes: Any) -> wire.ConfirmReceipt:
    values = {"quantity": pieces("4"), "occur_time": NOW, **changes}
    return wire.ConfirmReceipt(KEY, "aachen", "PUMP-100", "P-1", **values)


def test_a_receipt_moves_a_lot_into_the_warehouse() -> None:
    held = Stock("aachen", "PUMP-100", "P-1", OUTPUT, pieces("5"))
    decision = use_cases.decide_receipt(seen(STORE, LOT, held), a_receipt(), NOW)
    assert stocks_of(decision) == {("PUMP-100", "P-1", OUTPUT): "1", ("PUMP-100", "P-1", WAREHOUSE): "4"}


def test_what_the_warehouse_said_goes_with_the_fact_and_makes_no_other_document() -> None:
    source = foreign.record_of("wms", "inbound.received", "r-1", {"lot": "P-1"})
    held = Stock("aachen", "PUMP-100", "P-1", OUTPUT, pieces("5"))
    with_source = a_receipt(source=source)
    received: Any = use_cases.decide_receipt(seen(STORE, LOT, held), with_source, NOW).facts[0].data
    assert received.source_record == source
    fingerprint = use_cases.confirm_receipt.fingerprint
    assert fingerprint is not None
    assert "source" not in fingerprint.fields[1]


def test_a_line_of_a_receipt_is_no_other_receipt_with_a_stroke_in_its_number() -> None:
    held = Stock("aachen", "PUMP-100", "P-1", OUTPUT, pieces("5"))

    def document_of(number: str, line: str) -> str:
        command = replace(a_receipt(), business_key=BusinessKey("wms", "receipt", number, line))
        decision = use_cases.decide_receipt(seen(STORE, LOT, held), command, NOW)
        return next(noun.document_id for noun in decision.changed if isinstance(noun, Transaction))

    assert document_of("7", "1") != document_of("7/1", "")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"quantity": pieces("6")}, ReceiptExceedsStock),
        ({"quantity": pieces("0")}, QuantityNotPositive),
        ({"occur_time": NOW + timedelta(minutes=6)}, TimeInFuture),
    ],
)
def test_a_receipt_that_cannot_be_is_refused(changes: dict[str, Any], refusal: type[Exception]) -> None:
    held = Stock("aachen", "PUMP-100", "P-1", OUTPUT, pieces("5"))
    with pytest.raises(refusal):
        use_cases.decide_receipt(seen(STORE, LOT, held), a_receipt(**changes), NOW)


def test_a_receipt_of_an_unknown_lot_waits() -> None:
    with pytest.raises(LotMissing):
        use_cases.decide_receipt(seen(STORE), a_receipt(), NOW)


def a_shipment(state: ShipmentState = ShipmentState.ADVISED) -> Shipment:
    lines = (Line("PUMP-100", pieces("4")),)
    return Shipment("aachen-delivery-1", "aachen", "1", "Stadtwerke", None, lines, state, (), "", 1)


def ship(*lots: tuple[str, str], shipment: Shipment | None = None) -> Decision:
    said = tuple(ShippedLot("PUMP-100", lot, pieces(quantity)) for lot, quantity in lots)
    command = wire.ConfirmShipment(KEY, "aachen-delivery-1", said, NOW)
    known = [Lot("aachen", "PUMP-100", lot, f"aachen-{lot}", "", NOW) for lot, _ in lots]
    return use_cases.decide_ship(seen(STORE, shipment or a_shipment(), *known), command, NOW)


def test_a_shipment_tells_every_order_whose_output_left() -> None:
    decision = ship(("P-1", "1"), ("P-2", "3"))
    assert facts_of(decision) == ["ShipmentConfirmed", "InventoryMoved", "OutputShipped", "OutputShipped"]
    assert stocks_of(decision) == {("PUMP-100", "P-1", WAREHOUSE): "-1", ("PUMP-100", "P-2", WAREHOUSE): "-3"}


def test_what_left_must_be_what_was_ordered() -> None:
    with pytest.raises(ShipmentLineMismatch):
        ship(("P-1", "3"))


def test_a_delivery_is_shipped_once() -> None:
    with pytest.raises(ShipmentClosed):
        ship(("P-1", "4"), shipment=a_shipment(ShipmentState.SHIPPED))


def test_a_delivery_is_advised_once() -> None:
    command = wire.AdviseShipment(KEY, "aachen-delivery-1", "aachen", "1", "S", None, a_shipment().lines)
    assert facts_of(use_cases.decide_advise(seen(STORE), command, NOW)) == ["ShipmentAdvised"]
    with pytest.raises(ShipmentExists):
        use_cases.decide_advise(seen(STORE, a_shipment()), command, NOW)
