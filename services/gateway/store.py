"""The gateway's tables, and how their rows become nouns."""

from __future__ import annotations

from servicekit.rows import Rows, table
from servicekit.use_case import Store
from services.gateway.domain.erp_order import ErpFeed, ErpOrder, Step

ERP_ORDERS = Rows(
    table(
        "erp_orders",
        "work_order_id plant_id erp_order_number item_id step content traceparent",
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
    },
)

ERP_FEEDS = Rows(
    table("erp_feeds", "plant_id watermark release"),
    ErpFeed,
    key=("plant_id",),
    from_row=lambda r: ErpFeed(r.plant_id, r.watermark, r.release),
    to_row=lambda f: {"plant_id": f.plant_id, "watermark": f.watermark, "release": f.release},
)

STORE = Store("gateway", (ERP_ORDERS, ERP_FEEDS))
