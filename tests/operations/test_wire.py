"""What partners should have of the ledger: adjustments and transfers are told to the ERP, and are no variance then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from isthmus.gateway.v1.gateway_service_pb2 import PartnerBooking
from isthmus.inventory.v1.inventory_transaction_pb2 import InventoryTransaction, MovementType
from servicekit.wire import timestamp
from services.operations import wire
from services.operations.domain.reconciliation import (
    Asked,
    Booking,
    Cause,
    Reconciliation,
    State,
    Variance,
    compare,
    standings_of,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)
BEGUN = Reconciliation("aachen-1", "aachen", State.RUNNING, NOW)
ERP = "erp-aachen"
COUNT, MOVE = "adjustment/app/count/1", "transfer/app/move/1"


def a_line(
    movement: str, place: str, value: str, document: str, order: str = "", lot: str = "P-1", at: datetime = OLD
) -> InventoryTransaction:
    line = InventoryTransaction(item_id="PUMP-100", lot_id=lot, location_id=place, work_order_id=order)
    line.document_id, line.movement_type = document, MovementType.Value(f"MOVEMENT_TYPE_{movement}")
    line.quantity.value, line.quantity.unit_code = value, "C62"
    line.record_time.CopyFrom(timestamp(at))
    return line


def a_booking(document: str, value: str, lot: str = "P-1") -> PartnerBooking:
    said = PartnerBooking(document_id=document, is_ours=True, item_id="PUMP-100", lot_id=lot)
    said.quantity.value, said.quantity.unit_code = value, "C62"
    said.book_time.CopyFrom(timestamp(OLD))
    return said


MADE = a_line("OUTPUT", "output", "5", "c-1", "aachen-1")
COUNTED = a_line("ADJUSTMENT", "output", "-1", COUNT, "aachen-1")
SCRAPPED = [
    a_line("TRANSFER", "output", "-2", MOVE, "aachen-1"),
    a_line("TRANSFER", "scrap", "2", MOVE, "aachen-1"),
]


def looked(
    lines: Sequence[InventoryTransaction], told: Sequence[PartnerBooking], asked: Sequence[Asked] = ()
) -> list[Variance]:
    """The ERP, whose stock is what it has booked, beside the ledger."""
    ledger: list[Booking] = [line for line in map(wire.erp_view, lines) if line is not None]
    partner = [wire.partner_booking(said) for said in told]
    stocks: dict[tuple[str, str, str], Decimal] = {}
    for one in partner:
        key = one.item_id, one.lot_id, one.quantity.unit_code
        stocks[key] = stocks.get(key, Decimal(0)) + one.quantity.value
    standings = standings_of(ERP, asked, ledger, frozenset(), NOW)
    return compare(ledger, partner, stocks, standings, BEGUN, ERP)


def test_what_both_have_of_an_adjustment_and_a_transfer_to_scrap_is_no_variance() -> None:
    told = [a_booking("aachen-1", "5"), a_booking(COUNT, "-1"), a_booking(MOVE, "-2")]
    assert looked([MADE, COUNTED, *SCRAPPED], told) == []


def test_an_adjustment_that_the_erp_does_not_have_is_missing_under_its_own_document() -> None:
    (variance,) = looked([MADE, COUNTED], [a_booking("aachen-1", "5")])
    (cause,) = variance.causes
    assert (cause.document_id, cause.cause, variance.unexplained.value) == (COUNT, Cause.MISSING, 0)


@pytest.mark.parametrize(
    ("order", "lot", "order_key"),
    [("aachen-1", "P-1", "aachen-1"), ("", "B-1", "lot:PUMP-100:B-1"), ("", "", "item:PUMP-100")],
)
def test_an_adjustment_that_is_on_its_way_or_parked_needs_nobody_here(order: str, lot: str, order_key: str) -> None:
    line = a_line("ADJUSTMENT", "storage", "-1", COUNT, order, lot)
    for state, cause in (("booking", Cause.UNDER_WAY), ("refused", Cause.PARKED)):
        (variance,) = looked([line], [], [Asked(ERP, "adjust_stock", order_key, state, "too little")])
        assert ([found.cause for found in variance.causes], variance.is_open) == ([cause], False)
    fresh = a_line("ADJUSTMENT", "storage", "-1", COUNT, order, lot, NOW)
    (variance,) = looked([fresh], [])
    assert not variance.is_open


def test_what_stays_within_the_erps_one_location_or_in_scrap_is_nothing_to_it() -> None:
    within = [
        a_line("TRANSFER", "output", "-2", MOVE, "aachen-1"),
        a_line("TRANSFER", "warehouse", "2", MOVE, "aachen-1"),
        a_line("TRANSFER", "output", "-1", "receipt/wms/receipt/1", "aachen-1"),
        a_line("TRANSFER", "warehouse", "1", "receipt/wms/receipt/1", "aachen-1"),
        a_line("ADJUSTMENT", "scrap", "-1", "adjustment/app/count/2", "aachen-1"),
    ]
    assert looked([MADE, *within], [a_booking("aachen-1", "5")]) == []


def test_the_warehouse_is_told_of_neither() -> None:
    assert [wire.wms_view(line) for line in (COUNTED, *SCRAPPED)] == [None, None, None]
