"""A variance is led back to the transactions that make it, or said to be unexplained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.domain import Quantity
from services.operations.domain.reconciliation import (
    OPENING,
    Asked,
    Booking,
    Cause,
    Reconciliation,
    Standing,
    State,
    Variance,
    compare,
    settle,
    standings_of,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BEGUN = Reconciliation("aachen-1", "aachen", State.RUNNING, NOW)
LOT = ("PUMP-100", "P-1", "C62")


def a_line(document: str, value: str, *, at: datetime = NOW - timedelta(hours=1), is_ours: bool = True) -> Booking:
    quantity = Quantity(Decimal(value), "C62")
    return Booking(document, "PUMP-100", "P-1", quantity, at, document, is_ours)


def looked(
    ledger: Sequence[Booking],
    partner: Sequence[Booking],
    standings: Mapping[str, Standing] | None = None,
    has: str | None = None,
) -> list[Variance]:
    total = sum((line.quantity.value for line in partner), Decimal(0)) if has is None else Decimal(has)
    return compare(ledger, partner, {LOT: total}, standings or {}, BEGUN, "erp-aachen")


LEDGER = [a_line("aachen-1", "5"), a_line("aachen-2", "4"), a_line("aachen-delivery-1", "-3")]


def test_equal_books_have_no_variance() -> None:
    assert looked(LEDGER, LEDGER) == []


@pytest.mark.parametrize(
    ("partner", "cause"),
    [
        ([LEDGER[0], LEDGER[2]], Cause.MISSING),
        ([*LEDGER, LEDGER[1]], Cause.DOUBLED),
        ([LEDGER[0], a_line("aachen-2", "4.5"), LEDGER[2]], Cause.WRONG_QUANTITY),
        ([*LEDGER, a_line("stock.inventory.line 7", "2", is_ours=False)], Cause.FOREIGN),
    ],
)
def test_a_planted_fault_is_named_with_its_document(partner: list[Booking], cause: Cause) -> None:
    (variance,) = looked(LEDGER, partner)
    (found,) = variance.causes
    assert (found.cause, variance.is_open, variance.unexplained.value) == (cause, True, 0)
    assert found.document_id == ("stock.inventory.line 7" if cause is Cause.FOREIGN else "aachen-2")


def test_stock_that_no_booking_accounts_for_is_unexplained() -> None:
    (variance,) = looked(LEDGER, LEDGER, has="5")
    assert (variance.causes, variance.unexplained) == ((), Quantity(Decimal(-1), "C62"))
    assert variance.is_open


def test_what_is_not_told_yet_or_stands_in_a_lane_needs_nobody() -> None:
    parked = Standing(Cause.PARKED, "complete_work_order was refused")
    (variance,) = looked(LEDGER, [LEDGER[0], LEDGER[2]], {"aachen-2": parked})
    assert [cause.cause for cause in variance.causes] == [Cause.PARKED]
    assert not variance.is_open


def test_what_a_partner_booked_before_the_ledger_began_is_part_of_its_opening() -> None:
    begun = NOW - timedelta(hours=2)
    ledger = [a_line(OPENING, "10", at=begun), *LEDGER]
    before = [
        a_line("stock.inventory.line 1", "12", at=begun - timedelta(days=9), is_ours=False),
        a_line("aachen-0", "-2", at=begun - timedelta(days=1)),
    ]
    assert looked(ledger, [*before, *LEDGER]) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9)), max_size=12), st.integers(-9, 9), st.data())
def test_causes_and_the_unexplained_always_add_up_to_the_variance(
    lines: list[tuple[str, int]], drift: int, data: st.DataObject
) -> None:
    ledger = [a_line(document, str(value)) for document, value in lines]
    partner = [line for line in ledger for _ in range(data.draw(st.integers(0, 3)))]
    total = sum((line.quantity.value for line in partner), Decimal(0)) + drift
    for variance in looked(ledger, partner, has=str(total)):
        explained = sum((cause.amount for cause in variance.causes), Decimal(0))
        assert explained + variance.unexplained.value == variance.partner.value - variance.ledger.value
        assert variance.unexplained.value == drift


def test_only_what_two_looks_agree_on_needs_a_person() -> None:
    first = looked(LEDGER, [LEDGER[0], LEDGER[2]])
    assert settle(first, first) == first
    moved = looked([*LEDGER, a_line("aachen-3", "1")], [LEDGER[0], LEDGER[2]])
    (variance,) = settle(first, moved)
    kinds = {cause.document_id: cause.cause for cause in variance.causes}
    assert kinds == {"aachen-2": Cause.MISSING, "aachen-3": Cause.UNDER_WAY}
    assert settle([], first)[0].is_open is False
    assert settle(first, looked(LEDGER, LEDGER)) == []


def test_unexplained_stock_counts_only_if_both_looks_show_it() -> None:
    first, second = looked(LEDGER, LEDGER, has="5"), looked(LEDGER, LEDGER, has="4")
    assert settle(first, second) == []
    assert settle(first, first) == first


def test_why_a_partner_can_not_have_it_yet() -> None:
    fresh = replace(a_line("aachen-4", "1"), book_time=NOW - timedelta(seconds=5))
    asked = [
        Asked("erp-aachen", "complete_work_order", "aachen-1", "unknown", ""),
        Asked("erp-aachen", "complete_work_order", "aachen-2", "refused", "no period"),
        Asked("wms", "announce_receipt", "aachen-5", "refused", "other partner"),
    ]
    found = standings_of("erp-aachen", asked, [*LEDGER, fresh], frozenset({"aachen-3"}), NOW)
    kinds = {order: standing.cause for order, standing in found.items()}
    under_way = dict.fromkeys(("aachen-1", "aachen-3", "aachen-4"), Cause.UNDER_WAY)
    assert kinds == {**under_way, "aachen-2": Cause.PARKED}
    assert "no period" in found["aachen-2"].text
