"""The edge bridge's tables, and how their rows become nouns."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from servicekit import clock
from servicekit.domain import Quantity, plain
from servicekit.rows import Rows, scaled, table, unscaled
from servicekit.use_case import Store
from services.edge_bridge.domain.evidence import HistorianRead, Question
from services.edge_bridge.domain.machine import Machine, MachineState, Stand
from services.edge_bridge.domain.material import Material
from services.edge_bridge.domain.plant_order import Feed, MesNumber, PlantOrder, WorkOrderUnknown
from services.edge_bridge.domain.sample import Sample
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

MACHINES = Rows(
    table("machines", "asset_id state measures", "fault_code counter_epoch runtime cycles"),
    Machine,
    key=("asset_id",),
    from_row=lambda r: Machine(
        r.asset_id,
        MachineState(r.state),
        r.fault_code,
        r.counter_epoch,
        Stand(r.runtime, r.cycles) if r.runtime is not None else None,
        {name: Decimal(value) for name, value in json.loads(r.measures).items()},
    ),
    to_row=lambda m: {
        "asset_id": m.asset_id,
        "state": m.state.value,
        "fault_code": m.fault_code,
        "counter_epoch": m.counter_epoch,
        "runtime": m.stand.runtime if m.stand is not None else None,
        "cycles": m.stand.cycles if m.stand is not None else None,
        "measures": json.dumps({name: plain(value) for name, value in m.measures.items()}),
    },
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

# --- laboratory and historian

SAMPLES = Rows(
    table("samples", "sample_number inspection_id traceparent"),
    Sample,
    key=("sample_number",),
    from_row=lambda r: Sample(r.sample_number, r.inspection_id, r.traceparent),
    to_row=lambda s: {
        "sample_number": s.sample_number,
        "inspection_id": s.inspection_id,
        "traceparent": s.traceparent,
    },
)


def _limit_of(value: int | None) -> Decimal | None:
    return None if value is None else unscaled(value)


def _read_of(row: Any) -> HistorianRead:
    return HistorianRead(
        row.inspection_id,
        row.characteristic_id,
        row.plant_id,
        row.work_order_id,
        row.tag_id,
        row.unit_code,
        Question(
            clock.instant(row.start_time),
            clock.instant(row.end_time),
            _limit_of(row.lower_limit),
            _limit_of(row.upper_limit),
            timedelta(microseconds=row.allowed_gap),
        ),
        bool(row.is_answered),
        row.traceparent,
    )


def _row_of_read(read: HistorianRead) -> dict[str, Any]:
    asked = read.question
    return {
        "inspection_id": read.inspection_id,
        "characteristic_id": read.characteristic_id,
        "plant_id": read.plant_id,
        "work_order_id": read.work_order_id,
        "tag_id": read.tag_id,
        "unit_code": read.unit_code,
        "traceparent": read.traceparent,
        "start_time": clock.micros(asked.start_time),
        "end_time": clock.micros(asked.end_time),
        "lower_limit": None if asked.lower_limit is None else scaled(asked.lower_limit),
        "upper_limit": None if asked.upper_limit is None else scaled(asked.upper_limit),
        "allowed_gap": asked.allowed_gap // timedelta(microseconds=1),
        "is_answered": read.is_answered,
    }


HISTORIAN_READS = Rows(
    table(
        "historian_reads",
        "inspection_id characteristic_id plant_id work_order_id tag_id unit_code traceparent",
        "start_time end_time lower_limit upper_limit allowed_gap",
        flags="is_answered",
    ),
    HistorianRead,
    key=("inspection_id", "characteristic_id"),
    from_row=_read_of,
    to_row=_row_of_read,
)


def _amount(text: str) -> Quantity | None:
    value, _, unit_code = text.partition(" ")
    return Quantity(Decimal(value), unit_code) if text else None


def _amount_text(amount: Quantity | None) -> str:
    return f"{plain(amount.value)} {amount.unit_code}" if amount is not None else ""


MATERIALS = Rows(
    table("materials", "item_id plant_id on_hand available safety_stock reorder_point", "version", flags="is_asked"),
    Material,
    key=("item_id",),
    from_row=lambda r: Material(
        r.item_id,
        r.plant_id,
        _amount(r.on_hand),
        _amount(r.available),
        _amount(r.safety_stock),
        _amount(r.reorder_point),
        r.version,
        bool(r.is_asked),
    ),
    to_row=lambda m: {
        "item_id": m.item_id,
        "plant_id": m.plant_id,
        "on_hand": _amount_text(m.on_hand),
        "available": _amount_text(m.available),
        "safety_stock": _amount_text(m.safety_stock),
        "reorder_point": _amount_text(m.reorder_point),
        "version": m.version,
        "is_asked": m.is_asked,
    },
)

STORE = Store(
    "edge_bridge", (MATERIALS, PLANT_ORDERS, MES_NUMBERS, FEEDS, STATIONS, MACHINES, SAMPLES, HISTORIAN_READS)
)
