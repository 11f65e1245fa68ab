"""A Tryton's moves in our words: which document made them, and into or out of the plant's stock."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.erp.tryton_books import _booking

STORAGE, HOLD, CUSTOMER = 3, 9, 20
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SHIPMENTS = {
    "stock.shipment.out,1": {"id": 1, "number": "7", "reference": None},
    "stock.shipment.internal,2": {"id": 2, "number": "12", "reference": "aachen-4/c-1/in"},
    "stock.shipment.internal,3": {"id": 3, "number": "13", "reference": "moved by hand"},
    "stock.shipment.internal,4": {"id": 4, "number": "14", "reference": "adjustment/app/count/7"},
    "stock.shipment.internal,5": {"id": 5, "number": "15", "reference": "transfer/app/move/7"},
}


def a_move(**more: Any) -> dict[str, Any]:
    move = {"id": 41, "quantity": Decimal("2.5"), "to_location": STORAGE, "shipment": None, "origin": None}
    move |= {"product.": {"code": "PUMP-100"}, "lot.": {"number": "P-1"}, "unit.": {"symbol": "u"}}
    return move | {"write_date": None, "create_date": NOW} | more


@pytest.mark.parametrize(
    ("more", "document", "is_ours"),
    [
        ({"production_output.": {"number": "4"}}, "aachen-4", True),
        ({"production_input.": {"number": "4"}}, "aachen-4", True),
        ({"shipment": "stock.shipment.out,1"}, "aachen-delivery-7", True),
        ({"shipment": "stock.shipment.internal,2"}, "aachen-4", True),
        ({"shipment": "stock.shipment.internal,4"}, "adjustment/app/count/7", True),
        ({"shipment": "stock.shipment.internal,5"}, "transfer/app/move/7", True),
        ({"shipment": "stock.shipment.internal,3"}, "stock.shipment.internal 13", False),
        ({"origin": "stock.inventory.line,5"}, "stock.inventory.line 5", False),
        ({}, "stock.move 41", False),
    ],
)
def test_a_move_is_told_under_the_document_that_made_it(more: dict[str, Any], document: str, is_ours: bool) -> None:
    booking = _booking("aachen", a_move(**more), [STORAGE, HOLD], SHIPMENTS)
    assert (booking.document_id, booking.is_ours, booking.place) == (document, is_ours, 41)


@pytest.mark.parametrize(("to", "value"), [(STORAGE, "2.5"), (HOLD, "2.5"), (CUSTOMER, "-2.5")])
def test_into_the_plants_stock_is_above_zero(to: int, value: str) -> None:
    booking = _booking("aachen", a_move(to_location=to), [STORAGE, HOLD], {})
    assert booking.quantity.value == Decimal(value)


def test_a_move_never_written_again_has_the_time_it_was_made() -> None:
    assert _booking("aachen", a_move(), [STORAGE], {}).book_time == NOW
