"""Inventory's tables, and how their rows become nouns."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

from servicekit.clock import instant, micros
from servicekit.domain import Quantity, plain
from servicekit.rows import Rows, scaled, table, unscaled
from servicekit.use_case import Store
from services.inventory.domain.allocation import AllocatedLot, Allocation, AllocationMark, Shortage
from services.inventory.domain.availability import Availability
from services.inventory.domain.hold import Cause, Disposition, Hold, InspectedItem, LotDisposition
from services.inventory.domain.ledger import Lot, LotMissing, Movement, Stock, Transaction
from services.inventory.domain.shipment import (
    Line,
    LotShipment,
    Shipment,
    ShipmentMissing,
    ShipmentState,
    ShippedLot,
)

LOTS = Rows(
    table("lots", "plant_id item_id lot_id work_order_id traceparent", "make_time"),
    Lot,
    key=("plant_id", "item_id", "lot_id"),
    from_row=lambda r: Lot(
        r.plant_id,
        r.item_id,
        r.lot_id,
        r.work_order_id,
        r.traceparent,
        instant(r.make_time),
    ),
    to_row=lambda n: {
        "plant_id": n.plant_id,
        "item_id": n.item_id,
        "lot_id": n.lot_id,
        "work_order_id": n.work_order_id,
        "traceparent": n.traceparent,
        "make_time": micros(n.make_time),
    },
    missing=LotMissing,
)

STOCKS = Rows(
    table("stocks", "plant_id item_id lot_id location_id unit_code", "quantity"),
    Stock,
    key=("plant_id", "item_id", "lot_id", "location_id"),
    from_row=lambda r: Stock(
        r.plant_id, r.item_id, r.lot_id, r.location_id, Quantity(unscaled(r.quantity), r.unit_code)
    ),
    to_row=lambda s: {
        "plant_id": s.plant_id,
        "item_id": s.item_id,
        "lot_id": s.lot_id,
        "location_id": s.location_id,
        "quantity": scaled(s.quantity.value),
        "unit_code": s.quantity.unit_code,
    },
)

AVAILABILITIES = Rows(
    table("availabilities", "plant_id item_id unit_code", "on_hand held allocated version"),
    Availability,
    key=("plant_id", "item_id"),
    from_row=lambda r: Availability(
        r.plant_id,
        r.item_id,
        Quantity(unscaled(r.on_hand), r.unit_code),
        Quantity(unscaled(r.held), r.unit_code),
        Quantity(unscaled(r.allocated), r.unit_code),
        r.version,
    ),
    to_row=lambda a: {
        "plant_id": a.plant_id,
        "item_id": a.item_id,
        "unit_code": a.on_hand.unit_code,
        "on_hand": scaled(a.on_hand.value),
        "held": scaled(a.held.value),
        "allocated": scaled(a.allocated.value),
        "version": a.version,
    },
)

TRANSACTIONS = Rows(
    table(
        "inventory_transactions",
        "transaction_id plant_id item_id lot_id location_id movement unit_code work_order_id document_id reason_code",
        "quantity occur_time record_time",
    ),
    Transaction,
    key=("transaction_id",),
    insert_only=True,
    from_row=lambda r: Transaction(
        r.transaction_id,
        r.plant_id,
        r.item_id,
        r.lot_id,
        r.location_id,
        Movement(r.movement),
        Quantity(unscaled(r.quantity), r.unit_code),
        r.work_order_id,
        r.document_id,
        instant(r.occur_time),
        instant(r.record_time),
        r.reason_code,
    ),
    to_row=lambda t: {
        "transaction_id": t.transaction_id,
        "plant_id": t.plant_id,
        "item_id": t.item_id,
        "lot_id": t.lot_id,
        "location_id": t.location_id,
        "movement": t.movement.value,
        "quantity": scaled(t.quantity.value),
        "unit_code": t.quantity.unit_code,
        "work_order_id": t.work_order_id,
        "document_id": t.document_id,
        "occur_time": micros(t.occur_time),
        "record_time": micros(t.record_time),
        "reason_code": t.reason_code,
    },
)


def _shipment(r: Any) -> Shipment:
    lines = [Line(item, Quantity(Decimal(amount), unit)) for item, amount, unit in json.loads(r.lines)]
    lots = [ShippedLot(i, lot, Quantity(Decimal(amount), unit)) for i, lot, amount, unit in json.loads(r.shipped_lots)]
    return Shipment(
        shipment_id=r.shipment_id,
        plant_id=r.plant_id,
        erp_delivery_number=r.erp_delivery_number,
        customer_name=r.customer_name,
        planned_date=date.fromisoformat(r.planned_date) if r.planned_date else None,
        lines=tuple(lines),
        state=ShipmentState(r.state),
        shipped_lots=tuple(lots),
        traceparent=r.traceparent,
        version=r.version,
    )


SHIPMENTS = Rows(
    table(
        "shipments",
        "shipment_id plant_id erp_delivery_number customer_name planned_date lines state shipped_lots traceparent",
        "version",
    ),
    Shipment,
    key=("shipment_id",),
    from_row=_shipment,
    to_row=lambda s: {
        "shipment_id": s.shipment_id,
        "plant_id": s.plant_id,
        "erp_delivery_number": s.erp_delivery_number,
        "customer_name": s.customer_name,
        "planned_date": s.planned_date.isoformat() if s.planned_date else None,
        "lines": json.dumps([[n.item_id, plain(n.quantity.value), n.quantity.unit_code] for n in s.lines]),
        "state": s.state.value,
        "shipped_lots": json.dumps(
            [[n.item_id, n.lot_id, plain(n.quantity.value), n.quantity.unit_code] for n in s.shipped_lots]
        ),
        "traceparent": s.traceparent,
        "version": s.version,
    },
    missing=ShipmentMissing,
)

INSPECTED_ITEMS = Rows(
    table("inspected_items", "plant_id test_specification_id item_id effective_start_date effective_end_date"),
    InspectedItem,
    key=("plant_id", "test_specification_id"),
    owner=("plant_id", "item_id"),
    from_row=lambda r: InspectedItem(
        r.plant_id,
        r.test_specification_id,
        r.item_id,
        date.fromisoformat(r.effective_start_date),
        date.fromisoformat(r.effective_end_date) if r.effective_end_date else None,
    ),
    to_row=lambda n: {
        "plant_id": n.plant_id,
        "item_id": n.item_id,
        "test_specification_id": n.test_specification_id,
        "effective_start_date": n.effective_start_date.isoformat(),
        "effective_end_date": n.effective_end_date.isoformat() if n.effective_end_date else None,
    },
)

LOT_DISPOSITIONS = Rows(
    table(
        "lot_dispositions",
        "plant_id item_id lot_id work_order_id inspection_id disposition reason",
        flags="has_passed",
    ),
    LotDisposition,
    key=("plant_id", "item_id", "lot_id", "work_order_id", "inspection_id"),
    owner=("plant_id", "item_id", "lot_id"),
    from_row=lambda r: LotDisposition(
        r.plant_id,
        r.item_id,
        r.lot_id,
        r.work_order_id,
        r.inspection_id,
        Disposition(r.disposition),
        r.reason,
        bool(r.has_passed),
    ),
    to_row=lambda d: {
        "plant_id": d.plant_id,
        "item_id": d.item_id,
        "lot_id": d.lot_id,
        "work_order_id": d.work_order_id,
        "inspection_id": d.inspection_id,
        "disposition": d.disposition.value,
        "reason": d.reason,
        "has_passed": d.has_passed,
    },
)

HOLDS = Rows(
    table(
        "holds",
        "hold_id plant_id item_id lot_id cause work_order_id hold_reason release_reason",
        "hold_time release_time",
    ),
    Hold,
    key=("hold_id",),
    owner=("plant_id", "item_id", "lot_id"),
    from_row=lambda r: Hold(
        r.plant_id,
        r.item_id,
        r.lot_id,
        Cause(r.cause),
        r.work_order_id,
        r.hold_reason,
        instant(r.hold_time),
        instant(r.release_time) if r.release_time is not None else None,
        r.release_reason,
    ),
    to_row=lambda h: {
        "hold_id": h.hold_id,
        "plant_id": h.plant_id,
        "item_id": h.item_id,
        "lot_id": h.lot_id,
        "cause": h.cause.value,
        "work_order_id": h.work_order_id,
        "hold_reason": h.hold_reason,
        "hold_time": micros(h.hold_time),
        "release_time": micros(h.release_time) if h.release_time is not None else None,
        "release_reason": h.release_reason,
    },
)

LOT_SHIPMENTS = Rows(
    table(
        "lot_shipments",
        "plant_id item_id lot_id shipment_id erp_delivery_number customer_name unit_code",
        "quantity",
    ),
    LotShipment,
    key=("plant_id", "item_id", "lot_id", "shipment_id"),
    owner=("plant_id", "item_id", "lot_id"),
    insert_only=True,
    from_row=lambda r: LotShipment(
        r.plant_id,
        r.item_id,
        r.lot_id,
        r.shipment_id,
        r.erp_delivery_number,
        r.customer_name,
        Quantity(unscaled(r.quantity), r.unit_code),
    ),
    to_row=lambda s: {
        "plant_id": s.plant_id,
        "item_id": s.item_id,
        "lot_id": s.lot_id,
        "shipment_id": s.shipment_id,
        "erp_delivery_number": s.erp_delivery_number,
        "customer_name": s.customer_name,
        "quantity": scaled(s.quantity.value),
        "unit_code": s.quantity.unit_code,
    },
)


def _allocation(r: Any) -> Allocation:
    lots = [
        AllocatedLot(i, lot, Quantity(Decimal(amount), unit)) for i, lot, amount, unit in json.loads(r.allocated_lots)
    ]
    lacking = [Shortage(item, Quantity(Decimal(amount), unit)) for item, amount, unit in json.loads(r.shortages)]
    return Allocation(r.shipment_id, r.plant_id, tuple(lots), tuple(lacking))


ALLOCATIONS = Rows(
    table("allocations", "shipment_id plant_id allocated_lots shortages"),
    Allocation,
    key=("shipment_id",),
    from_row=_allocation,
    to_row=lambda a: {
        "shipment_id": a.shipment_id,
        "plant_id": a.plant_id,
        "allocated_lots": json.dumps(
            [[n.item_id, n.lot_id, plain(n.quantity.value), n.quantity.unit_code] for n in a.allocated_lots]
        ),
        "shortages": json.dumps([[n.item_id, plain(n.quantity.value), n.quantity.unit_code] for n in a.shortages]),
    },
)

ALLOCATION_MARKS = Rows(
    table("allocation_marks", "plant_id", "changes told"),
    AllocationMark,
    key=("plant_id",),
    from_row=lambda r: AllocationMark(r.plant_id, r.changes, r.told),
    to_row=lambda m: {"plant_id": m.plant_id, "changes": m.changes, "told": m.told},
)

STORE = Store(
    "inventory",
    (
        LOTS,
        AVAILABILITIES,
        STOCKS,
        TRANSACTIONS,
        SHIPMENTS,
        INSPECTED_ITEMS,
        LOT_DISPOSITIONS,
        HOLDS,
        LOT_SHIPMENTS,
        ALLOCATIONS,
        ALLOCATION_MARKS,
    ),
)
