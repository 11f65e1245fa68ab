"""Decisions of production, on what they have seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from servicekit.domain import BusinessKey, DomainError, Quantity, UnitMismatch
from services.production import confirmation_use_cases, confirmation_wire, use_cases, wire
from services.production.domain.confirmation import ConfirmationMissing, PlantMismatch
from services.production.domain.line import Block, Line
from services.production.domain.plant import Plant
from services.production.domain.recipe import (
    BillOfMaterials,
    BillOfMaterialsNotEffective,
    BillOfMaterialsUnknown,
    InUse,
    Resource,
    ResourceRetired,
    Routing,
    RoutingNotEffective,
    RoutingUnknown,
)
from services.production.domain.totals import Total
from services.production.domain.work_order import Item, ItemUnknown, State, WorkOrderExists
from services.production.store import STORE
from tests.production.domain.test_confirmation import a_confirmation, a_work_order, pieces, two_operations
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
PUMP = Item("aachen", "PUMP-100", "C62", True)


def a_release(**changes: Any) -> wire.ReleaseWorkOrder:
    command = wire.ReleaseWorkOrder(
        business_key=BusinessKey("erp-aachen", "work_order", "1"),
        work_order_id="aachen-1",
        plant_id="aachen",
        erp_order_number="1",
        item_id="PUMP-100",
        planned=pieces("5"),
        bill_of_materials_id="",
        routing_id="",
        planned_start_date=None,
        due_date=None,
        operations=(wire.OrderedOperation(10, "Bore", "CNC"),),
        components=(),
    )
    return replace(command, **changes)


def a_report(**changes: Any) -> confirmation_wire.ConfirmOperation:
    command = confirmation_wire.ConfirmOperation(
        business_key=BusinessKey("mes-aachen", "confirmation", "M-1"),
        plant_id="aachen",
        work_order_id="aachen-1",
        operation_sequence=20,
        good=pieces("5"),
        scraps=(),
        labour=Quantity(Decimal(60), "SEC"),
        consumptions=(),
        output_lot_id="P-1",
        occur_time=NOW,
        operator_id="4711",
        is_final=True,
    )
    return replace(command, **changes)


def test_a_released_order_keeps_the_trace_in_which_it_was_seen() -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    decision = use_cases.decide_release(seen(STORE, PUMP, traceparent=trace), a_release(), NOW)
    assert facts_of(decision) == ["WorkOrderReleased"]
    assert decision.traceparent == trace


def test_an_item_nobody_told_us_of_is_waited_for() -> None:
    with pytest.raises(ItemUnknown):
        use_cases.decide_release(seen(STORE), a_release(), NOW)


def test_an_order_waits_for_its_bill_of_materials() -> None:
    release = a_release(bill_of_materials_id="bom-1")
    with pytest.raises(BillOfMaterialsUnknown) as unknown:
        use_cases.decide_release(seen(STORE, PUMP), release, NOW)
    assert unknown.value.facts == {"plant_id": "aachen", "bill_of_materials_id": "bom-1"}
    told = seen(STORE, PUMP, BillOfMaterials("aachen", "bom-1", "v1"))
    assert facts_of(use_cases.decide_release(told, release, NOW)) == ["WorkOrderReleased"]


def test_an_order_waits_for_its_routing_in_its_own_plant() -> None:
    release = a_release(routing_id="routing-1")
    with pytest.raises(RoutingUnknown):
        use_cases.decide_release(seen(STORE, PUMP, Routing("porto", "routing-1")), release, NOW)
    told = seen(STORE, PUMP, Routing("aachen", "routing-1"))
    assert facts_of(use_cases.decide_release(told, release, NOW)) == ["WorkOrderReleased"]


DAY = date(2026, 11, 24)
LATER = InUse(start_date=DAY + timedelta(days=1))


@pytest.mark.parametrize(
    ("names", "recipe", "error"),
    [
        (
            {"bill_of_materials_id": "bom-1"},
            BillOfMaterials("aachen", "bom-1", "v2", LATER),
            BillOfMaterialsNotEffective,
        ),
        ({"routing_id": "routing-1"}, Routing("aachen", "routing-1", InUse(is_retired=True)), RoutingNotEffective),
    ],
)
def test_an_order_waits_for_the_day_its_recipe_is_in_use(names: Any, recipe: Any, error: type[DomainError]) -> None:
    with pytest.raises(error) as refused:
        use_cases.decide_release(seen(STORE, PUMP, recipe), a_release(planned_start_date=DAY, **names), NOW)
    assert refused.value.facts["date"] == "2026-11-24"
    in_use = replace(recipe, in_use=InUse(start_date=DAY, end_date=DAY))
    released = use_cases.decide_release(seen(STORE, PUMP, in_use), a_release(planned_start_date=DAY, **names), NOW)
    assert facts_of(released) == ["WorkOrderReleased"]


def test_an_order_without_days_starts_today_in_its_plant() -> None:
    auckland = Plant("aachen", "Pacific/Auckland", Decimal(10))  # there it is tomorrow at 11 in the evening of UTC
    known = seen(STORE, PUMP, auckland, BillOfMaterials("aachen", "bom-1", "v2", LATER))
    release = a_release(bill_of_materials_id="bom-1")
    assert facts_of(use_cases.decide_release(known, release, NOW.replace(hour=23))) == ["WorkOrderReleased"]
    with pytest.raises(BillOfMaterialsNotEffective):
        use_cases.decide_release(known, release, NOW.replace(hour=1))


def test_an_order_moves_only_to_a_day_on_which_its_recipe_is_in_use() -> None:
    order = replace(a_work_order(), bill_of_materials_id="bom-1", planned_start_date=DAY)
    known = seen(STORE, order, *two_operations(), BillOfMaterials("aachen", "bom-1", "v1", InUse(end_date=DAY)))
    key = BusinessKey("erp-aachen", "work_order_change", "1")
    with pytest.raises(BillOfMaterialsNotEffective):
        use_cases.decide_change(
            known, wire.ChangeWorkOrder(key, "aachen-1", None, DAY + timedelta(days=1), None, ""), NOW
        )
    later_due = wire.ChangeWorkOrder(key, "aachen-1", None, None, DAY + timedelta(days=9), "")
    assert facts_of(use_cases.decide_change(known, later_due, NOW)) == ["WorkOrderChanged"]


def test_an_order_that_stays_on_its_day_keeps_its_recipe_whatever_became_of_it() -> None:
    order = replace(a_work_order(), bill_of_materials_id="bom-1", planned_start_date=DAY)
    known = seen(STORE, order, *two_operations(), BillOfMaterials("aachen", "bom-1", "v1", InUse(is_retired=True)))
    more = wire.ChangeWorkOrder(
        BusinessKey("erp-aachen", "work_order_change", "1"), "aachen-1", pieces("50"), DAY, None, ""
    )
    assert facts_of(use_cases.decide_change(known, more, NOW)) == ["WorkOrderChanged"]


def test_work_is_planned_on_no_resource_that_is_retired() -> None:
    with pytest.raises(ResourceRetired) as refused:
        use_cases.decide_release(seen(STORE, PUMP, Resource("aachen", "CNC", is_retired=True)), a_release(), NOW)
    assert refused.value.facts == {"plant_id": "aachen", "resource_id": "CNC"}
    offered = seen(STORE, PUMP, Resource("aachen", "CNC", is_retired=False))
    assert facts_of(use_cases.decide_release(offered, a_release(), NOW)) == ["WorkOrderReleased"]


def test_a_release_loads_the_recipes_that_it_names_and_no_others() -> None:
    loads = use_cases.release_work_order.loads
    named = {key.values[-1] for key in loads(a_release(bill_of_materials_id="bom-1", routing_id="r-1"), seen(STORE))}
    assert {"bom-1", "r-1"} <= named
    assert "" not in {key.values[-1] for key in loads(a_release(), seen(STORE))}


def test_an_order_is_released_once() -> None:
    with pytest.raises(WorkOrderExists):
        use_cases.decide_release(seen(STORE, PUMP, a_work_order()), a_release(), NOW)


def test_an_order_is_counted_in_its_items_unit() -> None:
    with pytest.raises(UnitMismatch):
        use_cases.decide_release(seen(STORE, PUMP), a_release(planned=Quantity(Decimal(5), "KGM")), NOW)


def test_the_last_confirmation_completes_the_order_with_its_totals() -> None:
    before = Total("aachen-1", "consumption", "HSG-10", "H-1", pieces("5"))
    decision = confirmation_use_cases.decide_confirm(
        seen(STORE, a_work_order(), *two_operations(), before), a_report(), NOW
    )
    assert facts_of(decision) == ["OperationConfirmed", "WorkOrderCompleted"]
    totals: Any = decision.facts[1].data
    assert [(o.lot_id, o.quantity.value) for o in totals.totals.outputs] == [("P-1", "5")]
    assert [(c.item_id, c.lot_id, c.quantity.value) for c in totals.totals.consumptions] == [("HSG-10", "H-1", "5")]
    assert [(line.operation_sequence, line.labour.value) for line in totals.totals.labours] == [(20, "60")]


def test_a_line_of_a_document_is_no_other_document_with_a_stroke_in_its_number() -> None:
    """Else the second of them would overwrite the first one's confirmation."""
    of_line, of_number = BusinessKey("mes", "confirmation", "7", "1"), BusinessKey("mes", "confirmation", "7/1")
    assert confirmation_wire.confirmation_id(of_line) != confirmation_wire.confirmation_id(of_number)


