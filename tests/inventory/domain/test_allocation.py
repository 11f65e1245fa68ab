"""Which lots a delivery gets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from servicekit.domain import Quantity
from services.inventory.domain.allocation import FreeLot, allocate
from services.inventory.domain.shipment import Line, Shipment, ShipmentState

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


def pieces(value: int | str) -> Quantity:
    return Quantity(Decimal(value), "C62")


def a_delivery(number: str, amount: int, planned: date | None = None, unit: str = "C62") -> Shipment:
    line = Line("PUMP-100", Quantity(Decimal(amount), unit))
    state = ShipmentState.ADVISED
    return Shipment(f"aachen-delivery-{number}", "aachen", number, "Acme", planned, (line,), state, (), "", 1)


def a_lot(name: str, amount: int, age: int = 0) -> FreeLot:
    return FreeLot("PUMP-100", name, pieces(amount), NOW - timedelta(hours=age))


def told(deliveries: list[Shipment], lots: list[FreeLot]) -> dict[str, tuple[list[tuple[str, str]], list[str]]]:
    return {
        one.shipment_id.rpartition("-")[2]: (
            [(lot.lot_id, str(lot.quantity.value)) for lot in one.allocated_lots],
            [str(lacking.quantity.value) for lacking in one.shortages],
        )
        for one in allocate("aachen", deliveries, lots)
    }


def test_the_oldest_lot_goes_first_and_what_lacks_is_said() -> None:
    lots = [a_lot("NEW", 3), a_lot("OLD", 2, age=5)]
    assert told([a_delivery("1", 6)], lots) == {"1": ([("OLD", "2"), ("NEW", "3")], ["1"])}


def test_the_delivery_that_is_planned_first_is_served_first_then_the_lower_number() -> None:
    soon, late = date(2026, 11, 25), date(2026, 12, 1)
    deliveries = [a_delivery("10", 2), a_delivery("9", 2), a_delivery("11", 2, late), a_delivery("12", 2, soon)]
    served = told(deliveries, [a_lot("P-1", 5)])
    assert served == {
        "12": ([("P-1", "2")], []),
        "11": ([("P-1", "2")], []),
        "9": ([("P-1", "1")], ["1"]),
        "10": ([], ["2"]),
    }


def test_stock_in_another_unit_covers_nothing() -> None:
    assert told([a_delivery("1", 1, unit="BX")], [a_lot("P-1", 12)]) == {"1": ([], ["1"])}


@given(
    st.lists(st.integers(1, 9), max_size=6).map(lambda each: [a_delivery(str(n), a) for n, a in enumerate(each, 1)]),
    st.lists(st.integers(1, 9), max_size=6).map(lambda each: [a_lot(f"P-{n}", a, n) for n, a in enumerate(each, 1)]),
)
def test_nothing_is_given_twice_and_nothing_is_kept_back(deliveries: list[Shipment], lots: list[FreeLot]) -> None:
    found = allocate("aachen", deliveries, lots)
    given_away = sum((lot.quantity.value for one in found for lot in one.allocated_lots), Decimal(0))
    lacking = sum((lack.quantity.value for one in found for lack in one.shortages), Decimal(0))
    there = sum((lot.quantity.value for lot in lots), Decimal(0))
    wanted = sum((line.quantity.value for one in deliveries for line in one.lines), Decimal(0))
    assert given_away == min(there, wanted)
    assert given_away + lacking == wanted
    for lot in lots:
        parts = [part.quantity.value for one in found for part in one.allocated_lots if part.lot_id == lot.lot_id]
        assert sum(parts, Decimal(0)) <= lot.quantity.value
