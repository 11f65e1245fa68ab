"""What changes something in master data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from servicekit.domain import BusinessKey
from servicekit.rows import Key, Rows
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.master_data import wire
from services.master_data.domain import ownership
from services.master_data.domain.ownership import SHAPES, WHOLE, EntityType, OwnershipRefusal, State
from services.master_data.store import (
    BILLS_OF_MATERIALS,
    FOREIGN_IDS,
    INVENTORY_POLICIES,
    ITEMS,
    OWNERSHIP_REFUSALS,
    OWNERSHIP_RULES,
    PARTNERS,
    RESOURCES,
    ROUTINGS,
    UNIT_CONVERSIONS,
)

ENTITIES: Mapping[EntityType, Rows[Any]] = {
    EntityType.ITEM: ITEMS,
    EntityType.BILL_OF_MATERIALS: BILLS_OF_MATERIALS,
    EntityType.ROUTING: ROUTINGS,
    EntityType.PARTNER: PARTNERS,
    EntityType.RESOURCE: RESOURCES,
    EntityType.INVENTORY_POLICY: INVENTORY_POLICIES,
}
NO_LONGER = "no longer refused: what the source system offers was taken, or is what is kept"


# --- what one system says of an entity, as far as it owns it


@dataclass(frozen=True, slots=True)
class Offer:
    """An entity as a source system has it."""

    entity_type: EntityType
    plant_id: str
    entity_id: str
    said: Any
    business_key: BusinessKey

    def key(self) -> Key[Any]:
        return ENTITIES[self.entity_type].key(self.plant_id, self.entity_id)

    def names(self) -> tuple[str, ...]:
        return (WHOLE, *SHAPES[self.entity_type].fields)

    def rules(self, field_name: str) -> list[Key[Any]]:
        found = ownership.candidates(self.entity_type, self.plant_id, field_name)
        return [OWNERSHIP_RULES.shared(*values) for values in found]

    def refusal(self, field_name: str) -> Key[OwnershipRefusal]:
        source = self.business_key.source_system
        return OWNERSHIP_REFUSALS.key(
            ownership.refusal_id(self.plant_id, self.entity_type, self.entity_id, field_name, source)
        )

    def loads(self) -> Iterator[Key[Any]]:
        yield self.key()
        for name in self.names():
            yield self.refusal(name)
            yield from self.rules(name)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of an offer: the entity as it stands (None: not created), and the refusals of this offer."""

    entity: Any
    refusals: list[OwnershipRefusal]
    changed: list[object]
    facts: list[Fact]
    is_changed: bool

    def told(self) -> dict[str, Any]:
        """What each answer says beside the entity."""
        refusals = [wire.refusal_message(refusal) for refusal in self.refusals]
        return {"ownership_refusals": refusals, "is_changed": self.is_changed}


def _take(seen: Seen, offer: Offer, now: datetime) -> Taken:
    """Apply what its source owns, and keep the rest as refusals."""
    before = seen.get(offer.key())
    offer.said.recorded_over(before)  # what is wrong in itself is refused, whoever says it
    shape, key = SHAPES[offer.entity_type], offer.business_key
    owners = {name: ownership.owner_of([seen.get(rule) for rule in offer.rules(name)]) for name in offer.names()}
    weighed = ownership.weigh(shape, before, offer.said, key.source_system, owners)
    entity = weighed.applied.recorded_over(before) if weighed.applied is not None else None
    taken = Taken(entity, [], [], [], is_changed=entity is not None and entity is not before)
    if entity is not None and taken.is_changed:
        taken.changed.append(entity)
        taken.facts.append(wire.entity_fact(entity, now, key))
    for name in offer.names():
        known = seen.get(offer.refusal(name))
        if name in weighed.refused:
            kept, offered = shape.text(before, name), shape.text(offer.said, name)
            refusal = _refusal(offer, name, weighed.refused[name], kept, offered, now).offered_over(known)
            taken.refusals.append(refusal)
        elif known is not None and known.state is State.OPEN:
            refusal = known.decided(State.DROPPED, NO_LONGER, "", now)
        else:
            continue
        taken.changed.append(refusal)
        if refusal.says_more_than(known):
            taken.facts.append(wire.refusal_fact(refusal, now, key))
    return taken