def test_reversing_takes_the_same_amounts_back_and_reopens() -> None:
    done = a_confirmation(confirmation_id=confirmation_wire.confirmation_id(a_confirmation().business_key))
    order = a_work_order(state=State.COMPLETED, good=pieces("5"))
    operations = [two_operations()[0], replace(two_operations()[1], good=Decimal(5))]
    total = Total("aachen-1", "output", "P-1", "", pieces("5"))
    command = confirmation_wire.ReverseConfirmation(
        BusinessKey("mes-aachen", "reversal", "M-2"), "aachen", done.business_key, "counted wrong"
    )
    decision = confirmation_use_cases.decide_reverse(seen(STORE, order, done, total, *operations), command, NOW)
    assert facts_of(decision) == ["ConfirmationReversed", "WorkOrderReopened"]
    said: Any = decision.facts[0].data
    assert said.confirmation.good_quantity.value == "-5"
    lines = [noun for noun in decision.changed if isinstance(noun, Total)]
    assert [line.quantity for line in lines if line.total_kind == "output"] == [pieces("0")]


@pytest.mark.parametrize(
    ("was_held", "is_blocked", "fact"),
    [(True, False, "WorkOrderResumed"), (False, True, "WorkOrderHeld"), (True, True, ""), (False, False, "")],
)
def test_an_order_that_is_open_again_is_told_what_became_of_its_lines(
    was_held: bool, is_blocked: bool, fact: str
) -> None:
    operations = [replace(o, good=Decimal(5), work_centre_id="CNC-01") for o in two_operations()]
    order = a_work_order(state=State.COMPLETED, good=pieces("5"), is_held=was_held)
    done = a_confirmation(
        confirmation_id=confirmation_wire.confirmation_id(a_confirmation().business_key),
        operation_sequence=20,
        output_lot_id="P-1",
    )
    total = Total("aachen-1", "output", "", "P-1", pieces("5"))
    line = Line("aachen", "CNC-01", (Block("down", "PRESS-1", 17, NOW),) if is_blocked else ())
    command = confirmation_wire.ReverseConfirmation(
        BusinessKey("mes-aachen", "reversal", "M-2"), "aachen", done.business_key, "counted wrong"
    )
    decision = confirmation_use_cases.decide_reverse(seen(STORE, order, done, total, line, *operations), command, NOW)
    assert facts_of(decision)[2:] == ([fact] if fact else [])


