"""What machines say and what follows, on running services and both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc
import pytest

from isthmus.edge.v1 import edge_events_pb2 as edge
from isthmus.maintenance.v1 import asset_pb2, work_request_pb2
from isthmus.maintenance.v1 import maintenance_service_pb2 as messages
from isthmus.operations.v1 import lane_service_pb2 as lanes
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from servicekit.use_case import Fact
from servicekit.wire import timestamp
from tests.hub.conftest import Calls
from tests.hub.test_refusals import refusal_of
from tests.support.eventually import eventually
from tests.support.plant import Plant, plant_of
from tests.support.requests import a_key

pytestmark = pytest.mark.connected
NUMBERS = count(1)
COMPLETED = work_request_pb2.WORK_REQUEST_STATE_COMPLETED
BEGIN = datetime.now(UTC) - timedelta(hours=2)


@pytest.fixture
async def plant(calls: Calls) -> AsyncIterator[Plant]:
    async with plant_of(calls.hub.home / "plant", calls.hub.broker.url, "aachen") as found:
        yield found


def says(message: Any, minutes: float = 0) -> Fact:
    at = BEGIN + timedelta(minutes=minutes)
    return Fact(message, "aachen", f"asset:{message.asset_id}", message.asset_id, at)


def a_state(asset: str, state: Any, minutes: float, fault: int = 0) -> Fact:
    at = timestamp(BEGIN + timedelta(minutes=minutes))
    message = edge.MachineStateReported(
        plant_id="aachen", asset_id=asset, state=state, fault_code=fault, source_time=at
    )
    return says(message, minutes)


def some_faults(asset: str, many: int, minutes: float) -> Fact:
    at = timestamp(BEGIN + timedelta(minutes=minutes))
    message = edge.FaultsReported(
        plant_id="aachen", asset_id=asset, fault_code=17, fault_count=many, first_time=at, last_time=at
    )
    return says(message, minutes)


def a_window(asset: str, value: str, minutes: float, unit: str = "C16") -> Fact:
    message = edge.MeasurementSummarised(plant_id="aachen", asset_id=asset, measure_id="vibration")
    message.end_time.CopyFrom(timestamp(BEGIN + timedelta(minutes=minutes)))
    for field in (message.minimum, message.maximum, message.latest):
        field.value, field.unit_code = value, unit
    return says(message, minutes)


def an_asset(asset: str) -> messages.RecordAssetRequest:
    request = messages.RecordAssetRequest(business_key=a_key(f"a{next(NUMBERS)}", "cmms", "asset"))
    said = request.asset
    said.asset_id, said.plant_id, said.line_id, said.stops_line = asset, "aachen", "LINE-1", True
    said.cost_centre_id, said.cmms_asset_number = "4711", "EQ-100"
    return request


def a_rule(asset: str, rule_id: str, **condition: Any) -> messages.RecordConditionRuleRequest:
    request = messages.RecordConditionRuleRequest(business_key=a_key(f"c{next(NUMBERS)}", "cmms", "rule"))
    rule = request.condition_rule
    rule.condition_rule_id, rule.plant_id, rule.asset_id = rule_id, "aachen", asset
    rule.problem, rule.priority = "bearing worn", 2
    part = rule.spare_parts.add(item_id="BEARING-6204")
    part.quantity.value, part.quantity.unit_code = "2", "C62"
    if condition:
        threshold = rule.threshold
        threshold.measure_id = "vibration"
        threshold.limit.value, threshold.limit.unit_code = condition["limit"], "C16"
        threshold.reset_limit.value, threshold.reset_limit.unit_code = condition["reset"], "C16"
    else:
        rule.fault_frequency.fault_code, rule.fault_frequency.fault_count = 17, 5
        rule.fault_frequency.within_duration.FromSeconds(3600)
    return request


def requests_of(calls: Calls, asset: str) -> list[Any]:
    request = messages.ListWorkRequestsRequest(plant_id="aachen", asset_id=asset)
    return list(calls.maintenance.ListWorkRequests(request, timeout=10).work_requests)


def done(work_request_id: str, **changes: Any) -> messages.CompleteWorkRequestRequest:
    return messages.CompleteWorkRequestRequest(
        business_key=a_key(f"d{next(NUMBERS)}", "cmms", "completion"),
        plant_id="aachen",
        work_request_id=work_request_id,
        occur_time=timestamp(changes.get("occur_time", datetime.now(UTC))),
    )


async def test_ten_thousand_faults_are_one_request_and_work_that_is_done_arms_the_rule(
    calls: Calls, plant: Plant
) -> None:
    press, fault = f"PRESS-{next(NUMBERS)}", f"F-{next(NUMBERS)}"
    calls.maintenance.RecordAsset(an_asset(press), timeout=10)
    calls.maintenance.RecordConditionRule(a_rule(press, fault), timeout=10)
    await plant.says([some_faults(press, 100, number / 10) for number in range(100)])
    await eventually(lambda: [one.occurrence_count for one in requests_of(calls, press)] == [10_000])
    (request,) = requests_of(calls, press)
    assert (request.cost_centre_id, request.spare_parts[0].item_id) == ("4711", "BEARING-6204")
    calls.maintenance.CompleteWorkRequest(done(request.work_request_id), timeout=10)
    assert requests_of(calls, press)[0].state == COMPLETED
    await plant.says([some_faults(press, 5, 30)])
    await eventually(lambda: [one.occurrence_count for one in requests_of(calls, press)] == [10_000, 5])


async def test_a_machine_that_is_down_is_so_until_it_says_otherwise(calls: Calls, plant: Plant) -> None:
    press = f"PRESS-{next(NUMBERS)}"
    calls.maintenance.RecordAsset(an_asset(press), timeout=10)
    running, down = asset_pb2.MACHINE_STATE_RUNNING, asset_pb2.MACHINE_STATE_DOWN
    told = [a_state(press, running, 0), a_state(press, down, 5, 17), a_state(press, running, 9)]
    await plant.says([*told, told[1], a_state(press, down, 12, 3)])
    listed = messages.ListDowntimesRequest(plant_id="aachen", asset_id=press)

    def downtimes() -> list[tuple[int, bool]]:
        found = calls.maintenance.ListDowntimes(listed, timeout=10).downtimes
        return [(one.fault_code, one.HasField("end_time")) for one in found]

    await eventually(lambda: downtimes() == [(3, False), (17, True)])
    asset = calls.maintenance.GetAsset(messages.GetAssetRequest(plant_id="aachen", asset_id=press), timeout=10).asset
    assert (asset.state, asset.fault_code) == (down, 3)


async def test_what_an_unknown_machine_says_waits_until_it_is_recorded(calls: Calls, plant: Plant) -> None:
    press = f"PRESS-{next(NUMBERS)}"
    desk = LaneServiceStub(calls.channels["maintenance"])
    await plant.says([a_state(press, asset_pb2.MACHINE_STATE_DOWN, 1, 17)])

    def reasons() -> list[str]:
        found = desk.ListLanes(lanes.ListLanesRequest(), timeout=10).lanes
        return [lane.reason for lane in found if lane.order_key == f"asset:{press}"]

    await eventually(lambda: reasons() == ["ASSET_MISSING"])
    calls.maintenance.RecordAsset(an_asset(press), timeout=10)
    listed = messages.ListDowntimesRequest(plant_id="aachen", asset_id=press)
    await eventually(lambda: len(calls.maintenance.ListDowntimes(listed, timeout=10).downtimes) == 1, within=60)
    assert reasons() == []


async def test_a_clock_in_1970_a_counter_that_runs_backwards_and_a_wrong_unit_park_their_asset_only(
    calls: Calls, plant: Plant
) -> None:
    desk = LaneServiceStub(calls.channels["maintenance"])
    presses = [f"PRESS-{next(NUMBERS)}" for _ in range(3)]
    for press in presses:
        calls.maintenance.RecordAsset(an_asset(press), timeout=10)
        calls.maintenance.RecordConditionRule(a_rule(press, f"V-{press}", limit="7.1", reset="5"), timeout=10)
    old = edge.MachineStateReported(plant_id="aachen", asset_id=presses[0], state=asset_pb2.MACHINE_STATE_DOWN)
    old.source_time.CopyFrom(timestamp(datetime(1970, 1, 1, tzinfo=UTC)))
    backwards = edge.MachineCountersAdvanced(
        plant_id="aachen",
        asset_id=presses[1],
        runtime_seconds_from=100,
        runtime_seconds_to=99,
        source_time=timestamp(BEGIN),
    )
    await plant.says([says(old), says(backwards), a_window(presses[2], "9", 1, unit="CEL")])

    def reasons() -> dict[str, str]:
        found = desk.ListLanes(lanes.ListLanesRequest(), timeout=10).lanes
        return {lane.order_key.removeprefix("asset:"): lane.reason for lane in found}

    wanted = ["TIME_IMPLAUSIBLE", "COUNTER_BACKWARDS", "MEASURE_UNIT_MISMATCH"]
    await eventually(lambda: [reasons().get(press) for press in presses] == wanted)
    assert all(not requests_of(calls, press) for press in presses)


async def test_what_cannot_be_is_refused_and_changes_nothing(calls: Calls) -> None:
    press = f"PRESS-{next(NUMBERS)}"
    calls.maintenance.RecordAsset(an_asset(press), timeout=10)
    stub = calls.maintenance
    opened = messages.OpenWorkRequestRequest(
        business_key=a_key(f"w{next(NUMBERS)}", "desk", "request"),
        plant_id="aachen",
        asset_id=press,
        problem="leaks",
        priority=1,
    )
    request = stub.OpenWorkRequest(opened, timeout=10).work_request
    assert stub.OpenWorkRequest(opened, timeout=10).replayed
    await eventually(lambda: requests_of(calls, press)[0].cmms_request_number)  # else it changes while we look
    stub.CompleteWorkRequest(done(request.work_request_id), timeout=10)
    other = messages.OpenWorkRequestRequest()
    other.CopyFrom(opened)
    other.asset_id, other.business_key.document_number = "NO-PRESS", "w-none"
    early = datetime.now(UTC) - timedelta(days=500)
    refused: list[tuple[Callable[..., Any], Any, str]] = [
        (stub.GetAsset, messages.GetAssetRequest(plant_id="aachen", asset_id="NO-PRESS"), "ASSET_MISSING"),
        (
            stub.GetConditionRule,
            messages.GetConditionRuleRequest(plant_id="aachen", condition_rule_id="none"),
            "CONDITION_RULE_MISSING",
        ),
        (stub.OpenWorkRequest, other, "ASSET_MISSING"),
        (stub.RecordConditionRule, a_rule("NO-PRESS", "R"), "ASSET_MISSING"),
        (stub.RecordConditionRule, a_rule(press, "R", limit="5", reset="7"), "CONDITION_RULE_INVALID"),
        (stub.GetWorkRequest, messages.GetWorkRequestRequest(work_request_id="none"), "WORK_REQUEST_MISSING"),
        (stub.CompleteWorkRequest, done("none"), "WORK_REQUEST_MISSING"),
        (stub.CompleteWorkRequest, done(request.work_request_id), "WORK_REQUEST_CLOSED"),
        (stub.CompleteWorkRequest, done(request.work_request_id, occur_time=early), "TIME_IMPLAUSIBLE"),
    ]
    for call, message, reason in refused:
        code, found = refusal_of(calls, lambda call=call, message=message: call(message, timeout=10), "maintenance")
        assert (code == grpc.StatusCode.OK, found) == (False, reason)
