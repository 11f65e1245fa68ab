"""Production's tables, and how their rows become nouns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from servicekit.clock import instant, micros
from servicekit.domain import BusinessKey, Quantity, plain
from servicekit.rows import Rows, scaled, table, unscaled
from servicekit.use_case import Store
from services.production.domain.confirmation import (
    SECOND,
    Confirmation,
    Consumption,
    Scrap,
)
from services.production.domain.line import Block, Line
from services.production.domain.plant import Plant
from services.production.domain.recipe import (
    BillOfMaterials,
    BillOfMaterialsUnknown,
    InUse,
    Resource,
    Routing,
    RoutingUnknown,
)
from services.production.domain.totals import Total
from services.production.domain.work_order import (
    ComponentAllocation,
    Demand,
    Item,
    ItemUnknown,
    Operation,
    State,
    WorkOrder,
    WorkOrderMissing,
)

PLANTS = Rows(
    table("plants", "plant_id time_zone", "over_delivery_percent"),
    Plant,
    key=("plant_id",),
    from_row=lambda r: Plant(r.plant_id, r.time_zone, unscaled(r.over_delivery_percent)),
    to_row=lambda p: {
        "plant_id": p.plant_id,
        "time_zone": p.time_zone,
        "over_delivery_percent": scaled(p.over_delivery_percent),
    },
)

ITEMS = Rows(
    table("items", "plant_id item_id unit_code", flags="is_lot_tracked"),
    Item,
    key=("plant_id", "item_id"),
    from_row=lambda r: Item(r.plant_id, r.item_id, r.unit_code, bool(r.is_lot_tracked)),
    to_row=lambda i: {
        "plant_id": i.plant_id,
        "item_id": i.item_id,
        "unit_code": i.unit_code,
        "is_lot_tracked": i.is_lot_tracked,
    },
    missing=ItemUnknown,
)


def _in_use(r: Any) -> InUse:
    start, end = (date.fromisoformat(text) if text else None for text in (r.effective_start_date, r.effective_end_date))
    return InUse(start, end, bool(r.is_retired))


def _in_use_row(said: InUse) -> dict[str, object]:
    start, end = (day.isoformat() if day else "" for day in (said.start_date, said.end_date))
    return {"effective_start_date": start, "effective_end_date": end, "is_retired": said.is_retired}


BILLS_OF_MATERIALS = Rows(
    table(
        "bills_of_materials",
        "plant_id bill_of_materials_id revision effective_start_date effective_end_date",
        flags="is_retired",
    ),
    BillOfMaterials,
    key=("plant_id", "bill_of_materials_id"),
    from_row=lambda r: BillOfMaterials(r.plant_id, r.bill_of_materials_id, r.revision, _in_use(r)),
    to_row=lambda b: {
        "plant_id": b.plant_id,
        "bill_of_materials_id": b.bill_of_materials_id,
        "revision": b.revision,
        **_in_use_row(b.in_use),
    },
    missing=BillOfMaterialsUnknown,
)

ROUTINGS = Rows(
    table("routings", "plant_id routing_id effective_start_date effective_end_date", flags="is_retired"),
    Routing,
    key=("plant_id", "routing_id"),
    from_row=lambda r: Routing(r.plant_id, r.routing_id, _in_use(r)),
    to_row=lambda r: {"plant_id": r.plant_id, "routing_id": r.routing_id, **_in_use_row(r.in_use)},
    missing=RoutingUnknown,
)

RESOURCES = Rows(
    table("resources", "plant_id resource_id", flags="is_retired"),
    Resource,
    key=("plant_id", "resource_id"),
    from_row=lambda r: Resource(r.plant_id, r.resource_id, bool(r.is_retired)),
    to_row=lambda r: {"plant_id": r.plant_id, "resource_id": r.resource_id, "is_retired": r.is_retired},
)

LINES = Rows(
    table("lines", "plant_id line_id blocks", "changes told"),
    Line,
    key=("plant_id", "line_id"),
    from_row=lambda r: Line(
        r.plant_id,
        r.line_id,
        tuple(Block(block, asset, fault, instant(begin)) for block, asset, fault, begin in json.loads(r.blocks)),
        r.changes,
        r.told,
    ),
    to_row=lambda n: {
        "plant_id": n.plant_id,
        "line_id": n.line_id,
        "blocks": json.dumps([[b.block_id, b.asset_id, b.fault_code, micros(b.start_time)] for b in n.blocks]),
        "changes": n.changes,
        "told": n.told,
    },
)


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


def _work_order(r: Any) -> WorkOrder:
    return WorkOrder(
        work_order_id=r.work_order_id,
        plant_id=r.plant_id,
        erp_order_number=r.erp_order_number,
        item_id=r.item_id,
        is_lot_tracked=bool(r.is_lot_tracked),
        planned=Quantity(unscaled(r.planned), r.unit_code),
        good=Quantity(unscaled(r.good), r.unit_code),
        scrap=Quantity(unscaled(r.scrap), r.unit_code),
        bill_of_materials_id=r.bill_of_materials_id,
        routing_id=r.routing_id,
        planned_start_date=_day(r.planned_start_date),
        due_date=_day(r.due_date),
        state=State(r.state),
        mes_order_number=r.mes_order_number,
        release_time=instant(r.release_time),
        traceparent=r.traceparent,
        version=r.version,
        is_held=bool(r.is_held),
        demand=Demand(r.sales_order_number, r.customer_id, _day(r.requested_date)) if r.sales_order_number else None,
    )


def _work_order_row(o: WorkOrder) -> Mapping[str, Any]:
    return {
        "work_order_id": o.work_order_id,
        "plant_id": o.plant_id,
        "erp_order_number": o.erp_order_number,
        "item_id": o.item_id,
        "is_lot_tracked": o.is_lot_tracked,
        "unit_code": o.planned.unit_code,
        "planned": scaled(o.planned.value),
        "good": scaled(o.good.value),
        "scrap": scaled(o.scrap.value),
        "bill_of_materials_id": o.bill_of_materials_id,
        "routing_id": o.routing_id,
        "planned_start_date": o.planned_start_date.isoformat() if o.planned_start_date else None,
        "due_date": o.due_date.isoformat() if o.due_date else None,
        "state": o.state.value,
        "mes_order_number": o.mes_order_number,
        "release_time": micros(o.release_time),
        "traceparent": o.traceparent,
        "version": o.version,
        "is_held": o.is_held,
        "sales_order_number": o.demand.sales_order_number if o.demand else "",
        "customer_id": o.demand.partner_id if o.demand else "",
        "requested_date": o.demand.requested_date.isoformat() if o.demand and o.demand.requested_date else None,
    }


WORK_ORDERS = Rows(
    table(
        "work_orders",
        "work_order_id plant_id erp_order_number item_id unit_code bill_of_materials_id routing_id "
        "planned_start_date due_date state mes_order_number traceparent sales_order_number customer_id requested_date",
        "planned good scrap release_time version",
        flags="is_lot_tracked is_held",
    ),
    WorkOrder,
    key=("work_order_id",),
    from_row=_work_order,
    to_row=_work_order_row,
    missing=WorkOrderMissing,
)

OPERATIONS = Rows(
    table(
        "operations",
        "work_order_id description work_centre_id variance_told",
        "good scrap counted_good counted_scrap change_time",
        "sequence",
        "is_counted",
    ),
    Operation,
    key=("work_order_id", "sequence"),
    owner=("work_order_id",),
    from_row=lambda r: Operation(
        work_order_id=r.work_order_id,
        sequence=r.sequence,
        description=r.description,
        work_centre_id=r.work_centre_id,
        good=unscaled(r.good),
        scrap=unscaled(r.scrap),
        counted_good=unscaled(r.counted_good),
        counted_scrap=unscaled(r.counted_scrap),
        is_counted=bool(r.is_counted),
        variance_told=r.variance_told,
        change_time=r.change_time,
    ),
    to_row=lambda o: {
        "work_order_id": o.work_order_id,
        "sequence": o.sequence,
        "description": o.description,
        "work_centre_id": o.work_centre_id,
        "good": scaled(o.good),
        "scrap": scaled(o.scrap),
        "counted_good": scaled(o.counted_good),
        "counted_scrap": scaled(o.counted_scrap),
        "is_counted": o.is_counted,
        "variance_told": o.variance_told,
        "change_time": o.change_time,
    },
)

COMPONENTS = Rows(
    table("component_allocations", "work_order_id item_id unit_code lot_id", "quantity", "line"),
    ComponentAllocation,
    key=("work_order_id", "line"),
    owner=("work_order_id",),
    from_row=lambda r: ComponentAllocation(
        r.work_order_id, r.line, r.item_id, Quantity(unscaled(r.quantity), r.unit_code), r.lot_id
    ),
    to_row=lambda c: {
        "work_order_id": c.work_order_id,
        "line": c.line,
        "item_id": c.item_id,
        "unit_code": c.quantity.unit_code,
        "quantity": scaled(c.quantity.value),
        "lot_id": c.lot_id,
    },
)


def _confirmation(r: Any) -> Confirmation:
    scraps = [Scrap(Quantity(Decimal(amount), r.unit_code), reason) for reason, amount in json.loads(r.scraps)]
    consumptions = [
        Consumption(item, lot, Quantity(Decimal(amount), unit))
        for item, lot, amount, unit in json.loads(r.consumptions)
    ]
    return Confirmation(
        confirmation_id=r.confirmation_id,
        business_key=BusinessKey(r.source_system, r.document_type, r.document_number, r.document_line),
        plant_id=r.plant_id,
        work_order_id=r.work_order_id,
        operation_sequence=r.operation_sequence,
        good=Quantity(unscaled(r.good), r.unit_code),
        scraps=tuple(scraps),
        labour=Quantity(unscaled(r.labour_seconds), SECOND),
        consumptions=tuple(consumptions),
        output_lot_id=r.output_lot_id,
        occur_time=instant(r.occur_time),
        operator_id=r.operator_id,
        is_final=bool(r.is_final),
        shift_id=r.shift_id,
        is_reversed=bool(r.is_reversed),
        booking_number=r.booking_number,
    )


def _confirmation_row(c: Confirmation) -> Mapping[str, Any]:
    return {
        "confirmation_id": c.confirmation_id,
        "source_system": c.business_key.source_system,
        "document_type": c.business_key.document_type,
        "document_number": c.business_key.document_number,
        "document_line": c.business_key.line,
        "plant_id": c.plant_id,
        "work_order_id": c.work_order_id,
        "operation_sequence": c.operation_sequence,
        "unit_code": c.good.unit_code,
        "good": scaled(c.good.value),
        "labour_seconds": scaled(c.labour.value),
        "scraps": json.dumps([[s.reason_code, plain(s.quantity.value)] for s in c.scraps]),
        "consumptions": json.dumps(
            [[u.item_id, u.lot_id, plain(u.quantity.value), u.quantity.unit_code] for u in c.consumptions]
        ),
        "output_lot_id": c.output_lot_id,
        "occur_time": micros(c.occur_time),
        "operator_id": c.operator_id,
        "is_final": c.is_final,
        "shift_id": c.shift_id,
        "is_reversed": c.is_reversed,
        "booking_number": c.booking_number,
    }


CONFIRMATIONS = Rows(
    table(
        "confirmations",
        "confirmation_id source_system document_type document_number document_line plant_id work_order_id "
        "unit_code scraps consumptions output_lot_id operator_id shift_id",
        "good labour_seconds occur_time booking_number",
        "operation_sequence",
        "is_final is_reversed",
    ),
    Confirmation,
    key=("confirmation_id",),
    from_row=_confirmation,
    to_row=_confirmation_row,
)

TOTALS = Rows(
    table("work_order_totals", "work_order_id total_kind name lot_id unit_code", "quantity"),
    Total,
    key=("work_order_id", "total_kind", "name", "lot_id"),
    owner=("work_order_id",),
    from_row=lambda r: Total(
        r.work_order_id, r.total_kind, r.name, r.lot_id, Quantity(unscaled(r.quantity), r.unit_code)
    ),
    to_row=lambda t: {
        "work_order_id": t.work_order_id,
        "total_kind": t.total_kind,
        "name": t.name,
        "lot_id": t.lot_id,
        "quantity": scaled(t.quantity.value),
        "unit_code": t.quantity.unit_code,
    },
)

STORE = Store(
    "production",
    (
        LINES,
        PLANTS,
        ITEMS,
        BILLS_OF_MATERIALS,
        ROUTINGS,
        RESOURCES,
        WORK_ORDERS,
        OPERATIONS,
        COMPONENTS,
        CONFIRMATIONS,
        TOTALS,
    ),
)
