"""Master data's tables, and how their rows become nouns."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from servicekit.clock import instant, micros
from servicekit.domain import Quantity, plain
from servicekit.rows import Rows, scaled, table, unscaled
from servicekit.use_case import Store
from services.master_data.domain.foreign_id import ForeignId, ForeignIdMissing
from services.master_data.domain.inventory_policy import InventoryPolicy, InventoryPolicyMissing
from services.master_data.domain.item import Item, ItemMissing
from services.master_data.domain.ownership import OwnershipRefusal, OwnershipRefusalMissing, OwnershipRule, State
from services.master_data.domain.partner import Partner, PartnerMissing
from services.master_data.domain.recipe import (
    BillOfMaterials,
    BillOfMaterialsMissing,
    Component,
    Routing,
    RoutingMissing,
    RoutingOperation,
)
from services.master_data.domain.resource import Resource, ResourceMissing
from services.master_data.domain.unit_conversion import UnitConversion

ITEMS = Rows(
    table("items", "plant_id item_id description unit_code", "version", flags="is_lot_tracked is_retired"),
    Item,
    key=("plant_id", "item_id"),
    from_row=lambda r: Item(
        r.plant_id, r.item_id, r.description, r.unit_code, bool(r.is_lot_tracked), r.version, bool(r.is_retired)
    ),
    to_row=lambda i: {
        "plant_id": i.plant_id,
        "item_id": i.item_id,
        "description": i.description,
        "unit_code": i.unit_code,
        "is_lot_tracked": i.is_lot_tracked,
        "version": i.version,
        "is_retired": i.is_retired,
    },
    missing=ItemMissing,
)


PARTNERS = Rows(
    table("partners", "plant_id partner_id name country_code", "version", flags="is_supplier is_customer is_retired"),
    Partner,
    key=("plant_id", "partner_id"),
    from_row=lambda r: Partner(
        r.plant_id,
        r.partner_id,
        r.name,
        bool(r.is_supplier),
        bool(r.is_customer),
        r.country_code,
        r.version,
        bool(r.is_retired),
    ),
    to_row=asdict,
    missing=PartnerMissing,
)


def _inventory_policy(r: Any) -> InventoryPolicy:
    safety, reorder, target = (
        None if level is None else Quantity(unscaled(level), r.unit_code)
        for level in (r.safety_stock, r.reorder_point, r.target_stock)
    )
    return InventoryPolicy(r.plant_id, r.item_id, safety, reorder, target, r.version, bool(r.is_retired))


def _inventory_policy_row(p: InventoryPolicy) -> dict[str, object]:
    units = [level.unit_code for level in p.levels().values() if level is not None]
    levels = {name: None if level is None else scaled(level.value) for name, level in p.levels().items()}
    names = {"plant_id": p.plant_id, "item_id": p.item_id, "unit_code": units[0] if units else ""}
    return {**names, **levels, "version": p.version, "is_retired": p.is_retired}


INVENTORY_POLICIES = Rows(
    table(
        "inventory_policies",
        "plant_id item_id unit_code",
        "safety_stock reorder_point target_stock version",
        flags="is_retired",
    ),
    InventoryPolicy,
    key=("plant_id", "item_id"),
    from_row=_inventory_policy,
    to_row=_inventory_policy_row,
    missing=InventoryPolicyMissing,
)

RESOURCES = Rows(
    table("resources", "plant_id resource_id name category parent_resource_id", "version", flags="is_retired"),
    Resource,
    key=("plant_id", "resource_id"),
    from_row=lambda r: Resource(
        r.plant_id, r.resource_id, r.name, r.category, r.parent_resource_id, r.version, bool(r.is_retired)
    ),
    to_row=asdict,
    missing=ResourceMissing,
)


def _effective(r: Any) -> tuple[date | None, date | None]:
    """Days of a row, where empty is none."""
    start, end = (date.fromisoformat(t) if t else None for t in (r.effective_start_date, r.effective_end_date))
    return start, end


def _effective_row(recipe: BillOfMaterials | Routing) -> dict[str, str]:
    start, end = recipe.effective_start_date, recipe.effective_end_date
    return {
        "effective_start_date": start.isoformat() if start else "",
        "effective_end_date": end.isoformat() if end else "",
    }


def _bill(r: Any) -> BillOfMaterials:
    parts = [Component(item, Quantity(Decimal(amount), unit)) for item, amount, unit in json.loads(r.components)]
    output = Quantity(unscaled(r.output), r.unit_code)
    said = r.plant_id, r.bill_of_materials_id, r.item_id, r.revision, output, tuple(parts), r.version
    return BillOfMaterials(*said, bool(r.is_retired), *_effective(r))


BILLS_OF_MATERIALS = Rows(
    table(
        "bills_of_materials",
        "plant_id bill_of_materials_id item_id revision unit_code components effective_start_date effective_end_date",
        "output version",
        flags="is_retired",
    ),
    BillOfMaterials,
    key=("plant_id", "bill_of_materials_id"),
    from_row=_bill,
    to_row=lambda b: {
        "plant_id": b.plant_id,
        "bill_of_materials_id": b.bill_of_materials_id,
        "item_id": b.item_id,
        "revision": b.revision,
        "output": scaled(b.output.value),
        "unit_code": b.output.unit_code,
        "components": json.dumps([[c.item_id, plain(c.quantity.value), c.quantity.unit_code] for c in b.components]),
        "version": b.version,
        "is_retired": b.is_retired,
        **_effective_row(b),
    },
    missing=BillOfMaterialsMissing,
)

ROUTINGS = Rows(
    table(
        "routings",
        "plant_id routing_id item_id operations effective_start_date effective_end_date",
        "version",
        flags="is_retired",
    ),
    Routing,
    key=("plant_id", "routing_id"),
    from_row=lambda r: Routing(
        r.plant_id,
        r.routing_id,
        r.item_id,
        tuple(RoutingOperation(*operation) for operation in json.loads(r.operations)),
        r.version,
        bool(r.is_retired),
        *_effective(r),
    ),
    to_row=lambda r: {
        "plant_id": r.plant_id,
        "routing_id": r.routing_id,
        "item_id": r.item_id,
        "operations": json.dumps(
            [[o.sequence, o.description, o.work_centre_id, o.labour_seconds] for o in r.operations]
        ),
        "version": r.version,
        "is_retired": r.is_retired,
        **_effective_row(r),
    },
    missing=RoutingMissing,
)

OWNERSHIP_RULES = Rows(
    table("ownership_rules", "entity_type plant_id field_name source_system", "version"),
    OwnershipRule,
    key=("entity_type", "plant_id", "field_name"),
    from_row=lambda r: OwnershipRule(r.entity_type, r.plant_id, r.field_name, r.source_system, r.version),
    to_row=asdict,
)


def _refusal(r: Any) -> OwnershipRefusal:
    return OwnershipRefusal(
        r.refusal_id,
        r.plant_id,
        r.entity_type,
        r.entity_id,
        r.field_name,
        r.owner,
        r.source_system,
        r.kept,
        r.offered,
        State(r.state),
        r.offer_count,
        instant(r.offer_time),
        r.decide_reason,
        r.operator_id,
        instant(r.decide_time) if r.decide_time else None,
    )


OWNERSHIP_REFUSALS = Rows(
    table(
        "ownership_refusals",
        "refusal_id plant_id entity_type entity_id field_name owner source_system kept offered state "
        "decide_reason operator_id",
        "offer_count offer_time decide_time",
    ),
    OwnershipRefusal,
    key=("refusal_id",),
    from_row=_refusal,
    to_row=lambda r: {
        **asdict(r),
        "state": r.state.value,
        "offer_time": micros(r.offer_time),
        "decide_time": micros(r.decide_time) if r.decide_time else 0,
    },
    missing=OwnershipRefusalMissing,
)

FOREIGN_IDS = Rows(
    table("foreign_ids", "plant_id entity_type source_system foreign_id entity_id"),
    ForeignId,
    key=("plant_id", "entity_type", "source_system", "foreign_id"),
    owner=("plant_id", "entity_type", "source_system", "entity_id"),
    from_row=lambda r: ForeignId(r.plant_id, r.entity_type, r.source_system, r.foreign_id, r.entity_id),
    to_row=asdict,
    missing=ForeignIdMissing,
)

UNIT_CONVERSIONS = Rows(
    table("unit_conversions", "plant_id item_id units from_unit to_unit numerator denominator", "version"),
    UnitConversion,
    key=("plant_id", "item_id", "units"),
    from_row=lambda r: UnitConversion(
        r.plant_id, r.item_id, r.from_unit, r.to_unit, Decimal(r.numerator), Decimal(r.denominator), r.version
    ),
    to_row=lambda c: {
        **asdict(c),
        "units": c.units,
        "numerator": plain(c.numerator),
        "denominator": plain(c.denominator),
    },
)

STORE = Store(
    "master_data",
    (
        ITEMS,
        BILLS_OF_MATERIALS,
        ROUTINGS,
        PARTNERS,
        RESOURCES,
        INVENTORY_POLICIES,
        OWNERSHIP_RULES,
        OWNERSHIP_REFUSALS,
        FOREIGN_IDS,
        UNIT_CONVERSIONS,
    ),
)
