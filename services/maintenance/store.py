"""Maintenance's tables, and how their rows become nouns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from servicekit.clock import instant, micros
from servicekit.domain import Quantity, plain
from servicekit.rows import Rows, table
from servicekit.use_case import Store
from services.maintenance.domain.asset import Asset, AssetMissing, Downtime, MachineState
from services.maintenance.domain.condition import (
    Condition,
    ConditionRule,
    ConditionRuleMissing,
    FaultFrequency,
    LinearTrend,
    RuntimeInterval,
    SparePart,
    Threshold,
    Watch,
)
from services.maintenance.domain.work_request import State, WorkRequest, WorkRequestMissing

MICROSECOND = timedelta(microseconds=1)


def _moment(time: datetime | None) -> int | None:
    return micros(time) if time is not None else None


def _instant(kept: int | None) -> datetime | None:
    return instant(kept) if kept is not None else None


ASSETS = Rows(
    table(
        "assets",
        "plant_id asset_id description line_id cost_centre_id cmms_asset_number state",
        "state_time fault_code counter_epoch counted_runtime counted_cycles runtime_seconds cycle_count version",
        flags="stops_line",
    ),
    Asset,
    key=("plant_id", "asset_id"),
    from_row=lambda r: Asset(
        r.plant_id,
        r.asset_id,
        r.description,
        r.line_id,
        bool(r.stops_line),
        r.cost_centre_id,
        r.cmms_asset_number,
        MachineState(r.state),
        _instant(r.state_time),
        r.fault_code,
        r.counter_epoch,
        r.counted_runtime,
        r.counted_cycles,
        r.runtime_seconds,
        r.cycle_count,
        r.version,
    ),
    to_row=lambda a: {
        "plant_id": a.plant_id,
        "asset_id": a.asset_id,
        "description": a.description,
        "line_id": a.line_id,
        "stops_line": a.stops_line,
        "cost_centre_id": a.cost_centre_id,
        "cmms_asset_number": a.cmms_asset_number,
        "state": a.state.value,
        "state_time": _moment(a.state_time),
        "fault_code": a.fault_code,
        "counter_epoch": a.counter_epoch,
        "counted_runtime": a.counted_runtime,
        "counted_cycles": a.counted_cycles,
        "runtime_seconds": a.runtime_seconds,
        "cycle_count": a.cycle_count,
        "version": a.version,
    },
    missing=AssetMissing,
)

DOWNTIMES = Rows(
    table(
        "downtimes",
        "plant_id downtime_id asset_id line_id cost_centre_id",
        "fault_code start_time end_time",
        flags="stops_line",
    ),
    Downtime,
    key=("plant_id", "downtime_id"),
    from_row=lambda r: Downtime(
        r.plant_id,
        r.downtime_id,
        r.asset_id,
        r.line_id,
        bool(r.stops_line),
        r.fault_code,
        instant(r.start_time),
        _instant(r.end_time),
        r.cost_centre_id,
    ),
    to_row=lambda d: {
        "plant_id": d.plant_id,
        "downtime_id": d.downtime_id,
        "asset_id": d.asset_id,
        "line_id": d.line_id,
        "stops_line": d.stops_line,
        "fault_code": d.fault_code,
        "start_time": micros(d.start_time),
        "end_time": _moment(d.end_time),
        "cost_centre_id": d.cost_centre_id,
    },
)


# --- condition rules: their condition is kept as JSON, amounts as [value, unit], durations in microseconds


def _amount(quantity: Quantity) -> list[str]:
    return [plain(quantity.value), quantity.unit_code]


def _quantity(kept: list[str]) -> Quantity:
    return Quantity(Decimal(kept[0]), kept[1])


def _condition_text(condition: Condition) -> str:
    if isinstance(condition, RuntimeInterval):
        kept: Mapping[str, Any] = {"kind": "runtime_interval", "interval": _amount(condition.interval)}
    elif isinstance(condition, Threshold):
        limits = {"limit": _amount(condition.limit), "reset": _amount(condition.reset_limit)}
        kept = {"kind": "threshold", "measure": condition.measure_id, **limits}
    elif isinstance(condition, FaultFrequency):
        counted = {"code": condition.fault_code, "count": condition.fault_count}
        kept = {"kind": "fault_frequency", **counted, "within": condition.within // MICROSECOND}
    else:
        line = {"measure": condition.measure_id, "limit": _amount(condition.limit), "windows": condition.window_count}
        kept = {"kind": "linear_trend", **line, "horizon": condition.horizon // MICROSECOND}
    return json.dumps(kept)


CONDITIONS: Mapping[str, Callable[[Any], Condition]] = {
    "runtime_interval": lambda c: RuntimeInterval(_quantity(c["interval"])),
    "threshold": lambda c: Threshold(c["measure"], _quantity(c["limit"]), _quantity(c["reset"])),
    "fault_frequency": lambda c: FaultFrequency(c["code"], c["count"], c["within"] * MICROSECOND),
    "linear_trend": lambda c: LinearTrend(
        c["measure"], _quantity(c["limit"]), c["horizon"] * MICROSECOND, c["windows"]
    ),
}


def _condition(text: str) -> Condition:
    kept = json.loads(text)
    return CONDITIONS[kept["kind"]](kept)


def _parts_text(parts: tuple[SparePart, ...]) -> str:
    return json.dumps([[part.item_id, *_amount(part.quantity)] for part in parts])


def _parts(text: str) -> tuple[SparePart, ...]:
    return tuple(SparePart(item_id, _quantity([value, unit])) for item_id, value, unit in json.loads(text))


CONDITION_RULES = Rows(
    table(
        "condition_rules",
        "plant_id condition_rule_id asset_id problem spare_parts condition",
        small="priority revision",
        flags="is_retired",
    ),
    ConditionRule,
    key=("plant_id", "condition_rule_id"),
    owner=("plant_id", "asset_id"),
    from_row=lambda r: ConditionRule(
        r.plant_id,
        r.condition_rule_id,
        r.asset_id,
        r.problem,
        r.priority,
        _parts(r.spare_parts),
        _condition(r.condition),
        bool(r.is_retired),
        r.revision,
    ),
    to_row=lambda c: {
        "plant_id": c.plant_id,
        "condition_rule_id": c.condition_rule_id,
        "asset_id": c.asset_id,
        "problem": c.problem,
        "priority": c.priority,
        "spare_parts": _parts_text(c.spare_parts),
        "condition": _condition_text(c.condition),
        "is_retired": c.is_retired,
        "revision": c.revision,
    },
    missing=ConditionRuleMissing,
)

WATCHES = Rows(
    table(
        "watches",
        "plant_id condition_rule_id asset_id open_request_id buckets points",
        "request_count since_runtime seen_time",
        flags="is_latched",
    ),
    Watch,
    key=("plant_id", "condition_rule_id"),
    from_row=lambda r: Watch(
        r.plant_id,
        r.condition_rule_id,
        r.asset_id,
        r.request_count,
        r.open_request_id,
        r.since_runtime,
        bool(r.is_latched),
        _instant(r.seen_time),
        tuple((instant(at), count) for at, count in json.loads(r.buckets)),
        tuple((instant(at), Decimal(value)) for at, value in json.loads(r.points)),
    ),
    to_row=lambda w: {
        "plant_id": w.plant_id,
        "condition_rule_id": w.condition_rule_id,
        "asset_id": w.asset_id,
        "open_request_id": w.open_request_id,
        "request_count": w.request_count,
        "since_runtime": w.since_runtime,
        "is_latched": w.is_latched,
        "seen_time": _moment(w.seen_time),
        "buckets": json.dumps([[micros(at), count] for at, count in w.buckets]),
        "points": json.dumps([[micros(at), plain(value)] for at, value in w.points]),
    },
)

WORK_REQUESTS = Rows(
    table(
        "work_requests",
        "work_request_id plant_id asset_id line_id condition_rule_id problem cause spare_parts cost_centre_id "
        "cmms_asset_number cmms_request_number state",
        "occurrence_count first_occur_time last_occur_time expected_time version",
        "priority",
    ),
    WorkRequest,
    key=("work_request_id",),
    from_row=lambda r: WorkRequest(
        r.work_request_id,
        r.plant_id,
        r.asset_id,
        r.line_id,
        r.condition_rule_id,
        r.problem,
        r.priority,
        r.cause,
        r.occurrence_count,
        instant(r.first_occur_time),
        instant(r.last_occur_time),
        _instant(r.expected_time),
        _parts(r.spare_parts),
        r.cost_centre_id,
        r.cmms_asset_number,
        r.cmms_request_number,
        State(r.state),
        r.version,
    ),
    to_row=lambda w: {
        "work_request_id": w.work_request_id,
        "plant_id": w.plant_id,
        "asset_id": w.asset_id,
        "line_id": w.line_id,
        "condition_rule_id": w.condition_rule_id,
        "problem": w.problem,
        "priority": w.priority,
        "cause": w.cause,
        "occurrence_count": w.occurrence_count,
        "first_occur_time": micros(w.first_occur_time),
        "last_occur_time": micros(w.last_occur_time),
        "expected_time": _moment(w.expected_time),
        "spare_parts": _parts_text(w.spare_parts),
        "cost_centre_id": w.cost_centre_id,
        "cmms_asset_number": w.cmms_asset_number,
        "cmms_request_number": w.cmms_request_number,
        "state": w.state.value,
        "version": w.version,
    },
    missing=WorkRequestMissing,
)

STORE = Store("maintenance", (ASSETS, DOWNTIMES, CONDITION_RULES, WATCHES, WORK_REQUESTS))