def _refusal(offer: Offer, name: str, owner: str, kept: str, offered: str, now: datetime) -> OwnershipRefusal:
    return OwnershipRefusal(
        refusal_id=offer.refusal(name).values[0],
        plant_id=offer.plant_id,
        entity_type=offer.entity_type.value,
        entity_id=offer.entity_id,
        field_name=name,
        owner=owner,
        source_system=offer.business_key.source_system,
        kept=kept,
        offered=offered,
        state=State.OPEN,
        offer_count=1,
        offer_time=now,
    )


def _offer_item(c: wire.RecordItem) -> Offer:
    return Offer(EntityType.ITEM, c.item.plant_id, c.item.item_id, c.item, c.business_key)


def _offer_bill(c: wire.RecordBillOfMaterials) -> Offer:
    return Offer(EntityType.BILL_OF_MATERIALS, c.bill.plant_id, c.bill.bill_of_materials_id, c.bill, c.business_key)


def _offer_routing(c: wire.RecordRouting) -> Offer:
    return Offer(EntityType.ROUTING, c.routing.plant_id, c.routing.routing_id, c.routing, c.business_key)


def _offer_partner(c: wire.RecordPartner) -> Offer:
    return Offer(EntityType.PARTNER, c.partner.plant_id, c.partner.partner_id, c.partner, c.business_key)


def _offer_resource(c: wire.RecordResource) -> Offer:
    return Offer(EntityType.RESOURCE, c.resource.plant_id, c.resource.resource_id, c.resource, c.business_key)


def _offer_policy(c: wire.RecordInventoryPolicy) -> Offer:
    return Offer(EntityType.INVENTORY_POLICY, c.policy.plant_id, c.policy.item_id, c.policy, c.business_key)


# --- items, bills of materials and routings


def decide_item(seen: Seen, command: wire.RecordItem, now: datetime) -> Decision:
    """Record an item, and say so if anything differs."""
    taken = _take(seen, _offer_item(command), now)
    item = wire.item_message(taken.entity) if taken.entity is not None else None
    answer = messages.RecordItemResponse(item=item, **taken.told())
    return Decision(changed=taken.changed, facts=taken.facts, answer=answer)


record_item = UseCase(
    name="record_item",
    loads=lambda c, seen: _offer_item(c).loads(),
    decide=decide_item,
    fingerprint=Fingerprint.of("item"),
    answers=messages.RecordItemResponse,
)


def decide_bill(seen: Seen, command: wire.RecordBillOfMaterials, now: datetime) -> Decision:
    """Record a bill of materials of items that are recorded, and say so if anything differs."""
    said = command.bill
    for item_id in (said.item_id, *(component.item_id for component in said.components)):
        seen.one(ITEMS.shared(said.plant_id, item_id))
    taken = _take(seen, _offer_bill(command), now)
    bill = wire.bill_message(taken.entity) if taken.entity is not None else None
    answer = messages.RecordBillOfMaterialsResponse(bill_of_materials=bill, **taken.told())
    return Decision(changed=taken.changed, facts=taken.facts, answer=answer)


record_bill_of_materials = UseCase(
    name="record_bill_of_materials",
    loads=lambda c, seen: [
        *_offer_bill(c).loads(),
        *(ITEMS.shared(c.bill.plant_id, i) for i in (c.bill.item_id, *(p.item_id for p in c.bill.components))),
    ],
    decide=decide_bill,
    fingerprint=Fingerprint.of("bill"),
    answers=messages.RecordBillOfMaterialsResponse,
)


