"""Master data's tables, and how their rows become nouns."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from servicekit.domain import Quantity, plain
from servicekit.rows import Rows, scaled, table, unscaled
from servicekit.use_case import Store
from services.master_data.domain.item import Item, ItemMissing
from services.master_data.domain.recipe import (
    BillOfMaterials,
    BillOfMaterialsMissing,
    Component,
    Routing,
    RoutingMissing,
    RoutingOperation,
)

ITEMS = Rows(
    table("items", "plant_id item_id description unit_code", "version", flags="is_lot_tracked"),
    Item,
    key=("plant_id", "item_id"),
    from_row=lambda r: Item(r.plant_id, r.item_id, r.description, r.unit_code, bool(r.is_lot_tracked), r.version),
    to_row=lambda i: {
        "plant_id": i.plant_id,
        "item_id": i.item_id,
        "description": i.description,
        "unit_code": i.unit_code,
        "is_lot_tracked": i.is_lot_tracked,
        "version": i.version,
    },
    missing=ItemMissing,
)


def _bill(r: Any) -> BillOfMaterials:
    parts = [Component(item, Quantity(Decimal(amount), unit)) for item, amount, unit in json.loads(r.components)]
    output = Quantity(unscaled(r.output), r.unit_code)
    return BillOfMaterials(r.plant_id, r.bill_of_materials_id, r.item_id, r.revision, output, tuple(parts), r.version)


BILLS_OF_MATERIALS = Rows(
    table(
        "bills_of_materials",
        "plant_id bill_of_materials_id item_id revision unit_code components",
        "output version",
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
    },
    missing=BillOfMaterialsMissing,
)

ROUTINGS = Rows(
    table("routings", "plant_id routing_id item_id operations", "version"),
    Routing,
    key=("plant_id", "routing_id"),
    from_row=lambda r: Routing(
        r.plant_id,
        r.routing_id,
        r.item_id,
        tuple(RoutingOperation(*operation) for operation in json.loads(r.operations)),
        r.version,
    ),
    to_row=lambda r: {
        "plant_id": r.plant_id,
        "routing_id": r.routing_id,
        "item_id": r.item_id,
        "operations": json.dumps(
            [[o.sequence, o.description, o.work_centre_id, o.labour_seconds] for o in r.operations]
        ),
        "version": r.version,
    },
    missing=RoutingMissing,
)

STORE = Store("master_data", (ITEMS, BILLS_OF_MATERIALS, ROUTINGS))
