"""Decisions of operations, on what they have seen: one comparison of a plant at a time, kept once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from servicekit.domain import BusinessKey, Quantity
from services.operations import order_wire, use_cases, wire
from services.operations.domain.order_comparison import Amounts, OrderDifference, OrderVariance, ToldOrderVariance
from services.operations.domain.reconciliation import (
    Cause,
    Desk,
    Difference,
    Reconciliation,
    ReconciliationMissing,
    ReconciliationUnderWay,
    State,
    ToldVariance,
    Variance,
)
from services.operations.store import RECONCILIATIONS, STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ASKED = wire.ReconcilePlant(BusinessKey("desk", "reconciliation", "1"), "aachen")
BEGUN = Reconciliation("aachen-4", "aachen", State.RUNNING, NOW)
PIECES = Quantity(Decimal(5), "C62")


def a_variance(cause: Cause) -> Variance:
    difference = Difference("aachen-1", cause, PIECES, PIECES.zero(), "was told, and is not there")
    of = "aachen-4", "aachen", "erp-aachen", "PUMP-100", "P-1"
    return Variance(*of, PIECES, PIECES.zero(), (difference,), PIECES.zero())


def test_a_comparison_gets_the_plants_next_number() -> None:
    decision = use_cases.decide_reconcile(seen(STORE, Desk("aachen", 3, "")), ASKED, NOW)
    assert decision.changed == [Desk("aachen", 4, "aachen-4"), BEGUN]
    assert facts_of(decision) == []


def test_a_plant_has_one_comparison_at_a_time() -> None:
    with pytest.raises(ReconciliationUnderWay) as refused:
        use_cases.decide_reconcile(seen(STORE, Desk("aachen", 4, "aachen-4")), ASKED, NOW)
    assert refused.value.facts == {"plant_id": "aachen", "reconciliation_id": "aachen-4"}


def an_order_variance(cause: Cause) -> OrderVariance:
    made = Amounts(PIECES, PIECES.zero())
    difference = OrderDifference("M-2", cause, None, made, "the MES has it")
    return OrderVariance("aachen-4", "aachen", "mes-aachen", "aachen-1", 10, None, made, (difference,))


def test_where_the_mes_differs_it_is_said_and_kept_by_work_order() -> None:
    ended = replace(BEGUN, state=State.COMPLETED, end_time=NOW)
    variances = an_order_variance(Cause.MISSING), an_order_variance(Cause.PARKED)
    command = wire.EndReconciliation(ended, (), variances)
    decision = use_cases.decide_end(seen(STORE, Desk("aachen", 4, "aachen-4"), BEGUN), command, NOW)
    assert facts_of(decision) == ["OrderVarianceFound", "ReconciliationCompleted"]
    kept = [noun for noun in decision.changed if isinstance(noun, ToldOrderVariance)]
    assert [order_wire.variance_of(one) for one in kept] == [order_wire.variance_message(one) for one in variances]
    said = order_wire.variance_of(kept[0])
    assert (said.is_open, said.HasField("booked_good_quantity"), said.mes_good_quantity.value) == (True, False, "5")


def test_what_needs_a_person_is_said_and_what_does_not_is_only_kept() -> None:
    ended = replace(BEGUN, state=State.COMPLETED, end_time=NOW)
    command = wire.EndReconciliation(ended, (a_variance(Cause.MISSING), a_variance(Cause.UNDER_WAY)))
    decision = use_cases.decide_end(seen(STORE, Desk("aachen", 4, "aachen-4"), BEGUN), command, NOW)
    assert facts_of(decision) == ["VarianceFound", "ReconciliationCompleted"]
    assert Desk("aachen", 4, "") in decision.changed
    kept = [noun for noun in decision.changed if isinstance(noun, ToldVariance)]
    assert [one.number for one in kept] == [1, 2]
    assert wire.variance_of(kept[0]) == wire.variance_message(a_variance(Cause.MISSING))


def test_a_comparison_that_failed_says_nothing_of_stock() -> None:
    failed = replace(BEGUN, state=State.FAILED, end_time=NOW, failure_text="PARTNER_AWAY")
    decision = use_cases.decide_end(
        seen(STORE, Desk("aachen", 4, "aachen-4"), BEGUN), wire.EndReconciliation(failed), NOW
    )
    assert facts_of(decision) == []
    assert failed in decision.changed


def test_a_comparison_that_was_cut_off_and_read_again_ends_once() -> None:
    ended = replace(BEGUN, state=State.COMPLETED, end_time=NOW)
    decision = use_cases.decide_end(seen(STORE, Desk("aachen", 4, ""), ended), wire.EndReconciliation(ended), NOW)
    assert (decision.moot, decision.changed) == ("it has ended before", ())


def test_a_comparison_that_never_began_is_missing() -> None:
    with pytest.raises(ReconciliationMissing):
        seen(STORE).one(RECONCILIATIONS.key("aachen-9"))
