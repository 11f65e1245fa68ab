"""Master data's words on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from isthmus.masterdata.v1 import (
    bill_of_materials_pb2,
    foreign_id_pb2,
    inventory_policy_pb2,
    item_pb2,
    masterdata_events_pb2,
    masterdata_service_pb2,
    ownership_pb2,
    partner_pb2,
    resource_pb2,
    routing_pb2,
    unit_conversion_pb2,
)
from servicekit.domain import BusinessKey, Quantity, plain
from servicekit.use_case import Fact
from servicekit.wire import (
    date_message,
    date_of,
    duration_message,
    key_of_message,
    quantity_message,
    quantity_of,
    seconds_of,
    timestamp,
)
from services.master_data.domain.foreign_id import ForeignId
from services.master_data.domain.inventory_policy import InventoryPolicy
from services.master_data.domain.item import Item
from services.master_data.domain.ownership import EntityType, OwnershipRefusal, OwnershipRule, State
from services.master_data.domain.partner import Partner
from services.master_data.domain.recipe import BillOfMaterials, Component, Routing, RoutingOperation
from services.master_data.domain.resource import Resource
from services.master_data.domain.unit_conversion import UnitConversion

Entity = Item | BillOfMaterials | Routing | Partner | Resource | InventoryPolicy


@dataclass(frozen=True, slots=True)
class RecordItem:
    business_key: BusinessKey
    item: Item


@dataclass(frozen=True, slots=True)
class RecordBillOfMaterials:
    business_key: BusinessKey
    bill: BillOfMaterials


@dataclass(frozen=True, slots=True)
class RecordRouting:
    business_key: BusinessKey
    routing: Routing


@dataclass(frozen=True, slots=True)
class RecordPartner:
    business_key: BusinessKey
    partner: Partner


@dataclass(frozen=True, slots=True)
class RecordInventoryPolicy:
    business_key: BusinessKey
    policy: InventoryPolicy


@dataclass(frozen=True, slots=True)
class RecordResource:
    business_key: BusinessKey
    resource: Resource


@dataclass(frozen=True, slots=True)
class RecordOwnershipRule:
    business_key: BusinessKey
    rule: OwnershipRule


@dataclass(frozen=True, slots=True)
class DecideOwnershipRefusal:
    business_key: BusinessKey
    refusal_id: str
    to: State
    decide_reason: str
    operator_id: str


@dataclass(frozen=True, slots=True)
class RecordForeignId:
    business_key: BusinessKey
    foreign_id: ForeignId


@dataclass(frozen=True, slots=True)
class RecordUnitConversion:
    business_key: BusinessKey
    conversion: UnitConversion


ENTITY_TYPES = {
    EntityType.ITEM: ownership_pb2.ENTITY_TYPE_ITEM,
    EntityType.BILL_OF_MATERIALS: ownership_pb2.ENTITY_TYPE_BILL_OF_MATERIALS,
    EntityType.ROUTING: ownership_pb2.ENTITY_TYPE_ROUTING,
    EntityType.PARTNER: ownership_pb2.ENTITY_TYPE_PARTNER,
    EntityType.RESOURCE: ownership_pb2.ENTITY_TYPE_RESOURCE,
    EntityType.INVENTORY_POLICY: ownership_pb2.ENTITY_TYPE_INVENTORY_POLICY,
}
ENTITY_TYPE_OF = {number: entity_type.value for entity_type, number in ENTITY_TYPES.items()}
STATES = {
    State.OPEN: ownership_pb2.OWNERSHIP_REFUSAL_STATE_OPEN,
    State.APPLIED: ownership_pb2.OWNERSHIP_REFUSAL_STATE_APPLIED,
    State.DROPPED: ownership_pb2.OWNERSHIP_REFUSAL_STATE_DROPPED,
}
STATE_OF = {number: state.value for state, number in STATES.items()}
DECISIONS = {
    masterdata_service_pb2.OWNERSHIP_DECISION_APPLY: State.APPLIED,
    masterdata_service_pb2.OWNERSHIP_DECISION_DROP: State.DROPPED,
}


def record_ownership_rule(request: masterdata_service_pb2.RecordOwnershipRuleRequest) -> RecordOwnershipRule:
    said = request.ownership_rule
    rule = OwnershipRule(ENTITY_TYPE_OF[said.entity_type], said.plant_id, said.field_name, said.source_system)
    return RecordOwnershipRule(key_of_message(request.business_key), rule)


def decide_refusal(request: masterdata_service_pb2.DecideOwnershipRefusalRequest) -> DecideOwnershipRefusal:
    return DecideOwnershipRefusal(
        key_of_message(request.business_key),
        request.ownership_refusal_id,
        DECISIONS[request.decision],
        request.decide_reason,
        request.operator_id,
    )


def record_foreign_id(request: masterdata_service_pb2.RecordForeignIdRequest) -> RecordForeignId:
    said = request.foreign_id
    kind = ENTITY_TYPE_OF[said.entity_type]
    found = ForeignId(said.plant_id, kind, said.source_system, said.foreign_id, said.entity_id)
    return RecordForeignId(key_of_message(request.business_key), found)


def record_unit_conversion(request: masterdata_service_pb2.RecordUnitConversionRequest) -> RecordUnitConversion:
    said = request.unit_conversion
    conversion = UnitConversion(
        request.plant_id,
        said.item_id,
        said.from_unit_code,
        said.to_unit_code,
        Decimal(said.numerator),
        Decimal(said.denominator),
    )
    return RecordUnitConversion(key_of_message(request.business_key), conversion)


def record_item(request: masterdata_service_pb2.RecordItemRequest) -> RecordItem:
    said = request.item
    words = said.item_id, said.description, said.unit_code, said.is_lot_tracked
    item = Item(request.plant_id, *words, is_retired=said.is_retired)
    return RecordItem(key_of_message(request.business_key), item)


def _effective(said: Any) -> tuple[date | None, date | None]:
    return date_of(said, "effective_start_date"), date_of(said, "effective_end_date")


def record_bill_of_materials(request: masterdata_service_pb2.RecordBillOfMaterialsRequest) -> RecordBillOfMaterials:
    said = request.bill_of_materials
    bill = BillOfMaterials(
        request.plant_id,
        said.bill_of_materials_id,
        said.item_id,
        said.revision,
        quantity_of(said.output_quantity),
        tuple(Component(c.item_id, quantity_of(c.quantity)) for c in said.components),
        0,
        said.is_retired,
        *_effective(said),
    )
    return RecordBillOfMaterials(key_of_message(request.business_key), bill)


def record_routing(request: masterdata_service_pb2.RecordRoutingRequest) -> RecordRouting:
    said = request.routing
    operations = tuple(
        RoutingOperation(
            o.sequence,
            o.description,
            o.work_centre_id,
            plain(seconds_of(o.labour_standard).value) if o.HasField("labour_standard") else "",
        )
        for o in said.operations
    )
    words = request.plant_id, said.routing_id, said.item_id, operations
    routing = Routing(*words, 0, said.is_retired, *_effective(said))
    return RecordRouting(key_of_message(request.business_key), routing)


def record_partner(request: masterdata_service_pb2.RecordPartnerRequest) -> RecordPartner:
    said = request.partner
    words = said.partner_id, said.name, said.is_supplier, said.is_customer, said.country_code
    partner = Partner(request.plant_id, *words, is_retired=said.is_retired)
    return RecordPartner(key_of_message(request.business_key), partner)


def record_resource(request: masterdata_service_pb2.RecordResourceRequest) -> RecordResource:
    said = request.resource
    words = said.resource_id, said.name, said.category, said.parent_resource_id
    resource = Resource(request.plant_id, *words, is_retired=said.is_retired)
    return RecordResource(key_of_message(request.business_key), resource)


def record_inventory_policy(request: masterdata_service_pb2.RecordInventoryPolicyRequest) -> RecordInventoryPolicy:
    said = request.inventory_policy
    safety = quantity_of(said.safety_stock) if said.HasField("safety_stock") else None
    reorder = quantity_of(said.reorder_point) if said.HasField("reorder_point") else None
    target = quantity_of(said.target_stock) if said.HasField("target_stock") else None
    policy = InventoryPolicy(request.plant_id, said.item_id, safety, reorder, target, is_retired=said.is_retired)
    return RecordInventoryPolicy(key_of_message(request.business_key), policy)


def inventory_policy_message(policy: InventoryPolicy) -> inventory_policy_pb2.InventoryPolicy:
    levels = {n: quantity_message(level) for n, level in policy.levels().items() if level is not None}
    return inventory_policy_pb2.InventoryPolicy(
        item_id=policy.item_id, etag=str(policy.version), is_retired=policy.is_retired, **levels
    )


def item_message(item: Item) -> item_pb2.Item:
    return item_pb2.Item(
        item_id=item.item_id,
        description=item.description,
        unit_code=item.unit_code,
        is_lot_tracked=item.is_lot_tracked,
        etag=str(item.version),
        is_retired=item.is_retired,
    )


def _put_effective(message: Any, recipe: BillOfMaterials | Routing) -> None:
    if recipe.effective_start_date is not None:
        message.effective_start_date.CopyFrom(date_message(recipe.effective_start_date))
    if recipe.effective_end_date is not None:
        message.effective_end_date.CopyFrom(date_message(recipe.effective_end_date))


def bill_message(bill: BillOfMaterials) -> bill_of_materials_pb2.BillOfMaterials:
    message = bill_of_materials_pb2.BillOfMaterials(
        bill_of_materials_id=bill.bill_of_materials_id,
        item_id=bill.item_id,
        revision=bill.revision,
        output_quantity=quantity_message(bill.output),
        etag=str(bill.version),
        is_retired=bill.is_retired,
    )
    _put_effective(message, bill)
    for component in bill.components:
        message.components.add(item_id=component.item_id, quantity=quantity_message(component.quantity))
    return message


def routing_message(routing: Routing) -> routing_pb2.Routing:
    message = routing_pb2.Routing(
        routing_id=routing.routing_id,
        item_id=routing.item_id,
        etag=str(routing.version),
        is_retired=routing.is_retired,
    )
    _put_effective(message, routing)
    for operation in routing.operations:
        said = message.operations.add(
            sequence=operation.sequence,
            description=operation.description,
            work_centre_id=operation.work_centre_id,
        )
        if operation.labour_seconds:
            said.labour_standard.CopyFrom(duration_message(Quantity(Decimal(operation.labour_seconds), "SEC")))
    return message


def partner_message(partner: Partner) -> partner_pb2.Partner:
    return partner_pb2.Partner(
        partner_id=partner.partner_id,
        name=partner.name,
        is_supplier=partner.is_supplier,
        is_customer=partner.is_customer,
        country_code=partner.country_code,
        etag=str(partner.version),
        is_retired=partner.is_retired,
    )


def resource_message(resource: Resource) -> resource_pb2.Resource:
    return resource_pb2.Resource(
        resource_id=resource.resource_id,
        name=resource.name,
        category=resource.category,
        parent_resource_id=resource.parent_resource_id,
        etag=str(resource.version),
        is_retired=resource.is_retired,
    )


def rule_message(rule: OwnershipRule) -> ownership_pb2.OwnershipRule:
    return ownership_pb2.OwnershipRule(
        ownership_rule_id=f"{rule.entity_type}:{rule.plant_id}:{rule.field_name}",
        plant_id=rule.plant_id,
        entity_type=ENTITY_TYPES[EntityType(rule.entity_type)],
        field_name=rule.field_name,
        source_system=rule.source_system,
        etag=str(rule.version),
    )


def refusal_message(refusal: OwnershipRefusal) -> ownership_pb2.OwnershipRefusal:
    return ownership_pb2.OwnershipRefusal(
        ownership_refusal_id=refusal.refusal_id,
        plant_id=refusal.plant_id,
        entity_type=ENTITY_TYPES[EntityType(refusal.entity_type)],
        entity_id=refusal.entity_id,
        field_name=refusal.field_name,
        owner=refusal.owner,
        source_system=refusal.source_system,
        kept_value=refusal.kept,
        offered_value=refusal.offered,
        state=STATES[refusal.state],
        offer_count=refusal.offer_count,
        offer_time=timestamp(refusal.offer_time),
        decide_reason=refusal.decide_reason,
        operator_id=refusal.operator_id,
        decide_time=timestamp(refusal.decide_time) if refusal.decide_time else None,
    )


def foreign_id_message(found: ForeignId) -> foreign_id_pb2.ForeignId:
    return foreign_id_pb2.ForeignId(
        plant_id=found.plant_id,
        entity_type=ENTITY_TYPES[EntityType(found.entity_type)],
        source_system=found.source_system,
        foreign_id=found.foreign_id,
        entity_id=found.entity_id,
    )


def conversion_message(conversion: UnitConversion) -> unit_conversion_pb2.UnitConversion:
    return unit_conversion_pb2.UnitConversion(
        item_id=conversion.item_id,
        from_unit_code=conversion.from_unit,
        to_unit_code=conversion.to_unit,
        numerator=plain(conversion.numerator),
        denominator=plain(conversion.denominator),
        etag=str(conversion.version),
    )


def entity_fact(entity: Entity, now: datetime, key: BusinessKey | None = None) -> Fact:
    """An entity is new or differs."""
    if isinstance(entity, Item):
        changed = masterdata_events_pb2.ItemChanged(item=item_message(entity))
        return fact(changed, entity.plant_id, "item", entity.item_id, now, key)
    if isinstance(entity, BillOfMaterials):
        bill = masterdata_events_pb2.BillOfMaterialsReleased(bill_of_materials=bill_message(entity))
        return fact(bill, entity.plant_id, "bill_of_materials", entity.bill_of_materials_id, now, key)
    if isinstance(entity, Partner):
        partner = masterdata_events_pb2.PartnerChanged(partner=partner_message(entity))
        return fact(partner, entity.plant_id, "partner", entity.partner_id, now, key)
    if isinstance(entity, Resource):
        resource = masterdata_events_pb2.ResourceChanged(resource=resource_message(entity))
        return fact(resource, entity.plant_id, "resource", entity.resource_id, now, key)
    if isinstance(entity, InventoryPolicy):
        policy = masterdata_events_pb2.InventoryPolicyChanged(inventory_policy=inventory_policy_message(entity))
        return fact(policy, entity.plant_id, "inventory_policy", entity.item_id, now, key)
    routing = masterdata_events_pb2.RoutingReleased(routing=routing_message(entity))
    return fact(routing, entity.plant_id, "routing", entity.routing_id, now, key)


def conversion_fact(conversion: UnitConversion, now: datetime, key: BusinessKey | None = None) -> Fact:
    released = masterdata_events_pb2.UnitConversionReleased(unit_conversion=conversion_message(conversion))
    noun_id = f"{conversion.item_id}:{conversion.units}"
    return fact(released, conversion.plant_id, "unit_conversion", noun_id, now, key)


def refusal_fact(refusal: OwnershipRefusal, now: datetime, key: BusinessKey) -> Fact:
    """A refusal is open, or was decided."""
    said = refusal_message(refusal)
    data: Any = masterdata_events_pb2.OwnershipRefused(ownership_refusal=said)
    if refusal.state is not State.OPEN:
        data = masterdata_events_pb2.OwnershipRefusalDecided(ownership_refusal=said)
    return fact(data, refusal.plant_id, "ownership_refusal", refusal.refusal_id, now, key)


def fact(data: Any, plant_id: str, noun: str, noun_id: str, now: datetime, key: BusinessKey | None = None) -> Fact:
    """Facts of master data are kept in order by noun and id."""
    return Fact(data, plant_id, f"{noun}:{noun_id}", noun_id, now, key)
