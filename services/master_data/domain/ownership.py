"""Who owns which master data, and what becomes of a value that somebody else offers."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from servicekit.domain import DomainError, Kind, Quantity, plain
from services.master_data.domain.inventory_policy import InventoryPolicy
from services.master_data.domain.item import Item
from services.master_data.domain.partner import Partner
from services.master_data.domain.recipe import BillOfMaterials, Component, Routing, RoutingOperation
from services.master_data.domain.resource import Resource

N = TypeVar("N")
WHOLE = ""  # in place of a field's name: the entity as a whole


class EntityType(enum.Enum):
    ITEM = "item"
    BILL_OF_MATERIALS = "bill_of_materials"
    ROUTING = "routing"
    PARTNER = "partner"
    RESOURCE = "resource"
    INVENTORY_POLICY = "inventory_policy"


class State(enum.Enum):
    OPEN = "open"
    APPLIED = "applied"
    DROPPED = "dropped"


class OwnedFieldUnknown(DomainError):
    """The entity type has no field of this name."""

    reason, kind = "OWNED_FIELD_UNKNOWN", Kind.INVALID


class OwnershipRefusalMissing(DomainError):
    """There is no ownership refusal of this id."""

    reason, kind = "OWNERSHIP_REFUSAL_MISSING", Kind.MISSING


class OwnershipRefusalDecided(DomainError):
    """The ownership refusal is not open any more."""

    reason, kind = "OWNERSHIP_REFUSAL_DECIDED", Kind.PRECONDITION


class OwnershipRefusalStale(DomainError):
    """The kept value is no longer the one that the refusal shows."""

    reason, kind = "OWNERSHIP_REFUSAL_STALE", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class OwnershipRule:
    """`plant_id` empty: all plants; `field_name` empty: all fields; `source_system` empty: anyone may write."""

    entity_type: str
    plant_id: str
    field_name: str
    source_system: str
    version: int = 0

    def recorded_over(self, before: OwnershipRule | None) -> OwnershipRule:
        """As the next version; the same object as before when nothing differs."""
        names = SHAPES[EntityType(self.entity_type)].fields
        if self.field_name != WHOLE and self.field_name not in names:
            raise OwnedFieldUnknown(entity_type=self.entity_type, field_name=self.field_name)
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)


@dataclass(frozen=True, slots=True)
class OwnershipRefusal:
    """One an entity, field and source system, for ever: offered again, it opens again. The facts keep the history."""

    refusal_id: str
    plant_id: str
    entity_type: str
    entity_id: str
    field_name: str
    owner: str
    source_system: str
    kept: str
    offered: str
    state: State
    offer_count: int
    offer_time: datetime
    decide_reason: str = ""
    operator_id: str = ""
    decide_time: datetime | None = None

    def offered_over(self, before: OwnershipRefusal | None) -> OwnershipRefusal:
        """This offer after those before it. One that was dropped stays so until another value is offered."""
        if before is None:
            return self
        again = replace(self, offer_count=before.offer_count + 1)
        if before.state is State.DROPPED and (before.kept, before.offered) == (self.kept, self.offered):
            return replace(before, offer_count=again.offer_count, offer_time=self.offer_time)
        return again

    def says_more_than(self, before: OwnershipRefusal | None) -> bool:
        """Whether it is worth a fact: not if only the count went up."""
        return before is None or replace(before, offer_count=self.offer_count, offer_time=self.offer_time) != self

    def decided(self, to: State, reason: str, operator_id: str, now: datetime) -> OwnershipRefusal:
        if self.state is not State.OPEN:
            raise OwnershipRefusalDecided(refusal_id=self.refusal_id, state=self.state)
        return replace(self, state=to, decide_reason=reason, operator_id=operator_id, decide_time=now)


@dataclass(frozen=True, slots=True)
class Field(Generic[N]):
    """One field as text, and back."""

    text: Callable[[N], str]
    put: Callable[[N, str], N]


@dataclass(frozen=True, slots=True)
class Shape(Generic[N]):
    """The fields of an entity type that have owners."""

    blank: Callable[[str, str], N]
    fields: Mapping[str, Field[N]]

    def text(self, entity: N | None, field_name: str) -> str:
        """A field's value as text; the whole entity as JSON, empty if there is none."""
        if entity is None:
            return ""
        if field_name != WHOLE:
            return self.fields[field_name].text(entity)
        return json.dumps({name: field.text(entity) for name, field in self.fields.items()}, ensure_ascii=False)

    def put(self, entity: N | None, refusal: OwnershipRefusal) -> N:
        """The entity with the offered value in place; stale if the kept one has changed since it was offered."""
        current = self.text(entity, refusal.field_name)
        if current != refusal.kept or (entity is None) != (refusal.field_name == WHOLE):
            raise OwnershipRefusalStale(refusal_id=refusal.refusal_id, kept_value=refusal.kept, current_value=current)
        if entity is not None:
            return self.fields[refusal.field_name].put(entity, refusal.offered)
        made = self.blank(refusal.plant_id, refusal.entity_id)
        for name, text in json.loads(refusal.offered).items():
            made = self.fields[name].put(made, text)
        return made


