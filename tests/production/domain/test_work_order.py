"""Rules of work orders, without any double."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from servicekit.domain import StaleEtag
from services.production.domain import work_order
from services.production.domain.work_order import (
    OperationSequenceRepeated,
    QuantityBelowConfirmed,
    QuantityNotPositive,
    State,
    WorkOrderClosed,
    WorkOrderStarted,
)
from tests.production.domain.test_confirmation import a_work_order, pieces, two_operations


def test_an_accepted_order_is_dispatched_under_the_mes_number() -> None:
    order = a_work_order(state=State.RELEASED, mes_order_number="").accept("FA-7")
    assert (order.state, order.mes_order_number) == (State.DISPATCHED, "FA-7")


def test_a_late_acceptance_does_not_stop_a_running_order() -> None:
    assert a_work_order(state=State.RUNNING).accept("FA-7").state is State.RUNNING


def test_a_declined_release_closes_the_order() -> None:
    order = a_work_order(state=State.RELEASED).decline()
    assert order.state is State.DECLINED
    assert order.is_closed()


def test_an_order_cannot_shrink_below_what_is_confirmed() -> None:
    with pytest.raises(QuantityBelowConfirmed):
        a_work_order(good=pieces("4"), state=State.RUNNING).change(pieces("3"), None, None)


def test_a_change_of_dates_leaves_the_quantity() -> None:
    order = a_work_order().change(None, None, date(2026, 12, 1))
    assert (order.planned, order.due_date) == (pieces("5"), date(2026, 12, 1))


def test_a_closed_order_takes_no_change() -> None:
    with pytest.raises(WorkOrderClosed):
        a_work_order(state=State.COMPLETED).change(pieces("6"), None, None)


def test_an_order_with_confirmed_work_is_not_cancelled() -> None:
    operations = [replace(two_operations()[0], good=pieces("1").value)]
    with pytest.raises(WorkOrderStarted):
        a_work_order().cancel(operations)


def test_an_untouched_order_is_cancelled() -> None:
    assert a_work_order().cancel(two_operations()).state is State.CANCELLED


def test_a_release_needs_a_quantity_above_zero() -> None:
    with pytest.raises(QuantityNotPositive):
        work_order.release(a_work_order(planned=pieces("0")), two_operations(), [])


def test_operations_have_sequences_of_their_own() -> None:
    first = two_operations()[0]
    with pytest.raises(OperationSequenceRepeated):
        work_order.release(a_work_order(), [first, first], [])


def test_every_change_changes_the_etag() -> None:
    order = a_work_order()
    with pytest.raises(StaleEtag):
        order.change(pieces("6"), None, None).require_etag(order.etag)
