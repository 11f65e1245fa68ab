"""The gateway's tables, and how their rows become nouns."""

from __future__ import annotations

from servicekit.domain import Quantity
from servicekit.rows import Rows, scaled, table, unscaled
from servicekit.use_case import Store
from services.gateway.domain.erp_inspection import ErpInspection
from services.gateway.domain.erp_order import ErpFeed, ErpOrder, Step
from services.gateway.domain.held_lot import HeldLot
from services.gateway.domain.partner_feed import PartnerFeed
from services.gateway.domain.stock_change import StockChange

ERP_ORDERS = Rows(
    table(
        "erp_orders",
        "work_order_id plant_id erp_order_number item_id step content traceparent delay_reason",
        flags="is_completing",
    ),
    ErpOrder,
    key=("work_order_id",),
    from_row=lambda r: ErpOrder(
        work_order_id=r.work_order_id,
        plant_id=r.plant_id,
        erp_order_number=r.erp_order_number,
        item_id=r.item_id,
        step=Step(r.step),
        content=r.content,
        is_completing=bool(r.is_completing),
        traceparent=r.traceparent,
        delay_reason=r.delay_reason,
    ),
    to_row=lambda o: {
        "work_order_id": o.work_order_id,
        "plant_id": o.plant_id,
        "erp_order_number": o.erp_order_number,
        "item_id": o.item_id,
        "step": o.step.value,
        "content": o.content,
        "is_completing": o.is_completing,
        "traceparent": o.traceparent,
        "delay_reason": o.delay_reason,
    },
)

ERP_FEEDS = Rows(
    table("erp_feeds", "plant_id watermark release"),
    ErpFeed,
    key=("plant_id",),
    from_row=lambda r: ErpFeed(r.plant_id, r.watermark, r.release),
    to_row=lambda f: {"plant_id": f.plant_id, "watermark": f.watermark, "release": f.release},
)

PARTNER_FEEDS = Rows(
    table("partner_feeds", "partner_id watermark"),
    PartnerFeed,
    key=("partner_id",),
    from_row=lambda r: PartnerFeed(r.partner_id, r.watermark),
    to_row=lambda f: {"partner_id": f.partner_id, "watermark": f.watermark},
)

HELD_LOTS = Rows(
    table(
        "held_lots",
        "plant_id item_id lot_id work_order_id unit_code hold_reason",
        "quantity",
        "round",
        "is_held is_asked",
    ),
    HeldLot,
    key=("plant_id", "item_id", "lot_id"),
    owner=("work_order_id",),
    from_row=lambda r: HeldLot(
        plant_id=r.plant_id,
        item_id=r.item_id,
        lot_id=r.lot_id,
        work_order_id=r.work_order_id,
        quantity=Quantity(unscaled(r.quantity), r.unit_code) if r.unit_code else None,
        hold_reason=r.hold_reason,
        is_held=bool(r.is_held),
        is_asked=bool(r.is_asked),
        round=r.round,
    ),
    to_row=lambda h: {
        "plant_id": h.plant_id,
        "item_id": h.item_id,
        "lot_id": h.lot_id,
        "work_order_id": h.work_order_id,
        "quantity": scaled(h.quantity.value) if h.quantity else 0,
        "unit_code": h.quantity.unit_code if h.quantity else "",
        "hold_reason": h.hold_reason,
        "is_held": h.is_held,
        "is_asked": h.is_asked,
        "round": h.round,
    },
)

ERP_INSPECTIONS = Rows(
    table("erp_inspections", "inspection_id work_order_id content", small="round", flags="is_asked"),
    ErpInspection,
    key=("inspection_id",),
    owner=("work_order_id",),
    from_row=lambda r: ErpInspection(r.inspection_id, r.work_order_id, r.content, bool(r.is_asked), r.round),
    to_row=lambda i: {
        "inspection_id": i.inspection_id,
        "work_order_id": i.work_order_id,
        "content": i.content,
        "is_asked": i.is_asked,
        "round": i.round,
    },
)

STOCK_CHANGES = Rows(
    table("stock_changes", "document_id plant_id work_order_id item_id lot_id kind content"),
    StockChange,
    key=("document_id",),
    owner=("work_order_id",),
    from_row=lambda r: StockChange(r.document_id, r.plant_id, r.work_order_id, r.item_id, r.lot_id, r.kind, r.content),
    to_row=lambda c: {
        "document_id": c.document_id,
        "plant_id": c.plant_id,
        "work_order_id": c.work_order_id,
        "item_id": c.item_id,
        "lot_id": c.lot_id,
        "kind": c.kind,
        "content": c.content,
    },
)

STORE = Store("gateway", (ERP_ORDERS, ERP_FEEDS, PARTNER_FEEDS, HELD_LOTS, ERP_INSPECTIONS, STOCK_CHANGES))