def refusal_id(plant_id: str, entity_type: EntityType, entity_id: str, field_name: str, source_system: str) -> str:
    """A refusal is named by what it is about, so that the same offer can't pile up."""
    parts = (plant_id, entity_type.value, entity_id, field_name, source_system)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def candidates(entity_type: EntityType, plant_id: str, field_name: str) -> list[tuple[str, str, str]]:
    """Keys of the rules that may decide about a field, the most specific one first."""
    found = [(entity_type.value, plant_id, field_name), (entity_type.value, plant_id, WHOLE)]
    found += [(entity_type.value, "", field_name), (entity_type.value, "", WHOLE)]
    return list(dict.fromkeys(found))


def owner_of(rules: Sequence[OwnershipRule | None]) -> str:
    """The owner by the first rule that stands; empty: anyone may write."""
    return next((rule.source_system for rule in rules if rule is not None), "")


@dataclass(frozen=True, slots=True)
class Weighed(Generic[N]):
    """What may be applied (None: nothing is created), and which fields may not, with their owners."""

    applied: N | None
    refused: Mapping[str, str]


def weigh(shape: Shape[N], before: N | None, said: N, source_system: str, owners: Mapping[str, str]) -> Weighed[N]:
    """What of an offer is its source's to say. `owners`: by field, and for the whole."""
    if before is None:
        owner = owners[WHOLE]
        may = owner in ("", source_system)
        return Weighed(said if may else None, {} if may else {WHOLE: owner})
    applied, refused = said, {}
    for name, field in shape.fields.items():
        if owners[name] not in ("", source_system) and field.text(said) != field.text(before):
            applied = field.put(applied, field.text(before))
            refused[name] = owners[name]
    return Weighed(applied, refused)


def _quantity(text: str) -> Quantity:
    value, unit_code = text.split(" ")
    return Quantity(Decimal(value), unit_code)


def _components_text(bill: BillOfMaterials) -> str:
    return json.dumps([[c.item_id, plain(c.quantity.value), c.quantity.unit_code] for c in bill.components])


def _put_components(bill: BillOfMaterials, text: str) -> BillOfMaterials:
    parts = (Component(item, Quantity(Decimal(value), unit)) for item, value, unit in json.loads(text))
    return replace(bill, components=tuple(parts))


def _operations_text(routing: Routing) -> str:
    return json.dumps([[o.sequence, o.description, o.work_centre_id, o.labour_seconds] for o in routing.operations])


def _put_operations(routing: Routing, text: str) -> Routing:
    return replace(routing, operations=tuple(RoutingOperation(*operation) for operation in json.loads(text)))