def decide_routing(seen: Seen, command: wire.RecordRouting, now: datetime) -> Decision:
    """Record the routing of an item that is recorded, and say so if anything differs."""
    seen.one(ITEMS.shared(command.routing.plant_id, command.routing.item_id))
    taken = _take(seen, _offer_routing(command), now)
    routing = wire.routing_message(taken.entity) if taken.entity is not None else None
    answer = messages.RecordRoutingResponse(routing=routing, **taken.told())
    return Decision(changed=taken.changed, facts=taken.facts, answer=answer)


record_routing = UseCase(
    name="record_routing",
    loads=lambda c, seen: [
        *_offer_routing(c).loads(),
        ITEMS.shared(c.routing.plant_id, c.routing.item_id),
    ],
    decide=decide_routing,
    fingerprint=Fingerprint.of("routing"),
    answers=messages.RecordRoutingResponse,
)


# --- partners and resources


def decide_partner(seen: Seen, command: wire.RecordPartner, now: datetime) -> Decision:
    """Record a supplier or customer, and say so if anything differs."""
    taken = _take(seen, _offer_partner(command), now)
    partner = wire.partner_message(taken.entity) if taken.entity is not None else None
    answer = messages.RecordPartnerResponse(partner=partner, **taken.told())
    return Decision(changed=taken.changed, facts=taken.facts, answer=answer)


record_partner = UseCase(
    name="record_partner",
    loads=lambda c, seen: _offer_partner(c).loads(),
    decide=decide_partner,
    fingerprint=Fingerprint.of("partner"),
    answers=messages.RecordPartnerResponse,
)


def decide_resource(seen: Seen, command: wire.RecordResource, now: datetime) -> Decision:
    """Record a line or work centre, and say so if anything differs. What it is part of may come later."""
    taken = _take(seen, _offer_resource(command), now)
    resource = wire.resource_message(taken.entity) if taken.entity is not None else None
    answer = messages.RecordResourceResponse(resource=resource, **taken.told())
    return Decision(changed=taken.changed, facts=taken.facts, answer=answer)


record_resource = UseCase(
    name="record_resource",
    loads=lambda c, seen: _offer_resource(c).loads(),
    decide=decide_resource,
    fingerprint=Fingerprint.of("resource"),
    answers=messages.RecordResourceResponse,
)


def decide_inventory_policy(seen: Seen, command: wire.RecordInventoryPolicy, now: datetime) -> Decision:
    """Record how much of an item a plant wants to have, and say so if anything differs."""
    item = seen.one(ITEMS.shared(command.policy.plant_id, command.policy.item_id))
    command.policy.require_in(item.unit_code)
    taken = _take(seen, _offer_policy(command), now)
    policy = wire.inventory_policy_message(taken.entity) if taken.entity is not None else None
    answer = messages.RecordInventoryPolicyResponse(inventory_policy=policy, **taken.told())
    return Decision(changed=taken.changed, facts=taken.facts, answer=answer)


record_inventory_policy = UseCase(
    name="record_inventory_policy",
    loads=lambda c, seen: [ITEMS.shared(c.policy.plant_id, c.policy.item_id), *_offer_policy(c).loads()],
    decide=decide_inventory_policy,
    fingerprint=Fingerprint.of("policy"),
    answers=messages.RecordInventoryPolicyResponse,
)


# --- owners


def decide_rule(seen: Seen, command: wire.RecordOwnershipRule, now: datetime) -> Decision:
    """Record which system owns what."""
    said = command.rule
    before = seen.get(OWNERSHIP_RULES.key(said.entity_type, said.plant_id, said.field_name))
    rule = said.recorded_over(before)
    answer = messages.RecordOwnershipRuleResponse(ownership_rule=wire.rule_message(rule))
    return Decision(changed=[rule] if rule is not before else [], answer=answer)


record_ownership_rule = UseCase(
    name="record_ownership_rule",
    loads=lambda c, seen: [OWNERSHIP_RULES.key(c.rule.entity_type, c.rule.plant_id, c.rule.field_name)],
    decide=decide_rule,
    fingerprint=Fingerprint.of("rule"),
    answers=messages.RecordOwnershipRuleResponse,
)


