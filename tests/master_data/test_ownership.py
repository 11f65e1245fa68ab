"""A system changes what it owns; what else it offers is kept for somebody to decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from servicekit.domain import BusinessKey, Quantity
from servicekit.use_case import Decision
from services.master_data import use_cases, wire
from services.master_data.domain.foreign_id import ForeignId, ForeignIdTaken
from services.master_data.domain.inventory_policy import InventoryPolicy
from services.master_data.domain.item import Item
from services.master_data.domain.ownership import (
    SHAPES,
    EntityType,
    OwnedFieldUnknown,
    OwnershipRefusal,
    OwnershipRefusalDecided,
    OwnershipRefusalMissing,
    OwnershipRefusalStale,
    OwnershipRule,
    State,
    candidates,
    owner_of,
)
from services.master_data.domain.partner import Partner
from services.master_data.domain.recipe import BillOfMaterials, Component, Routing, RoutingOperation
from services.master_data.domain.resource import Resource
from services.master_data.store import STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
ERP, MES = BusinessKey("erp-aachen", "item", "1"), BusinessKey("mes-aachen", "item", "1")
PUMP = Item("aachen", "PUMP-100", "Pump", "C62", True, version=3)
ERP_OWNS_ITEMS = OwnershipRule("item", "", "", "erp-aachen", 1)
MES_OWNS_TRACKING = OwnershipRule("item", "aachen", "is_lot_tracked", "mes-aachen", 1)
OFFER = wire.RecordItem(MES, replace(PUMP, description="Pumpe", is_lot_tracked=False, version=0))


def refusals_of(decision: Decision) -> list[OwnershipRefusal]:
    return [noun for noun in decision.changed if isinstance(noun, OwnershipRefusal)]


def refused(*nouns: object, command: wire.RecordItem = OFFER) -> OwnershipRefusal:
    (found,) = refusals_of(use_cases.decide_item(seen(STORE, *nouns), command, NOW))
    return found


def test_the_most_specific_rule_decides() -> None:
    rules = {
        candidate: OwnershipRule(*candidate, f"owner-{number}")
        for number, candidate in enumerate(candidates(EntityType.ITEM, "aachen", "unit_code"))
    }
    assert list(rules) == [
        ("item", "aachen", "unit_code"),
        ("item", "aachen", ""),
        ("item", "", "unit_code"),
        ("item", "", ""),
    ]
    for number in range(4):
        assert owner_of([None] * number + list(rules.values())[number:]) == f"owner-{number}"
    assert owner_of([None] * 4) == ""


def test_an_item_is_retired_by_its_owner_and_by_nobody_else() -> None:
    gone = replace(PUMP, is_retired=True, version=0)
    nobody = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS), wire.RecordItem(MES, gone), NOW)
    assert [(r.field_name, r.offered) for r in refusals_of(nobody)] == [("is_retired", "true")]
    owner = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS), wire.RecordItem(ERP, gone), NOW)
    assert owner.changed == [replace(PUMP, is_retired=True, version=4)]
    answers: list[Any] = [nobody.answer, owner.answer]
    assert [answer.is_changed for answer in answers] == [False, True]


def test_what_the_writer_owns_is_applied_and_the_rest_is_refused_with_both_values() -> None:
    decision = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING), OFFER, NOW)
    assert decision.changed[0] == replace(PUMP, is_lot_tracked=False, version=4)
    (refusal,) = refusals_of(decision)
    assert (refusal.field_name, refusal.kept, refusal.offered) == ("description", "Pump", "Pumpe")
    assert (refusal.owner, refusal.source_system, refusal.state) == ("erp-aachen", "mes-aachen", State.OPEN)
    assert facts_of(decision) == ["ItemChanged", "OwnershipRefused"]
    answer: Any = decision.answer
    assert [r.field_name for r in answer.ownership_refusals] == ["description"]
    assert answer.item.description == "Pump"


def test_nothing_is_applied_and_no_item_fact_is_said_when_all_is_refused() -> None:
    command = wire.RecordItem(MES, replace(PUMP, description="Pumpe"))
    decision = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS), command, NOW)
    assert facts_of(decision) == ["OwnershipRefused"]
    assert not [noun for noun in decision.changed if isinstance(noun, Item)]


def test_the_same_offer_again_is_the_same_refusal_and_is_counted() -> None:
    first = refused(PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING)
    decision = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING, first), OFFER, LATER)
    assert refusals_of(decision) == [replace(first, offer_count=2, offer_time=LATER)]
    assert "OwnershipRefused" not in facts_of(decision)


def test_another_value_offered_updates_the_refusal_and_is_told() -> None:
    first = refused(PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING)
    other = wire.RecordItem(MES, replace(PUMP, description="Pompe"))
    decision = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS, first), other, LATER)
    assert refusals_of(decision) == [replace(first, offered="Pompe", offer_count=2, offer_time=LATER)]
    assert facts_of(decision) == ["OwnershipRefused"]


def test_a_source_that_offers_what_is_kept_drops_its_refusal() -> None:
    first = refused(PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING)
    decision = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS, first), wire.RecordItem(MES, PUMP), LATER)
    assert [r.state for r in refusals_of(decision)] == [State.DROPPED]
    assert facts_of(decision) == ["OwnershipRefusalDecided"]


def test_a_dropped_value_stays_dropped_until_another_one_is_offered() -> None:
    dropped = refused(PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING).decided(State.DROPPED, "a typo", "4711", NOW)
    again = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING, dropped), OFFER, LATER)
    assert [r.state for r in refusals_of(again)] == [State.DROPPED]
    other = wire.RecordItem(MES, replace(PUMP, description="Pompe"))
    decision = use_cases.decide_item(seen(STORE, PUMP, ERP_OWNS_ITEMS, dropped), other, LATER)
    assert [r.state for r in refusals_of(decision)] == [State.OPEN]


def test_an_item_is_created_only_by_its_owner() -> None:
    refusal = refused(ERP_OWNS_ITEMS)
    assert (refusal.field_name, refusal.kept) == ("", "")
    created = use_cases.decide_item(seen(STORE, ERP_OWNS_ITEMS), replace(OFFER, business_key=ERP), NOW)
    assert facts_of(created) == ["ItemChanged"]


def a_decision(refusal: OwnershipRefusal, to: State = State.APPLIED) -> wire.DecideOwnershipRefusal:
    return wire.DecideOwnershipRefusal(BusinessKey("desk", "decision", "1"), refusal.refusal_id, to, "agreed", "4711")


def test_an_applied_refusal_puts_the_offered_value_in_place() -> None:
    refusal = refused(PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING)
    decision = use_cases.decide_refusal(seen(STORE, PUMP, refusal), a_decision(refusal), LATER)
    assert decision.changed == [
        refusal.decided(State.APPLIED, "agreed", "4711", LATER),
        replace(PUMP, description="Pumpe", version=4),
    ]
    assert facts_of(decision) == ["OwnershipRefusalDecided", "ItemChanged"]


def test_an_applied_refusal_creates_the_whole_entity() -> None:
    refusal = refused(ERP_OWNS_ITEMS)
    decision = use_cases.decide_refusal(seen(STORE, refusal), a_decision(refusal), LATER)
    assert decision.changed[1] == replace(OFFER.item, version=1)


def test_a_refusal_is_decided_once() -> None:
    refusal = refused(PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING)
    dropped = use_cases.decide_refusal(seen(STORE, PUMP, refusal), a_decision(refusal, State.DROPPED), NOW)
    assert facts_of(dropped) == ["OwnershipRefusalDecided"]
    with pytest.raises(OwnershipRefusalDecided):
        use_cases.decide_refusal(seen(STORE, PUMP, *dropped.changed), a_decision(refusal), LATER)


@pytest.mark.parametrize("nouns", [(), (replace(PUMP, description="Pump 100", version=4),)])
def test_a_refusal_whose_kept_value_changed_is_stale(nouns: tuple[Item, ...]) -> None:
    refusal = refused(PUMP, ERP_OWNS_ITEMS, MES_OWNS_TRACKING)
    with pytest.raises(OwnershipRefusalStale):
        use_cases.decide_refusal(seen(STORE, refusal, *nouns), a_decision(refusal), LATER)


def test_a_refused_creation_is_stale_once_its_owner_created_it() -> None:
    refusal = refused(ERP_OWNS_ITEMS)
    with pytest.raises(OwnershipRefusalStale):
        use_cases.decide_refusal(seen(STORE, refusal, PUMP), a_decision(refusal), LATER)


def test_a_refusal_that_is_not_there_is_not_decided() -> None:
    with pytest.raises(OwnershipRefusalMissing):
        use_cases.decide_refusal(seen(STORE), a_decision(refused(ERP_OWNS_ITEMS)), NOW)


def test_a_rule_is_for_a_field_that_the_entity_has() -> None:
    command = wire.RecordOwnershipRule(ERP, OwnershipRule("item", "", "colour", "erp-aachen"))
    with pytest.raises(OwnedFieldUnknown):
        use_cases.decide_rule(seen(STORE), command, NOW)


ONE = Quantity(Decimal("1.5"), "KGM")
BILL = replace(
    BillOfMaterials("aachen", "b", "PUMP-100", "v1", ONE, (Component("SEAL-7", ONE),)),
    effective_start_date=date(2026, 1, 1),
    effective_end_date=date(2026, 12, 31),
)
ROUTING = Routing("aachen", "r", "PUMP-100", (RoutingOperation(10, "Bore", "CNC", "12.5"),))
CUSTOMER = Partner("aachen", "CUST-100", "Stadtwerke", False, True, "DE", version=3)
LATHE = Resource("aachen", "CNC-01", "Lathe", "Machining", "Line 1")
POLICY = InventoryPolicy(
    "aachen", "SEAL-7", Quantity(Decimal(20), "C62"), Quantity(Decimal("80.5"), "C62"), None, version=3
)
ENTITIES = {
    EntityType.ITEM: (PUMP, "PUMP-100"),
    EntityType.BILL_OF_MATERIALS: (BILL, "b"),
    EntityType.ROUTING: (ROUTING, "r"),
    EntityType.PARTNER: (CUSTOMER, "CUST-100"),
    EntityType.RESOURCE: (LATHE, "CNC-01"),
    EntityType.INVENTORY_POLICY: (POLICY, "SEAL-7"),
}


@pytest.mark.parametrize("entity_type", EntityType)
def test_a_whole_entity_is_the_same_after_it_was_kept_as_text(entity_type: EntityType) -> None:
    shape, (entity, entity_id) = SHAPES[entity_type], ENTITIES[entity_type]
    refusal = replace(refused(ERP_OWNS_ITEMS), entity_id=entity_id, offered=shape.text(entity, ""))
    assert shape.put(None, refusal) == replace(entity, version=0)


def test_a_partner_is_renamed_by_its_owner_and_by_nobody_else() -> None:
    owner = OwnershipRule("partner", "", "name", "erp-aachen", 1)
    said = replace(CUSTOMER, name="Stadtwerke Aachen", country_code="AT", version=0)
    crm = use_cases.decide_partner(seen(STORE, CUSTOMER, owner), wire.RecordPartner(MES, said), NOW)
    assert [(r.field_name, r.kept, r.offered) for r in refusals_of(crm)] == [
        ("name", "Stadtwerke", "Stadtwerke Aachen")
    ]
    assert crm.changed[0] == replace(CUSTOMER, country_code="AT", version=4)
    erp = use_cases.decide_partner(seen(STORE, CUSTOMER, owner), wire.RecordPartner(ERP, said), NOW)
    assert facts_of(erp) == ["PartnerChanged"]
    assert erp.changed == [replace(said, version=4)]


def test_the_plant_owns_its_safety_stock_and_the_erp_the_rest() -> None:
    owner = OwnershipRule("inventory_policy", "aachen", "safety_stock", "mes-aachen", 1)
    item = Item("aachen", "SEAL-7", "Seal", "C62", False, version=1)
    offered = replace(POLICY, safety_stock=None, reorder_point=Quantity(Decimal(90), "C62"))
    erp = use_cases.decide_inventory_policy(
        seen(STORE, item, POLICY, owner), wire.RecordInventoryPolicy(ERP, offered), NOW
    )
    assert [(r.field_name, r.kept, r.offered) for r in refusals_of(erp)] == [("safety_stock", "20 C62", "")]
    assert erp.changed[0] == replace(POLICY, reorder_point=Quantity(Decimal(90), "C62"), version=POLICY.version + 1)


def test_a_resource_has_an_owner_too() -> None:
    owner = OwnershipRule("resource", "aachen", "", "mes-aachen", 1)
    moved = replace(LATHE, parent_resource_id="Line 2")
    erp = use_cases.decide_resource(seen(STORE, LATHE, owner), wire.RecordResource(ERP, moved), NOW)
    assert [(r.field_name, r.offered) for r in refusals_of(erp)] == [("parent_resource_id", "Line 2")]
    mes = use_cases.decide_resource(seen(STORE, LATHE, owner), wire.RecordResource(MES, moved), NOW)
    assert facts_of(mes) == ["ResourceChanged"]


def test_the_effective_dates_of_a_bill_have_an_owner() -> None:
    owner = OwnershipRule("bill_of_materials", "", "effective_end_date", "plm", 1)
    items = PUMP, Item("aachen", "SEAL-7", "Seal", "C62", False)
    without = wire.RecordBillOfMaterials(ERP, replace(BILL, effective_end_date=None))
    decision = use_cases.decide_bill(seen(STORE, *items, BILL, owner), without, NOW)
    assert [(r.field_name, r.kept, r.offered) for r in refusals_of(decision)] == [
        ("effective_end_date", "2026-12-31", "")
    ]
    assert BILL not in decision.changed


def test_a_foreign_id_and_ours_have_one_partner_each() -> None:
    held = ForeignId("aachen", "item", "wms", "P1", "PUMP-100")
    for said in (replace(held, entity_id="SEAL-7"), replace(held, foreign_id="P2")):
        with pytest.raises(ForeignIdTaken) as taken:
            use_cases.decide_foreign_id(seen(STORE, held), wire.RecordForeignId(ERP, said), NOW)
        assert (taken.value.facts["held_foreign_id"], taken.value.facts["held_entity_id"]) == ("P1", "PUMP-100")
    again = use_cases.decide_foreign_id(seen(STORE, held), wire.RecordForeignId(ERP, held), NOW)
    assert not again.changed