def _flag(name: str) -> Field[Any]:
    """A yes or no of an entity."""
    return Field(
        lambda e: "true" if getattr(e, name) else "false", lambda e, text: replace(e, **{name: text == "true"})
    )


def _words(name: str) -> Field[Any]:
    """A text of an entity."""
    return Field(lambda e: str(getattr(e, name)), lambda e, text: replace(e, **{name: text}))


def _day(name: str) -> Field[Any]:
    """A plant calendar day of an entity; empty: none."""
    return Field(
        lambda e: day.isoformat() if (day := getattr(e, name)) else "",
        lambda e, text: replace(e, **{name: date.fromisoformat(text) if text else None}),
    )


def _level(name: str) -> Field[Any]:
    """An amount of an entity; empty: none."""
    return Field(
        lambda e: str(level) if (level := getattr(e, name)) is not None else "",
        lambda e, text: replace(e, **{name: _quantity(text) if text else None}),
    )


RETIRED: Mapping[str, Field[Any]] = {"is_retired": _flag("is_retired")}
EFFECTIVE: Mapping[str, Field[Any]] = {n: _day(n) for n in ("effective_start_date", "effective_end_date")}
ITEM: Shape[Item] = Shape(
    blank=lambda plant_id, item_id: Item(plant_id, item_id, "", "", False),
    fields={
        "description": Field(lambda i: i.description, lambda i, text: replace(i, description=text)),
        "unit_code": Field(lambda i: i.unit_code, lambda i, text: replace(i, unit_code=text)),
        "is_lot_tracked": _flag("is_lot_tracked"),
        **RETIRED,
    },
)
BILL_OF_MATERIALS: Shape[BillOfMaterials] = Shape(
    blank=lambda plant_id, bill_id: BillOfMaterials(plant_id, bill_id, "", "", Quantity(Decimal(0), "C62"), ()),
    fields={
        "item_id": Field(lambda b: b.item_id, lambda b, text: replace(b, item_id=text)),
        "revision": Field(lambda b: b.revision, lambda b, text: replace(b, revision=text)),
        "output_quantity": Field(lambda b: str(b.output), lambda b, text: replace(b, output=_quantity(text))),
        "components": Field(_components_text, _put_components),
        **RETIRED,
        **EFFECTIVE,
    },
)
ROUTING: Shape[Routing] = Shape(
    blank=lambda plant_id, routing_id: Routing(plant_id, routing_id, "", ()),
    fields={
        "item_id": Field(lambda r: r.item_id, lambda r, text: replace(r, item_id=text)),
        "operations": Field(_operations_text, _put_operations),
        **RETIRED,
        **EFFECTIVE,
    },
)
PARTNER: Shape[Partner] = Shape(
    blank=lambda plant_id, partner_id: Partner(plant_id, partner_id, "", False, False, ""),
    fields={
        "name": _words("name"),
        "is_supplier": _flag("is_supplier"),
        "is_customer": _flag("is_customer"),
        "country_code": _words("country_code"),
        **RETIRED,
    },
)
RESOURCE: Shape[Resource] = Shape(
    blank=lambda plant_id, resource_id: Resource(plant_id, resource_id, "", "", ""),
    fields={**{n: _words(n) for n in ("name", "category", "parent_resource_id")}, **RETIRED},
)
INVENTORY_POLICY: Shape[InventoryPolicy] = Shape(
    blank=lambda plant_id, item_id: InventoryPolicy(plant_id, item_id, None, None, None),
    fields={**{n: _level(n) for n in ("safety_stock", "reorder_point", "target_stock")}, **RETIRED},
)
SHAPES: Mapping[EntityType, Shape[Any]] = {
    EntityType.ITEM: ITEM,
    EntityType.BILL_OF_MATERIALS: BILL_OF_MATERIALS,
    EntityType.ROUTING: ROUTING,
    EntityType.PARTNER: PARTNER,
    EntityType.RESOURCE: RESOURCE,
    EntityType.INVENTORY_POLICY: INVENTORY_POLICY,
}
