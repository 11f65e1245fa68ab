"""The edge bridge's tables, and how their rows become nouns."""

from __future__ import annotations

from servicekit.rows import Rows, table
from servicekit.use_case import Store
from services.edge_bridge.domain.plant_order import Feed, MesNumber, PlantOrder, WorkOrderUnknown
from services.edge_bridge.domain.station import Station, StationState

PLANT_ORDERS = Rows(
    table("plant_orders", "work_order_id plant_id item_id unit_code mes_order_number traceparent"),
    PlantOrder,
    key=("work_order_id",),
    from_row=lambda r: PlantOrder(
        r.work_order_id, r.plant_id, r.item_id, r.unit_code, r.mes_order_number, r.traceparent
    ),
    to_row=lambda o: {
        "work_order_id": o.work_order_id,
        "plant_id": o.plant_id,
        "item_id": o.item_id,
        "unit_code": o.unit_code,
        "mes_order_number": o.mes_order_number,
        "traceparent": o.traceparent,
    },
    missing=WorkOrderUnknown,
)

MES_NUMBERS = Rows(
    table("mes_numbers", "mes_order_number work_order_id"),
    MesNumber,
    key=("mes_order_number",),
    from_row=lambda r: MesNumber(r.mes_order_number, r.work_order_id),
    to_row=lambda m: {"mes_order_number": m.mes_order_number, "work_order_id": m.work_order_id},
)

FEEDS = Rows(
    table("feeds", "feed_id position"),
    Feed,
    key=("feed_id",),
    from_row=lambda r: Feed(r.feed_id, r.position),
    to_row=lambda f: {"feed_id": f.feed_id, "position": f.position},
)

STATIONS = Rows(
    table("stations", "station_id state", "good scrap counter_epoch fault_code"),
    Station,
    key=("station_id",),
    from_row=lambda r: Station(r.station_id, r.good, r.scrap, r.counter_epoch, StationState(r.state), r.fault_code),
    to_row=lambda s: {
        "station_id": s.station_id,
        "good": s.good,
        "scrap": s.scrap,
        "counter_epoch": s.counter_epoch,
        "state": s.state.value,
        "fault_code": s.fault_code,
    },
)

STORE = Store("edge_bridge", (PLANT_ORDERS, MES_NUMBERS, FEEDS, STATIONS))
