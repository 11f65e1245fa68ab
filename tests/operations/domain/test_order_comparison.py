"""Where production and the MES are apart, each report that makes it is named with its cause; equal books have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.domain import Quantity
from services.operations.domain.order_comparison import (
    Amounts,
    Confirmed,
    OrderVariance,
    Report,
    Way,
    booked_of,
    compare,
    folded,
    heard_to,
    settle,
)
from services.operations.domain.reconciliation import Cause, Reconciliation, Standing, State

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)
BEGUN = Reconciliation("aachen-1", "aachen", State.RUNNING, NOW)
QUIET = Way(NOW, None, {})


def done(good: str, scrap: str = "0") -> Amounts:
    return Amounts(Quantity(Decimal(good), "C62"), Quantity(Decimal(scrap), "C62"))


def a_report(document: str, good: str = "5", **more: Any) -> Report:
    said = Report(document, "aachen-1", 10, done(good), "", OLD, True, "mes:FA-1")
    return replace(said, **more)


def a_reversal(document: str, of: str, **more: Any) -> Report:
    return a_report(document, **{"amounts": None, "reversed_id": of, **more})


def booked(*reports: Report, **more: Any) -> list[Confirmed]:
    """What production has if all of these came through."""
    return [
        replace(
            Confirmed(r.document_id, r.order_id, r.operation_sequence, r.amounts or done("0"), False, "mes-aachen"),
            **more,
        )
        for r in reports
    ]


def looked(reports: Sequence[Report], confirmed: Sequence[Confirmed], way: Way = QUIET) -> list[OrderVariance]:
    return compare(folded(reports), booked_of(confirmed, "mes-aachen"), way, BEGUN, "mes-aachen")


def the_cause(variances: Sequence[OrderVariance]) -> tuple[str, Cause, bool]:
    (variance,) = variances
    (cause,) = variance.causes
    return cause.document_id, cause.cause, variance.is_open


FIRST, SECOND, LAST = a_report("M-1"), a_report("M-2", "4"), a_report("M-3", "3", take_time=OLD + timedelta(minutes=1))
BOOK = [FIRST, SECOND, LAST]


def test_equal_books_have_no_variance() -> None:
    assert looked(BOOK, booked(*BOOK)) == []
    assert looked([*BOOK, SECOND], booked(*BOOK)) == []  # a report that the MES sent again
    assert looked([*BOOK, a_reversal("M-4", "M-2")], [*booked(FIRST, LAST), *booked(SECOND, is_reversed=True)]) == []


def test_what_an_app_confirmed_is_no_variance_of_the_mes() -> None:
    assert looked(BOOK, booked(*BOOK) + booked(a_report("T-1", "9"), source_system="terminal")) == []


@pytest.mark.parametrize(
    ("reports", "confirmed", "document", "cause"),
    [
        (BOOK, booked(FIRST, LAST), "M-2", Cause.MISSING),
        (BOOK, [*booked(FIRST, LAST), *booked(SECOND, amounts=done("8"))], "M-2", Cause.DOUBLED),
        (BOOK, [*booked(FIRST, LAST), *booked(SECOND, amounts=done("3", "1"))], "M-2", Cause.WRONG_QUANTITY),
        ([FIRST, LAST], booked(*BOOK), "M-2", Cause.FOREIGN),
        ([*BOOK, a_reversal("M-4", "M-2")], booked(*BOOK), "M-2", Cause.WRONG_QUANTITY),
        (BOOK, [*booked(FIRST, LAST), *booked(SECOND, is_reversed=True)], "M-2", Cause.WRONG_QUANTITY),
        ([*BOOK, a_report("M-5", take_time=None)], booked(*BOOK), "M-5", Cause.MISSING),  # read, and gone
    ],
)
def test_a_report_that_is_held_differently_is_named_with_its_cause(
    reports: list[Report], confirmed: list[Confirmed], document: str, cause: Cause
) -> None:
    assert the_cause(looked(reports, confirmed)) == (document, cause, True)


def test_a_variance_says_what_each_side_has_of_the_operation() -> None:
    (variance,) = looked(BOOK, booked(FIRST, LAST))
    assert (variance.work_order_id, variance.operation_sequence) == ("aachen-1", 10)
    assert (str(variance.booked), str(variance.mes)) == ("8 C62 good, 0 C62 scrap", "12 C62 good, 0 C62 scrap")


@pytest.mark.parametrize(
    ("report", "way"),
    [
        (a_report("M-9", take_time=None, is_read=False), QUIET),
        (a_report("M-9", take_time=NOW - timedelta(seconds=5)), QUIET),
        (a_report("M-9", take_time=OLD + timedelta(minutes=2)), replace(QUIET, backlog_time=OLD)),
        (a_report("M-9", take_time=OLD + timedelta(minutes=2)), replace(QUIET, heard_before=OLD)),
    ],
)
def test_a_report_on_its_way_needs_nobody(report: Report, way: Way) -> None:
    assert the_cause(looked([*BOOK, report], booked(*BOOK), way)) == ("M-9", Cause.UNDER_WAY, False)


def test_a_reversal_on_its_way_needs_nobody() -> None:
    reversal = a_reversal("M-4", "M-3", take_time=NOW - timedelta(seconds=5))
    assert the_cause(looked([*BOOK, reversal], booked(*BOOK))) == ("M-3", Cause.UNDER_WAY, False)


def test_a_report_that_production_has_come_past_is_not_on_its_way_however_fresh() -> None:
    lost = a_report("M-8", take_time=NOW - timedelta(seconds=9))
    later = a_report("M-9", take_time=NOW - timedelta(seconds=5))
    way = replace(QUIET, backlog_time=OLD, heard_before=OLD)
    assert the_cause(looked([*BOOK, lost, later], booked(*BOOK, later), way)) == ("M-8", Cause.MISSING, True)


@pytest.mark.parametrize("lane", ["mes:FA-1", "aachen-1"])
def test_a_report_in_a_lane_of_the_bridge_or_of_production_is_parked(lane: str) -> None:
    lanes = {lane: Standing(Cause.PARKED, "UNIT_MISMATCH")}
    unread = a_report("M-9", amounts=None, take_time=None, unreadable_text="gut is O")
    assert the_cause(looked([*BOOK, unread], booked(*BOOK), replace(QUIET, lanes=lanes)))[1:] == (Cause.PARKED, False)
    assert the_cause(looked(BOOK, booked(FIRST, LAST), replace(QUIET, lanes=lanes)))[1:] == (Cause.PARKED, False)


def test_a_report_that_can_not_be_read_and_was_put_right_on_its_way_is_no_variance() -> None:
    unread = a_report("M-9", amounts=None, unreadable_text="gut is O")
    assert looked([*BOOK, unread], booked(*BOOK, replace(unread, amounts=done("1")))) == []
    assert the_cause(looked([*BOOK, replace(unread, take_time=None)], booked(*BOOK)))[1] is Cause.MISSING


def test_only_what_two_looks_agree_on_needs_a_person() -> None:
    first = looked(BOOK, booked(FIRST, LAST))
    assert settle(first, first) == first
    assert settle(first, looked(BOOK, booked(*BOOK))) == []
    assert the_cause(settle([], first)) == ("M-2", Cause.UNDER_WAY, False)
    moved = looked(BOOK, booked(SECOND, LAST))
    assert the_cause(settle(first, moved)) == ("M-1", Cause.UNDER_WAY, False)


@given(st.permutations(range(6)), st.integers(0, 6))
def test_reports_that_arrive_in_order_raise_no_alarm_wherever_they_are_looked_at(
    order: Sequence[int], arrived: int
) -> None:
    taken = [a_report(f"M-{n}", take_time=NOW - timedelta(seconds=30 - n)) for n in range(6)]
    variances = looked([taken[n] for n in order], booked(*taken[:arrived]))
    assert not any(variance.is_open for variance in variances)
    assert sum(len(variance.causes) for variance in variances) == 6 - arrived


def test_how_far_production_has_heard_counts_what_it_has_and_no_reversal_that_it_has_not() -> None:
    by_document: Mapping[str, Report] = folded([*BOOK, a_reversal("M-4", "M-1", take_time=NOW)])
    assert heard_to(by_document, {one.document_id: one for one in booked(*BOOK)}) == LAST.take_time
    assert heard_to(by_document, {}) is None