def test_only_a_booked_confirmation_is_reversed() -> None:
    unknown = BusinessKey("mes-aachen", "confirmation", "M-404")
    command = confirmation_wire.ReverseConfirmation(
        BusinessKey("mes-aachen", "reversal", "M-2"), "aachen", unknown, "wrong"
    )
    with pytest.raises(ConfirmationMissing):
        confirmation_use_cases.decide_reverse(seen(STORE, a_work_order()), command, NOW)


def test_another_plant_reverses_nothing_here() -> None:
    done = a_confirmation(confirmation_id=confirmation_wire.confirmation_id(a_confirmation().business_key))
    command = confirmation_wire.ReverseConfirmation(
        BusinessKey("mes-brno", "reversal", "1"), "brno", done.business_key, "wrong"
    )
    with pytest.raises(PlantMismatch):
        confirmation_use_cases.decide_reverse(seen(STORE, a_work_order(), done, *two_operations()), command, NOW)


def test_line_counters_book_nothing() -> None:
    command = wire.CountPieces("aachen-1", 10, 3, 1, NOW)
    decision = use_cases.decide_count(seen(STORE, a_work_order(), *two_operations()), command, NOW)
    assert not decision.facts
    (operation,) = decision.changed
    assert (operation.counted_good, operation.good) == (Decimal(3), Decimal(0))  # type: ignore[attr-defined]


def test_a_settled_difference_is_told_once_and_its_end_too() -> None:
    differing = replace(two_operations()[1], good=Decimal(5), counted_good=Decimal(4), is_counted=True)
    order = a_work_order(state=State.COMPLETED)
    first = use_cases.decide_variance(seen(STORE, order, differing), wire.CompareCounts("aachen-1"), NOW)
    assert facts_of(first) == ["CounterVarianceFound"]
    (told,) = first.changed
    again = use_cases.decide_variance(seen(STORE, order, told), wire.CompareCounts("aachen-1"), NOW)
    assert not again.facts
    healed = replace(told, counted_good=Decimal(5))  # type: ignore[type-var]
    last = use_cases.decide_variance(seen(STORE, order, healed), wire.CompareCounts("aachen-1"), NOW)
    assert facts_of(last) == ["CounterVarianceFound"]
