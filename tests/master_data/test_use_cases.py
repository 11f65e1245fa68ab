"""Decisions of master data, on what they have seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from servicekit.domain import BusinessKey, Quantity, UnitMismatch, UnitUnknown
from services.master_data import use_cases, wire
from services.master_data.domain.inventory_policy import InventoryPolicy, QuantityNegative
from services.master_data.domain.item import Item, ItemMissing
from services.master_data.domain.recipe import (
    BillOfMaterials,
    Component,
    EffectiveDatesReversed,
    OperationSequenceRepeated,
    QuantityNotPositive,
    Routing,
    RoutingOperation,
)
from services.master_data.store import STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
KEY = BusinessKey("erp-aachen", "item", "PUMP-100")
PUMP = Item("aachen", "PUMP-100", "Pump", "C62", True, version=1)
SEAL = Item("aachen", "SEAL-7", "Seal", "C62", False, version=1)


def a_bill(value: str = "2") -> BillOfMaterials:
    parts = (Component("SEAL-7", Quantity(Decimal(value), "C62")),)
    return BillOfMaterials("aachen", "bom-1", "PUMP-100", "v1", Quantity(Decimal(1), "C62"), parts)


def a_policy(**levels: Quantity) -> wire.RecordInventoryPolicy:
    said = {"safety_stock": None, "reorder_point": None, "target_stock": None, **levels}
    return wire.RecordInventoryPolicy(KEY, InventoryPolicy("aachen", "SEAL-7", **said))


def test_a_new_policy_is_told_and_the_same_again_is_not() -> None:
    command = a_policy(reorder_point=Quantity(Decimal(80), "C62"))
    first = use_cases.decide_inventory_policy(seen(STORE, SEAL), command, NOW)
    assert facts_of(first) == ["InventoryPolicyChanged"]
    again = use_cases.decide_inventory_policy(seen(STORE, SEAL, *first.changed), command, NOW)
    assert facts_of(again) == []


def test_a_policy_is_of_an_item_that_is_recorded() -> None:
    with pytest.raises(ItemMissing):
        use_cases.decide_inventory_policy(seen(STORE), a_policy(), NOW)


def test_levels_of_a_policy_are_in_the_items_unit() -> None:
    with pytest.raises(UnitMismatch):
        use_cases.decide_inventory_policy(seen(STORE, SEAL), a_policy(target_stock=Quantity(Decimal(1), "KGM")), NOW)


def test_no_level_of_a_policy_is_below_zero() -> None:
    with pytest.raises(QuantityNegative) as refused:
        use_cases.decide_inventory_policy(seen(STORE, SEAL), a_policy(safety_stock=Quantity(Decimal(-1), "C62")), NOW)
    assert refused.value.facts["field"] == "safety_stock"


def test_a_new_item_is_told() -> None:
    command = wire.RecordItem(KEY, Item("aachen", "PUMP-100", "Pump", "C62", True))
    decision = use_cases.decide_item(seen(STORE), command, NOW)
    assert facts_of(decision) == ["ItemChanged"]
    assert decision.changed == [PUMP]


def test_an_item_that_is_as_before_is_not_told() -> None:
    command = wire.RecordItem(KEY, Item("aachen", "PUMP-100", "Pump", "C62", True))
    decision = use_cases.decide_item(seen(STORE, PUMP), command, NOW)
    assert not decision.facts
    assert not decision.changed


def test_an_item_has_a_unit_of_our_table() -> None:
    with pytest.raises(UnitUnknown):
        use_cases.decide_item(seen(STORE), wire.RecordItem(KEY, Item("aachen", "X", "X", "XYZ", False)), NOW)


def test_a_bill_waits_for_its_components() -> None:
    with pytest.raises(ItemMissing) as missing:
        use_cases.decide_bill(seen(STORE, PUMP), wire.RecordBillOfMaterials(KEY, a_bill()), NOW)
    assert missing.value.facts["item_id"] == "SEAL-7"


def test_a_bill_of_recorded_items_is_told() -> None:
    decision = use_cases.decide_bill(seen(STORE, PUMP, SEAL), wire.RecordBillOfMaterials(KEY, a_bill()), NOW)
    assert facts_of(decision) == ["BillOfMaterialsReleased"]


def test_a_bill_takes_more_than_nothing() -> None:
    with pytest.raises(QuantityNotPositive):
        use_cases.decide_bill(seen(STORE, PUMP, SEAL), wire.RecordBillOfMaterials(KEY, a_bill("0")), NOW)


def test_a_routing_has_each_sequence_once() -> None:
    step = RoutingOperation(10, "Bore", "CNC", "")
    command = wire.RecordRouting(KEY, Routing("aachen", "routing-1", "PUMP-100", (step, step)))
    with pytest.raises(OperationSequenceRepeated):
        use_cases.decide_routing(seen(STORE, PUMP), command, NOW)


STEP = RoutingOperation(10, "Bore", "CNC", "")
A_ROUTING = Routing("aachen", "routing-1", "PUMP-100", (STEP,))
FIRST, LAST = date(2026, 3, 1), date(2026, 2, 28)


def test_a_bill_does_not_end_before_it_starts() -> None:
    said = replace(a_bill(), effective_start_date=FIRST, effective_end_date=LAST)
    with pytest.raises(EffectiveDatesReversed) as reversed_dates:
        use_cases.decide_bill(seen(STORE, PUMP, SEAL), wire.RecordBillOfMaterials(KEY, said), NOW)
    assert reversed_dates.value.facts["bill_of_materials_id"] == "bom-1"


def test_a_routing_does_not_end_before_it_starts() -> None:
    said = replace(A_ROUTING, effective_start_date=FIRST, effective_end_date=LAST)
    with pytest.raises(EffectiveDatesReversed) as reversed_dates:
        use_cases.decide_routing(seen(STORE, PUMP), wire.RecordRouting(KEY, said), NOW)
    assert reversed_dates.value.facts["routing_id"] == "routing-1"


@pytest.mark.parametrize(("start", "end"), [(FIRST, FIRST), (FIRST, None), (None, LAST)])
def test_a_recipe_of_one_day_or_without_an_end_is_told(start: date | None, end: date | None) -> None:
    said = replace(A_ROUTING, effective_start_date=start, effective_end_date=end)
    decision = use_cases.decide_routing(
        seen(STORE, PUMP, replace(A_ROUTING, version=1)), wire.RecordRouting(KEY, said), NOW
    )
    assert facts_of(decision) == ["RoutingReleased"]
    assert decision.changed == [replace(said, version=2)]