def _refused_entity(refusal: OwnershipRefusal) -> Key[Any]:
    return ENTITIES[EntityType(refusal.entity_type)].key(refusal.plant_id, refusal.entity_id)


def decide_refusal(seen: Seen, command: wire.DecideOwnershipRefusal, now: datetime) -> Decision:
    """Put the offered value in place, or drop it."""
    before = seen.one(OWNERSHIP_REFUSALS.key(command.refusal_id))
    refusal = before.decided(command.to, command.decide_reason, command.operator_id, now)
    changed: list[object] = [refusal]
    facts = [wire.refusal_fact(refusal, now, command.business_key)]
    if command.to is State.APPLIED:
        current = seen.get(_refused_entity(before))
        entity = SHAPES[EntityType(before.entity_type)].put(current, before).recorded_over(current)
        changed.append(entity)
        facts.append(wire.entity_fact(entity, now, command.business_key))
    answer = messages.DecideOwnershipRefusalResponse(ownership_refusal=wire.refusal_message(refusal))
    return Decision(changed=changed, facts=facts, answer=answer)


def _refusal_loads(seen: Seen, refusal_id: str) -> Iterator[Key[Any]]:
    key = OWNERSHIP_REFUSALS.key(refusal_id)
    yield key
    refusal = seen.get(key)
    if refusal is not None:
        yield _refused_entity(refusal)


decide_ownership_refusal = UseCase(
    name="decide_ownership_refusal",
    loads=lambda c, seen: _refusal_loads(seen, c.refusal_id),
    decide=decide_refusal,
    fingerprint=Fingerprint.of("refusal_id", "to", "decide_reason", "operator_id"),
    answers=messages.DecideOwnershipRefusalResponse,
)


# --- foreign ids and units


def decide_foreign_id(seen: Seen, command: wire.RecordForeignId, now: datetime) -> Decision:
    """Record what another system calls something of ours; each has one partner."""
    said = command.foreign_id
    before = seen.get(FOREIGN_IDS.key(said.plant_id, said.entity_type, said.source_system, said.foreign_id))
    ours = seen.all(FOREIGN_IDS.of(said.plant_id, said.entity_type, said.source_system, said.entity_id))
    said.require_free([*([before] if before else []), *ours])
    answer = messages.RecordForeignIdResponse(foreign_id=wire.foreign_id_message(said))
    return Decision(changed=[said] if before is None else [], answer=answer)


record_foreign_id = UseCase(
    name="record_foreign_id",
    loads=lambda c, seen: [
        FOREIGN_IDS.key(
            c.foreign_id.plant_id, c.foreign_id.entity_type, c.foreign_id.source_system, c.foreign_id.foreign_id
        ),
        FOREIGN_IDS.of(
            c.foreign_id.plant_id, c.foreign_id.entity_type, c.foreign_id.source_system, c.foreign_id.entity_id
        ),
    ],
    decide=decide_foreign_id,
    fingerprint=Fingerprint.of("foreign_id"),
    answers=messages.RecordForeignIdResponse,
)


def decide_conversion(seen: Seen, command: wire.RecordUnitConversion, now: datetime) -> Decision:
    """Record how two units convert, and say so if anything differs."""
    said = command.conversion
    before = seen.get(UNIT_CONVERSIONS.key(said.plant_id, said.item_id, said.units))
    conversion = said.recorded_over(before)
    answer = messages.RecordUnitConversionResponse(unit_conversion=wire.conversion_message(conversion))
    if conversion is before:
        return Decision(answer=answer)
    fact = wire.conversion_fact(conversion, now, command.business_key)
    return Decision(changed=[conversion], facts=[fact], answer=answer)


record_unit_conversion = UseCase(
    name="record_unit_conversion",
    loads=lambda c, seen: [UNIT_CONVERSIONS.key(c.conversion.plant_id, c.conversion.item_id, c.conversion.units)],
    decide=decide_conversion,
    fingerprint=Fingerprint.of("conversion"),
    answers=messages.RecordUnitConversionResponse,
)
