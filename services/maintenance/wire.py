"""Maintenance's words on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isthmus.edge.v1.edge_events_pb2 import (
    FaultsReported,
    MachineCountersAdvanced,
    MachineStateReported,
    MeasurementSummarised,
)
from isthmus.gateway.v1.gateway_events_pb2 import PostingAcknowledged
from isthmus.maintenance.v1 import (
    asset_pb2,
    condition_rule_pb2,
    maintenance_events_pb2,
    maintenance_service_pb2,
    work_request_pb2,
)
from servicekit.domain import BusinessKey
from servicekit.use_case import Fact
from servicekit.wire import key_of_message, quantity_message, quantity_of, time_of, timestamp
from services.maintenance.domain.asset import Asset, Counters, Downtime, MachineState
from services.maintenance.domain.condition import (
    Condition,
    ConditionRule,
    FaultFrequency,
    LinearTrend,
    RuntimeInterval,
    SparePart,
    Threshold,
    Window,
)
from services.maintenance.domain.work_request import State, WorkRequest

OPEN_WORK_REQUEST = "open_work_request"  # kind of the posting by which the gateway asks a CMMS
MACHINE_STATES = {
    MachineState.UNKNOWN: asset_pb2.MACHINE_STATE_UNSPECIFIED,
    MachineState.IDLE: asset_pb2.MACHINE_STATE_IDLE,
    MachineState.RUNNING: asset_pb2.MACHINE_STATE_RUNNING,
    MachineState.DOWN: asset_pb2.MACHINE_STATE_DOWN,
}
STATES = {state: work_request_pb2.WorkRequestState.Value(f"WORK_REQUEST_STATE_{state.name}") for state in State}


@dataclass(frozen=True, slots=True)
class RecordAsset:
    business_key: BusinessKey
    asset: Asset


@dataclass(frozen=True, slots=True)
class RecordConditionRule:
    business_key: BusinessKey
    condition_rule: ConditionRule


@dataclass(frozen=True, slots=True)
class OpenWorkRequest:
    business_key: BusinessKey
    plant_id: str
    asset_id: str
    problem: str
    priority: int
    spare_parts: tuple[SparePart, ...]


@dataclass(frozen=True, slots=True)
class CompleteWorkRequest:
    business_key: BusinessKey
    plant_id: str
    work_request_id: str
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class AcceptWorkRequest:
    work_request_id: str
    cmms_request_number: str


@dataclass(frozen=True, slots=True)
class ReportState:
    plant_id: str
    asset_id: str
    state: MachineState
    fault_code: int
    occur_time: datetime
    is_uncertain: bool


@dataclass(frozen=True, slots=True)
class CountRuntime:
    plant_id: str
    asset_id: str
    counters: Counters
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class WatchMeasurement:
    plant_id: str
    asset_id: str
    window: Window


@dataclass(frozen=True, slots=True)
class CountFaults:
    plant_id: str
    asset_id: str
    fault_code: int
    fault_count: int
    occur_time: datetime


# --- requests and facts that come in


def record_asset(request: maintenance_service_pb2.RecordAssetRequest) -> RecordAsset:
    said = request.asset
    asset = Asset(
        said.plant_id,
        said.asset_id,
        said.description,
        said.line_id,
        said.stops_line,
        said.cost_centre_id,
        said.cmms_asset_number,
    )
    return RecordAsset(key_of_message(request.business_key), asset)


def record_condition_rule(request: maintenance_service_pb2.RecordConditionRuleRequest) -> RecordConditionRule:
    said = request.condition_rule
    rule = ConditionRule(
        said.plant_id,
        said.condition_rule_id,
        said.asset_id,
        said.problem,
        said.priority,
        _parts(said.spare_parts),
        _condition(said),
        said.is_retired,
    )
    return RecordConditionRule(key_of_message(request.business_key), rule)


def _condition(said: condition_rule_pb2.ConditionRule) -> Condition:
    kind = said.WhichOneof("condition")
    if kind == "runtime_interval":
        return RuntimeInterval(quantity_of(said.runtime_interval.interval))
    if kind == "threshold":
        own = said.threshold
        return Threshold(own.measure_id, quantity_of(own.limit), quantity_of(own.reset_limit))
    if kind == "fault_frequency":
        counted = said.fault_frequency
        return FaultFrequency(counted.fault_code, counted.fault_count, counted.within_duration.ToTimedelta())
    line = said.linear_trend
    return LinearTrend(line.measure_id, quantity_of(line.limit), line.horizon_duration.ToTimedelta(), line.window_count)


def _parts(said: Any) -> tuple[SparePart, ...]:
    return tuple(SparePart(part.item_id, quantity_of(part.quantity)) for part in said)


def open_work_request(request: maintenance_service_pb2.OpenWorkRequestRequest) -> OpenWorkRequest:
    return OpenWorkRequest(
        key_of_message(request.business_key),
        request.plant_id,
        request.asset_id,
        request.problem,
        request.priority,
        _parts(request.spare_parts),
    )


def complete_work_request(request: maintenance_service_pb2.CompleteWorkRequestRequest) -> CompleteWorkRequest:
    key = key_of_message(request.business_key)
    return CompleteWorkRequest(key, request.plant_id, request.work_request_id, time_of(request.occur_time))


def accept(event: PostingAcknowledged) -> AcceptWorkRequest | None:
    """None: the gateway asked for something else."""
    named = next((figure.value for figure in event.figures if figure.name == "work_request"), "")
    if event.posting_kind != OPEN_WORK_REQUEST or not named:
        return None
    return AcceptWorkRequest(named, event.foreign_number)


def report_state(event: MachineStateReported) -> ReportState:
    state = next((s for s, number in MACHINE_STATES.items() if number == event.state), MachineState.UNKNOWN)
    at = time_of(event.source_time)
    return ReportState(event.plant_id, event.asset_id, state, event.fault_code, at, event.is_uncertain)


def count_runtime(event: MachineCountersAdvanced) -> CountRuntime:
    counters = Counters(
        event.counter_epoch,
        event.runtime_seconds_from,
        event.runtime_seconds_to,
        event.cycle_count_from,
        event.cycle_count_to,
    )
    return CountRuntime(event.plant_id, event.asset_id, counters, time_of(event.source_time))


def watch_measurement(event: MeasurementSummarised) -> WatchMeasurement | None:
    """None: a window without a good reading shows nothing."""
    if not event.HasField("maximum") or not event.HasField("latest"):
        return None
    window = Window(event.measure_id, time_of(event.end_time), quantity_of(event.maximum), quantity_of(event.latest))
    return WatchMeasurement(event.plant_id, event.asset_id, window)


def count_faults(event: FaultsReported) -> CountFaults:
    at = time_of(event.last_time)
    return CountFaults(event.plant_id, event.asset_id, event.fault_code, event.fault_count, at)


# --- messages and facts that go out


def asset_message(asset: Asset) -> asset_pb2.Asset:
    return asset_pb2.Asset(
        asset_id=asset.asset_id,
        plant_id=asset.plant_id,
        description=asset.description,
        line_id=asset.line_id,
        stops_line=asset.stops_line,
        cost_centre_id=asset.cost_centre_id,
        cmms_asset_number=asset.cmms_asset_number,
        state=MACHINE_STATES[asset.state],
        state_time=timestamp(asset.state_time) if asset.state_time is not None else None,
        fault_code=asset.fault_code,
        runtime=quantity_message(asset.runtime_hours),
        cycle_count=asset.cycle_count,
        etag=str(asset.version),
    )


def rule_message(rule: ConditionRule) -> condition_rule_pb2.ConditionRule:
    message = condition_rule_pb2.ConditionRule(
        condition_rule_id=rule.condition_rule_id,
        plant_id=rule.plant_id,
        asset_id=rule.asset_id,
        problem=rule.problem,
        priority=rule.priority,
        spare_parts=_part_messages(rule.spare_parts),
        is_retired=rule.is_retired,
        etag=str(rule.revision),
    )
    condition = rule.condition
    if isinstance(condition, RuntimeInterval):
        message.runtime_interval.interval.CopyFrom(quantity_message(condition.interval))
    elif isinstance(condition, Threshold):
        message.threshold.measure_id = condition.measure_id
        message.threshold.limit.CopyFrom(quantity_message(condition.limit))
        message.threshold.reset_limit.CopyFrom(quantity_message(condition.reset_limit))
    elif isinstance(condition, FaultFrequency):
        message.fault_frequency.fault_code = condition.fault_code
        message.fault_frequency.fault_count = condition.fault_count
        message.fault_frequency.within_duration.FromTimedelta(condition.within)
    else:
        message.linear_trend.measure_id = condition.measure_id
        message.linear_trend.limit.CopyFrom(quantity_message(condition.limit))
        message.linear_trend.horizon_duration.FromTimedelta(condition.horizon)
        message.linear_trend.window_count = condition.window_count
    return message


def _part_messages(parts: tuple[SparePart, ...]) -> list[condition_rule_pb2.SparePart]:
    return [_part_message(part) for part in parts]


def _part_message(part: SparePart) -> condition_rule_pb2.SparePart:
    return condition_rule_pb2.SparePart(item_id=part.item_id, quantity=quantity_message(part.quantity))


def request_message(request: WorkRequest) -> work_request_pb2.WorkRequest:
    expected: datetime | None = request.expected_time
    return work_request_pb2.WorkRequest(
        work_request_id=request.work_request_id,
        plant_id=request.plant_id,
        asset_id=request.asset_id,
        line_id=request.line_id,
        condition_rule_id=request.condition_rule_id,
        problem=request.problem,
        priority=request.priority,
        cause=request.cause,
        occurrence_count=request.occurrence_count,
        first_occur_time=timestamp(request.first_occur_time),
        last_occur_time=timestamp(request.last_occur_time),
        expected_time=timestamp(expected) if expected is not None else None,
        spare_parts=_part_messages(request.spare_parts),
        cost_centre_id=request.cost_centre_id,
        cmms_asset_number=request.cmms_asset_number,
        cmms_request_number=request.cmms_request_number,
        state=STATES[request.state],
        etag=str(request.version),
    )


def downtime_message(downtime: Downtime) -> asset_pb2.Downtime:
    end: datetime | None = downtime.end_time
    return asset_pb2.Downtime(
        downtime_id=downtime.downtime_id,
        plant_id=downtime.plant_id,
        asset_id=downtime.asset_id,
        line_id=downtime.line_id,
        stops_line=downtime.stops_line,
        fault_code=downtime.fault_code,
        start_time=timestamp(downtime.start_time),
        end_time=timestamp(end) if end is not None else None,
        cost_centre_id=downtime.cost_centre_id,
    )


def asset_fact(data: Any, plant_id: str, asset_id: str, at: datetime, key: BusinessKey | None = None) -> Fact:
    """All facts of an asset are kept in order for it."""
    return Fact(data, plant_id, f"asset:{asset_id}", asset_id, at, key)


def request_facts(request: WorkRequest, at: datetime, key: BusinessKey | None = None) -> list[Fact]:
    """A request that is new, and each part that it needs."""
    opened = maintenance_events_pb2.WorkRequestOpened(work_request=request_message(request))
    needed = [
        maintenance_events_pb2.SparePartNeeded(
            plant_id=request.plant_id,
            asset_id=request.asset_id,
            work_request_id=request.work_request_id,
            spare_part=_part_message(part),
            cost_centre_id=request.cost_centre_id,
        )
        for part in request.spare_parts
    ]
    return [asset_fact(data, request.plant_id, request.asset_id, at, key) for data in (opened, *needed)]
