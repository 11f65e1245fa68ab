"""What no order brings, the comparison of all master data with the ERP finds: corrections, and what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import grpc
import nats
import pytest

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.gateway.v1.gateway_events_pb2 import MasterDataSynchronised
from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from isthmus.masterdata.v1 import ownership_pb2
from isthmus.masterdata.v1.bill_of_materials_pb2 import BillOfMaterials
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.masterdata.v1.partner_pb2 import Partner
from servicekit.errors import from_rpc_error
from servicekit.wire import date_message
from tests.flows.conftest import LocalSystem
from tests.gateway.erp.user import TrytonUser
from tests.support.eventually import eventually
from tests.support.requests import a_key

pytestmark = [pytest.mark.flow, pytest.mark.timeout(330)]
PLANTS = ("aachen", "brno")  # Tryton 6.0 and 8.0
ITEM, BILL = ownership_pb2.ENTITY_TYPE_ITEM, ownership_pb2.ENTITY_TYPE_BILL_OF_MATERIALS


@contextmanager
def master_data(local_system: LocalSystem) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{local_system.ports['master_data']}") as channel:
        yield MasterDataServiceStub(channel)


def component_of(local_system: LocalSystem, plant: str) -> tuple[TrytonUser, dict[str, Any]]:
    """A planner, and the product that he changes: the last component, without lots."""
    user = TrytonUser(local_system.plants.seeds[plant], "admin")
    bill = user.search("production.bom.input", [], "product")[-1]
    (product,) = user.search("product.product", [["id", "=", bill["product"]]], "code", "template")
    return user, product


def offer(user: TrytonUser, product: int, *, is_active: bool) -> None:
    """Archive a product, or take it up again; 8.0 warns that there is still some of it."""
    write = "product.product", "write", [product], {"active": is_active}
    answer = user.ask(*write)
    if answer.error and answer.error[0] == "UserWarning":
        user.call("res.user.warning", "create", [{"user": user.login[0], "name": answer.error[1][0]}])
        user.call(*write)


@pytest.mark.parametrize("plant", PLANTS)
async def test_a_correction_arrives_and_is_taken_back_again(local_system: LocalSystem, plant: str) -> None:
    user, product = component_of(local_system, plant)
    (template,) = user.search("product.template", [["id", "=", product["template"]]], "name")
    with master_data(local_system) as stub:
        request = messages.GetItemRequest(plant_id=plant, item_id=product["code"])
        for name in ("corrected by the planner", template["name"]):
            user.call("product.template", "write", [template["id"]], {"name": name})
            await eventually(lambda name=name: stub.GetItem(request).item.description == name, within=90)


@pytest.mark.parametrize("plant", PLANTS)
async def test_what_the_erp_offers_no_longer_is_retired_until_it_does_again(
    local_system: LocalSystem, plant: str
) -> None:
    user, product = component_of(local_system, plant)
    with master_data(local_system) as stub:
        request = messages.GetItemRequest(plant_id=plant, item_id=product["code"])
        named = messages.GetForeignIdRequest(
            plant_id=plant, entity_type=ITEM, source_system=f"erp-{plant}", foreign_id=str(product["id"])
        )
        await eventually(lambda: entity_of(stub, named) == product["code"], within=90)
        for is_retired in (True, False):
            offer(user, product["id"], is_active=not is_retired)
            await eventually(lambda wanted=is_retired: stub.GetItem(request).item.is_retired is wanted, within=90)


async def test_a_round_says_what_it_found(local_system: LocalSystem) -> None:
    connection = await nats.connect(f"nats://127.0.0.1:{local_system.ports['nats']}")
    found: list[MasterDataSynchronised] = []
    try:
        subscription = await connection.jetstream().subscribe("isthmus.aachen.gateway.>", ordered_consumer=True)
        async for message in subscription.messages:
            envelope = Envelope.FromString(message.data)
            told = MasterDataSynchronised()
            if envelope.data.Unpack(told):
                found.append(told)
                break
    finally:
        await connection.close()
    assert found[0].partner_id == "erp-aachen"
    assert found[0].listed_count >= 5  # product, components, bill, routing
    assert (found[0].retired_count, found[0].refused_count, found[0].faulty_count) == (0, 0, 0)


@pytest.mark.parametrize("plant", PLANTS)
async def test_a_customers_corrected_name_arrives_at_the_warehouse_too_and_is_taken_back_again(
    local_system: LocalSystem, plant: str
) -> None:
    user = TrytonUser(local_system.plants.seeds[plant], "admin")

    def known_to_the_warehouse() -> str | None:
        return local_system.plants.wms.partners().get(f"{plant}/CUST-100")

    (customer,) = user.search("party.party", [["code", "=", "CUST-100"]], "name")
    with master_data(local_system) as stub:
        request = messages.GetPartnerRequest(plant_id=plant, partner_id="CUST-100")
        await eventually(lambda: said(stub, request).is_customer, within=90)
        assert not said(stub, request).is_supplier
        for name in ("corrected by the clerk", customer["name"]):
            user.call("party.party", "write", [customer["id"]], {"name": name})
            await eventually(lambda name=name: said(stub, request).name == name, within=90)
            await eventually(lambda name=name: known_to_the_warehouse() == name, within=60)
        partners = stub.ListPartners(messages.ListPartnersRequest(plant_id=plant)).partners
        assert [partner.partner_id for partner in partners] == ["CUST-100"]  # not the company, nor its operator
        assert {r.resource_id: (r.category, r.parent_resource_id) for r in resources(stub, plant)} == {
            centre["name"]: (name_of(centre["category."]), name_of(centre["parent."]))
            for centre in user.search("production.work.center", [], "name", "category.name", "parent.name")
        }


async def test_an_order_whose_bill_is_not_in_use_yet_waits_until_its_days_are_corrected(
    local_system: LocalSystem,
) -> None:
    user = TrytonUser(local_system.plants.seeds["brno"], "admin")
    with master_data(local_system) as stub:
        bills = stub.ListBillsOfMaterials(messages.ListBillsOfMaterialsRequest(plant_id="brno")).bills_of_materials
        (bill,) = [bill for bill in bills if bill.item_id == "VALVE-20"]
        for field in ("effective_start_date", "effective_end_date"):
            own(stub, field)
        bill.effective_start_date.CopyFrom(date_message(date.today() + timedelta(days=3650)))  # noqa: DTZ011 - a plant day
        record(stub, bill, "later")
        try:
            _, number = user.released_order("1")
            order = f"brno-{number}"
            await eventually(lambda: local_system.tells(order, "the order waits"), within=60)
            assert not local_system.tells(order, "production took the order")
        finally:
            bill.ClearField("effective_start_date")
            record(stub, bill, "now")
        await eventually(lambda: local_system.tells(order, "MES accepted the order"), within=60)
        assert [entry["isAlarm"] for entry in waits(local_system, order)] == [
            True
        ]  # said once, however often it was tried


def own(stub: Any, field: str) -> None:
    """The days are the word of the PLM: the ERP knows none, and what it does not say must not clear them."""
    request = messages.RecordOwnershipRuleRequest(business_key=a_key(f"days-{field}", "desk", "ownership_rule"))
    rule = request.ownership_rule
    rule.plant_id, rule.entity_type, rule.field_name, rule.source_system = "brno", BILL, field, "plm-brno"
    stub.RecordOwnershipRule(request, timeout=10)


def record(stub: Any, bill: BillOfMaterials, version: str) -> None:
    key = a_key(f"{bill.bill_of_materials_id}-{version}", "plm-brno", "bill_of_materials")
    request = messages.RecordBillOfMaterialsRequest(business_key=key, plant_id="brno", bill_of_materials=bill)
    stub.RecordBillOfMaterials(request, timeout=10)


def waits(local_system: LocalSystem, order: str) -> list[dict[str, Any]]:
    entries = local_system.ask("trace", order)["timeline"]["entries"]
    return [entry for entry in entries if "the order waits" in entry["text"]]


def entity_of(stub: Any, named: messages.GetForeignIdRequest) -> str:
    """Ours by the ERP's own id; empty before the first comparison has named it."""
    try:
        return str(stub.GetForeignId(named).foreign_id.entity_id)
    except grpc.RpcError as error:
        if from_rpc_error(error)[1] != "FOREIGN_ID_MISSING":
            raise
        return ""


def said(stub: Any, request: messages.GetPartnerRequest) -> Partner:
    """The partner as it stands; an empty one until it is recorded."""
    try:
        return stub.GetPartner(request).partner
    except grpc.RpcError as error:
        if from_rpc_error(error)[1] != "PARTNER_MISSING":
            raise
        return Partner()


def resources(stub: Any, plant: str) -> list[Any]:
    return list(stub.ListResources(messages.ListResourcesRequest(plant_id=plant)).resources)


def name_of(record: dict[str, Any] | None) -> str:
    return record["name"] if record else ""
