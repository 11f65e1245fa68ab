"""Owners, foreign ids and units on running services, on both databases."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import grpc
import httpx
import pytest

from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from isthmus.masterdata.v1 import ownership_pb2
from isthmus.masterdata.v1.partner_pb2 import Partner
from isthmus.masterdata.v1.resource_pb2 import Resource
from servicekit.errors import from_rpc_error
from servicekit.wire import date_message
from services.operations.console.app import application
from services.operations.console.asked import connect
from tests.hub.conftest import Calls
from tests.hub.test_refusals import refusal_of
from tests.support.requests import a_key, an_item
from tests.support.running import Hub

pytestmark = pytest.mark.connected
ITEM = ownership_pb2.ENTITY_TYPE_ITEM
OPEN = ownership_pb2.OWNERSHIP_REFUSAL_STATE_OPEN


def offer(calls: Calls, item_id: str, key: str, source: str, description: str) -> Any:
    request = an_item(item_id)
    request.plant_id = "aachen"
    request.business_key.CopyFrom(a_key(key, source, "item"))
    request.item.description = description
    return calls.master_data.RecordItem(request, timeout=10)


def owned_by_the_plm(calls: Calls) -> None:
    request = messages.RecordOwnershipRuleRequest(business_key=a_key("rule-1", "desk", "ownership_rule"))
    rule = request.ownership_rule
    rule.plant_id, rule.entity_type, rule.field_name, rule.source_system = "aachen", ITEM, "description", "plm"
    calls.master_data.RecordOwnershipRule(request, timeout=10)


def open_refusals(calls: Calls, item_id: str) -> list[Any]:
    request = messages.ListOwnershipRefusalsRequest(plant_id="aachen", state=OPEN)
    found = calls.master_data.ListOwnershipRefusals(request, timeout=10).ownership_refusals
    return [refusal for refusal in found if refusal.entity_id == item_id]


def a_decision(refusal_id: str, number: str) -> messages.DecideOwnershipRefusalRequest:
    return messages.DecideOwnershipRefusalRequest(
        business_key=a_key(number, "desk", "decision"),
        ownership_refusal_id=refusal_id,
        decision=messages.OWNERSHIP_DECISION_APPLY,
        decide_reason="agreed with the plant",
        operator_id="4711",
    )


def test_a_value_of_another_owner_is_refused_once_and_decided_by_one_of_two_operators(calls: Calls) -> None:
    owned_by_the_plm(calls)
    offer(calls, "OWNED-1", "o1", "plm", "Seal")
    answer = offer(calls, "OWNED-1", "o2", "erp-aachen", "Dichtung")
    offer(calls, "OWNED-1", "o3", "erp-aachen", "Dichtung")
    assert [r.offered_value for r in answer.ownership_refusals] == ["Dichtung"]
    assert answer.item.description == "Seal"
    (refusal,) = open_refusals(calls, "OWNED-1")
    assert (refusal.kept_value, refusal.offered_value, refusal.offer_count) == ("Seal", "Dichtung", 2)

    def decide(number: str) -> str:
        try:
            calls.master_data.DecideOwnershipRefusal(a_decision(refusal.ownership_refusal_id, number), timeout=10)
        except grpc.RpcError as error:
            return from_rpc_error(error)[1]
        return "decided"

    with ThreadPoolExecutor(2) as operators:
        assert sorted(operators.map(decide, ["d1", "d2"])) == ["OWNERSHIP_REFUSAL_DECIDED", "decided"]
    item = calls.master_data.GetItem(messages.GetItemRequest(plant_id="aachen", item_id="OWNED-1"), timeout=10).item
    assert item.description == "Dichtung"
    assert not open_refusals(calls, "OWNED-1")


def test_a_foreign_id_has_one_partner(calls: Calls) -> None:
    def a_foreign_id(number: str, foreign_id: str, entity_id: str) -> messages.RecordForeignIdRequest:
        request = messages.RecordForeignIdRequest(business_key=a_key(number, "desk", "foreign_id"))
        said = request.foreign_id
        said.plant_id, said.entity_type, said.source_system = "aachen", ITEM, "wms"
        said.foreign_id, said.entity_id = foreign_id, entity_id
        return request

    calls.master_data.RecordForeignId(a_foreign_id("f1", "P1", "PUMP-100"), timeout=10)
    for number, foreign_id, entity_id in (("f2", "P1", "SEAL-7"), ("f3", "P2", "PUMP-100")):
        taken = a_foreign_id(number, foreign_id, entity_id)
        _, reason = refusal_of(calls, lambda taken=taken: calls.master_data.RecordForeignId(taken), "master_data")
        assert reason == "FOREIGN_ID_TAKEN"
    read = messages.GetForeignIdRequest(plant_id="aachen", entity_type=ITEM, source_system="wms", foreign_id="P1")
    assert calls.master_data.GetForeignId(read, timeout=10).foreign_id.entity_id == "PUMP-100"
    read.foreign_id = "P404"
    _, reason = refusal_of(calls, lambda: calls.master_data.GetForeignId(read, timeout=10), "master_data")
    assert reason == "FOREIGN_ID_MISSING"
    page = messages.ListForeignIdsRequest(plant_id="aachen", page_size=1)
    first = calls.master_data.ListForeignIds(page, timeout=10)
    page.page_token = first.next_page_token
    assert not calls.master_data.ListForeignIds(page, timeout=10).foreign_ids


def test_a_quantity_converts_by_the_items_rule_before_the_plants(calls: Calls) -> None:
    for number, item_id, numerator in (("u1", "", "10"), ("u2", "SEAL-7", "12")):
        request = messages.RecordUnitConversionRequest(
            business_key=a_key(number, "desk", "unit_conversion"), plant_id="aachen"
        )
        rule = request.unit_conversion
        rule.item_id, rule.from_unit_code, rule.to_unit_code = item_id, "BX", "C62"
        rule.numerator, rule.denominator = numerator, "1"
        calls.master_data.RecordUnitConversion(request, timeout=10)

    def converted(value: str, unit_code: str, to_unit_code: str, item_id: str = "SEAL-7") -> str:
        read = messages.GetConvertedQuantityRequest(plant_id="aachen", item_id=item_id, to_unit_code=to_unit_code)
        read.quantity.value, read.quantity.unit_code = value, unit_code
        return str(calls.master_data.GetConvertedQuantity(read, timeout=10).quantity.value)

    assert converted("2", "BX", "C62") == "24"
    assert converted("2", "BX", "C62", "PUMP-100") == "20"
    assert converted("3", "C62", "BX") == "0.25"
    for arguments, expected in (
        (("1", "C62", "BX"), "CONVERSION_INEXACT"),
        (("1", "C62", "KGM"), "UNIT_CONVERSION_UNKNOWN"),
    ):
        _, reason = refusal_of(calls, lambda arguments=arguments: converted(*arguments), "master_data")
        assert reason == expected


def test_partners_are_recorded_read_and_listed(calls: Calls) -> None:
    for number, country in (("CUST-1", "DE"), ("CUST-2", ""), ("SUPP-1", "CZ")):
        is_customer = number.startswith("CUST")
        said = Partner(partner_id=number, name=f"Partner {number}", country_code=country)
        said.is_customer, said.is_supplier = is_customer, not is_customer
        key = a_key(number, document="partner")
        request = messages.RecordPartnerRequest(business_key=key, plant_id="aachen", partner=said)
        first = calls.master_data.RecordPartner(request, timeout=10)
        again = calls.master_data.RecordPartner(request, timeout=10)
        assert (first.is_changed, first.replayed, again.replayed) == (True, False, True)
        assert (first.partner.etag, again.partner) == ("1", first.partner)
    read = messages.GetPartnerRequest(plant_id="aachen", partner_id="SUPP-1")
    found = calls.master_data.GetPartner(read, timeout=10).partner
    assert (found.name, found.is_supplier, found.is_customer, found.country_code) == (
        "Partner SUPP-1",
        True,
        False,
        "CZ",
    )
    page = messages.ListPartnersRequest(plant_id="aachen", page_size=2)
    one = calls.master_data.ListPartners(page, timeout=10)
    page.page_token = one.next_page_token
    two = calls.master_data.ListPartners(page, timeout=10)
    assert [p.partner_id for p in (*one.partners, *two.partners)] == ["CUST-1", "CUST-2", "SUPP-1"]
    read.partner_id = "SUPP-404"
    _, reason = refusal_of(calls, lambda: calls.master_data.GetPartner(read, timeout=10), "master_data")
    assert reason == "PARTNER_MISSING"


def test_resources_are_recorded_read_and_listed(calls: Calls) -> None:
    for name, parent in (("CNC-01", "Line 1"), ("Line 1", "")):  # a part may come before its whole
        said = Resource(resource_id=name, name=name, category="Machining", parent_resource_id=parent)
        key = a_key(name, document="resource")
        request = messages.RecordResourceRequest(business_key=key, plant_id="aachen", resource=said)
        assert calls.master_data.RecordResource(request, timeout=10).is_changed
    read = messages.GetResourceRequest(plant_id="aachen", resource_id="CNC-01")
    found = calls.master_data.GetResource(read, timeout=10).resource
    assert (found.name, found.category, found.parent_resource_id) == ("CNC-01", "Machining", "Line 1")
    page = messages.ListResourcesRequest(plant_id="aachen")
    listed = calls.master_data.ListResources(page, timeout=10).resources
    assert [r.resource_id for r in listed] == ["CNC-01", "Line 1"]
    read.resource_id = "CNC-404"
    _, reason = refusal_of(calls, lambda: calls.master_data.GetResource(read, timeout=10), "master_data")
    assert reason == "RESOURCE_MISSING"


def test_inventory_policies_are_recorded_read_and_listed(calls: Calls) -> None:
    offer(calls, "WATCHED-1", "watched-1", "erp-aachen", "Seal")
    request = messages.RecordInventoryPolicyRequest(business_key=a_key("p1", document="policy"), plant_id="aachen")
    request.inventory_policy.item_id = "WATCHED-1"
    level = request.inventory_policy.reorder_point
    level.value, level.unit_code = "12.5", "C62"
    assert calls.master_data.RecordInventoryPolicy(request, timeout=10).is_changed
    read = messages.GetInventoryPolicyRequest(plant_id="aachen", item_id="WATCHED-1")
    found = calls.master_data.GetInventoryPolicy(read, timeout=10).inventory_policy
    assert (found.reorder_point.value, found.HasField("safety_stock"), found.is_retired) == ("12.5", False, False)
    page = messages.ListInventoryPoliciesRequest(plant_id="aachen")
    listed = calls.master_data.ListInventoryPolicies(page, timeout=10).inventory_policies
    assert [policy.item_id for policy in listed] == ["WATCHED-1"]
    read.item_id = "NOBODY-1"
    _, reason = refusal_of(calls, lambda: calls.master_data.GetInventoryPolicy(read, timeout=10), "master_data")
    assert reason == "INVENTORY_POLICY_MISSING"


def a_bill(bill_id: str, start: date | None, end: date | None) -> messages.RecordBillOfMaterialsRequest:
    key = a_key(bill_id, document="bill_of_materials")
    request = messages.RecordBillOfMaterialsRequest(business_key=key, plant_id="aachen")
    bill = request.bill_of_materials
    bill.bill_of_materials_id, bill.item_id = bill_id, "DATED-1"
    bill.output_quantity.value, bill.output_quantity.unit_code = "1", "C62"
    for field, day in ((bill.effective_start_date, start), (bill.effective_end_date, end)):
        if day is not None:
            field.CopyFrom(date_message(day))
    return request


def test_bills_are_listed_by_item_and_day(calls: Calls) -> None:
    offer(calls, "DATED-1", "dated-1", "erp-aachen", "Seal")
    summer, autumn = date(2026, 6, 1), date(2026, 9, 1)
    for bill_id, start, end in (("bom-1", None, summer), ("bom-2", summer, autumn), ("bom-3", autumn, None)):
        recorded = calls.master_data.RecordBillOfMaterials(a_bill(bill_id, start, end), timeout=10)
        assert recorded.bill_of_materials.HasField("effective_end_date") is (end is not None)

    def listed(day: date | None, item_id: str = "DATED-1") -> list[str]:
        request = messages.ListBillsOfMaterialsRequest(plant_id="aachen", item_id=item_id)
        if day is not None:
            request.on_date.CopyFrom(date_message(day))
        found = calls.master_data.ListBillsOfMaterials(request, timeout=10).bills_of_materials
        return [bill.bill_of_materials_id for bill in found]

    assert listed(None) == ["bom-1", "bom-2", "bom-3"]
    assert listed(date(2026, 5, 31)) == ["bom-1"]
    assert listed(summer) == ["bom-1", "bom-2"]  # both days count
    assert listed(date(2026, 12, 1), item_id="") == ["bom-3"]
    assert listed(None, "DATED-404") == []
    turned = a_bill("bom-4", autumn, summer)
    _, reason = refusal_of(calls, lambda: calls.master_data.RecordBillOfMaterials(turned, timeout=10), "master_data")
    assert reason == "EFFECTIVE_DATES_REVERSED"


async def test_a_refused_value_stands_in_the_console_and_is_put_in_place_there(calls: Calls, hub: Hub) -> None:
    owned_by_the_plm(calls)
    offer(calls, "OWNED-2", "o4", "plm", "Ring")
    offer(calls, "OWNED-2", "o5", "erp-aachen", "<b>Reif</b>")
    (refusal,) = open_refusals(calls, "OWNED-2")
    asked = connect("127.0.0.1:9", "", {"master_data": hub.address("master_data")}, {}, ("aachen", "brno"), "")
    console = httpx.ASGITransport(app=application(asked, form_minutes=60))
    origin = "http://127.0.0.1"
    async with httpx.AsyncClient(transport=console, base_url=origin, headers={"origin": origin}) as client:
        page = (await client.get("/exceptions", params={"match": "OWNED-2"})).text
        assert ">not the owner<" in page
        assert "erp-aachen offers &#39;&lt;b&gt;Reif&lt;/b&gt;&#39;; plm owns it, and &#39;Ring&#39; stands" in page
        mark = re.findall(r'name="mark" value="([^"]+)"', page)[0]
        form = {"mark": mark, "act": "apply", "operator": "kim", "reason": "agreed with the plant"}
        path = f"/refusals/{refusal.ownership_refusal_id}"
        assert f'action="{path}"' in page
        done = await client.post(path, data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/exceptions?done=applied")
        again = await client.post(path, data={**form, "operator": "ann"})
        assert (again.status_code, "OWNERSHIP_REFUSAL_DECIDED" in again.text) == (409, True)
    item = calls.master_data.GetItem(messages.GetItemRequest(plant_id="aachen", item_id="OWNED-2"), timeout=10).item
    assert item.description == "<b>Reif</b>"
