"""Decisions of maintenance, on what they have seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from servicekit.domain import BusinessKey
from servicekit.use_case import Decision
from services.maintenance import use_cases, wire
from services.maintenance.domain.asset import Asset, AssetMissing, Counters, Downtime, MachineState, TimeImplausible
from services.maintenance.domain.condition import ConditionRule, RuntimeInterval, Watch
from services.maintenance.domain.work_request import State, WorkRequest, WorkRequestClosed, WorkRequestMissing
from services.maintenance.store import ASSETS, CONDITION_RULES, STORE, WATCHES, WORK_REQUESTS
from tests.maintenance.domain.test_asset import NOW, PRESS
from tests.maintenance.domain.test_condition import FAULTS, TREND, VIBRATION, WATCH, a_rule, a_window, amount
from tests.support.seen import facts_of, seen

KEY = BusinessKey("cmms", "completion", "1")
DOWN = wire.ReportState("aachen", "PRESS-1", MachineState.DOWN, 17, NOW, False)


def nouns(decision: Decision, kind: type) -> list[Any]:
    return [noun for noun in decision.changed if isinstance(noun, kind)]


def test_a_downtime_is_said_when_it_begins_and_when_it_is_over() -> None:
    begun = use_cases.decide_state(seen(STORE, PRESS), DOWN, NOW)
    assert facts_of(begun) == ["DowntimeStarted"]
    up = replace(DOWN, state=MachineState.RUNNING, fault_code=0, occur_time=NOW + timedelta(minutes=1))
    over = use_cases.decide_state(seen(STORE, *begun.changed), up, NOW)
    assert facts_of(over) == ["DowntimeRecorded"]
    (downtime,) = nouns(over, Downtime)
    assert (downtime.start_time, downtime.end_time) == (NOW, up.occur_time)
    assert use_cases.decide_state(seen(STORE, *over.changed), DOWN, NOW).moot


def test_an_asset_that_nobody_recorded_waits_and_a_wrong_clock_is_refused() -> None:
    with pytest.raises(AssetMissing):
        use_cases.decide_state(seen(STORE), DOWN, NOW)
    with pytest.raises(TimeImplausible):
        use_cases.decide_state(seen(STORE, PRESS), replace(DOWN, occur_time=NOW - timedelta(days=401)), NOW)


def faults(count: int) -> wire.CountFaults:
    return wire.CountFaults("aachen", "PRESS-1", 17, count, NOW)


def test_a_cause_opens_one_request_with_its_parts_and_what_repeats_is_not_said() -> None:
    decision = use_cases.decide_faults(seen(STORE, PRESS, a_rule(FAULTS), WATCH), faults(5), NOW)
    assert facts_of(decision) == ["WorkRequestOpened", "SparePartNeeded"]
    assert {fact.order_key for fact in decision.facts} == {"asset:PRESS-1"}
    again = use_cases.decide_faults(seen(STORE, PRESS, a_rule(FAULTS), *decision.changed), faults(9995), NOW)
    assert facts_of(again) == []
    assert nouns(again, WorkRequest)[0].occurrence_count == 10_000


def test_a_rule_that_is_retired_or_of_another_kind_asks_for_nothing() -> None:
    for rule in (a_rule(FAULTS, is_retired=True), a_rule(VIBRATION)):
        assert use_cases.decide_faults(seen(STORE, PRESS, rule, WATCH), faults(5), NOW).moot


def test_runtime_counts_also_where_no_rule_looks() -> None:
    command = wire.CountRuntime("aachen", "PRESS-1", Counters(0, 0, 3600, 0, 9), NOW)
    decision = use_cases.decide_runtime(seen(STORE, PRESS), command, NOW)
    assert nouns(decision, Asset)[0].runtime_seconds == 3600
    assert use_cases.decide_runtime(seen(STORE, *decision.changed), command, NOW).moot
    due = a_rule(RuntimeInterval(amount("1", "HUR")))
    assert facts_of(use_cases.decide_runtime(seen(STORE, PRESS, due, WATCH), command, NOW))[0] == "WorkRequestOpened"


def test_a_measurement_above_its_limit_asks_for_work() -> None:
    command = wire.WatchMeasurement("aachen", "PRESS-1", a_window("8"))
    decision = use_cases.decide_measurement(seen(STORE, PRESS, a_rule(VIBRATION), WATCH), command, NOW)
    assert facts_of(decision)[0] == "WorkRequestOpened"


def record(rule: ConditionRule, *known: object) -> Decision:
    return use_cases.decide_rule(seen(STORE, *known), wire.RecordConditionRule(KEY, rule), NOW)


def test_a_new_rule_counts_from_now_and_a_changed_one_keeps_its_numbers() -> None:
    old = replace(PRESS, runtime_seconds=9000)
    decision = record(a_rule(FAULTS), old)
    assert facts_of(decision) == ["ConditionRuleReleased"]
    assert nouns(decision, Watch) == [replace(WATCH, since_runtime=9000)]
    used = replace(WATCH, request_count=3, open_request_id="aachen~R-1~3", is_latched=True)
    changed = record(a_rule(VIBRATION), old, a_rule(FAULTS), used)
    assert nouns(changed, Watch) == [replace(used, since_runtime=9000, is_latched=False)]
    assert facts_of(record(a_rule(FAULTS), PRESS, a_rule(FAULTS), WATCH)) == []
    assert nouns(record(a_rule(FAULTS, priority=1), PRESS, a_rule(FAULTS), used), Watch) == []


def an_open_request() -> tuple[WorkRequest, Watch]:
    decision = use_cases.decide_faults(seen(STORE, PRESS, a_rule(FAULTS), WATCH), faults(5), NOW)
    return nouns(decision, WorkRequest)[0], nouns(decision, Watch)[0]


def complete(*known: object, plant_id: str = "aachen") -> Decision:
    command = wire.CompleteWorkRequest(KEY, plant_id, "aachen~R-1~1", NOW)
    return use_cases.decide_complete(seen(STORE, *known), command, NOW)


def test_requests_by_hand_of_two_systems_that_number_alike_are_two() -> None:
    asked = wire.OpenWorkRequest(BusinessKey("desk", "request", "1"), "aachen", "PRESS-1", "leaks", 1, ())
    also = replace(asked, business_key=BusinessKey("app", "request", "1"), problem="smells")
    first = use_cases.decide_open(seen(STORE, PRESS), asked, NOW)
    second = use_cases.decide_open(seen(STORE, PRESS, *first.changed), also, NOW)
    (one,), (other,) = nouns(first, WorkRequest), nouns(second, WorkRequest)
    assert one.work_request_id != other.work_request_id


def test_work_that_is_done_arms_its_rule_again_once() -> None:
    request, watch = an_open_request()
    decision = complete(PRESS, request, watch)
    assert facts_of(decision) == ["WorkRequestCompleted"]
    assert nouns(decision, Watch)[0].open_request_id == ""
    again = use_cases.decide_faults(seen(STORE, PRESS, a_rule(FAULTS), *decision.changed), faults(5), NOW)
    assert nouns(again, WorkRequest)[0].work_request_id == "aachen~R-1~2"
    with pytest.raises(WorkRequestClosed):
        complete(PRESS, replace(request, state=State.COMPLETED))
    with pytest.raises(WorkRequestMissing):
        complete(PRESS, request, watch, plant_id="brno")
    with pytest.raises(WorkRequestMissing):
        complete(PRESS)


def test_the_cmms_number_is_noted_once_also_after_the_work_is_done() -> None:
    request, _ = an_open_request()
    command = wire.AcceptWorkRequest(request.work_request_id, "WO-77")
    accepted = use_cases.decide_accept(seen(STORE, request), command, NOW)
    assert facts_of(accepted) == ["WorkRequestAccepted"]
    assert nouns(accepted, WorkRequest)[0].state is State.ACCEPTED
    assert use_cases.decide_accept(seen(STORE, *accepted.changed), command, NOW).moot
    assert use_cases.decide_accept(seen(STORE), command, NOW).moot
    done = replace(request, state=State.COMPLETED)
    assert nouns(use_cases.decide_accept(seen(STORE, done), command, NOW), WorkRequest)[0].state is State.COMPLETED


def test_an_asset_is_said_when_its_record_differs() -> None:
    command = wire.RecordAsset(KEY, PRESS)
    assert facts_of(use_cases.decide_asset(seen(STORE), command, NOW)) == ["AssetChanged"]
    running = replace(PRESS, state=MachineState.RUNNING, runtime_seconds=9)
    assert facts_of(use_cases.decide_asset(seen(STORE, running), command, NOW)) == []


def test_rows_give_back_what_they_were_given() -> None:
    class Row:
        def __init__(self, columns: Any) -> None:
            self.__dict__.update(columns)

    request, _ = an_open_request()
    watch = replace(WATCH, buckets=((NOW, 3),), points=((NOW, amount("4.5").value),), seen_time=NOW)
    every = [(ASSETS, PRESS), (WORK_REQUESTS, request), (WATCHES, watch)]
    rules = (VIBRATION, FAULTS, TREND, RuntimeInterval(amount("500", "HUR")))
    every += [(CONDITION_RULES, a_rule(of)) for of in rules]
    for table, noun in every:
        assert table.from_row(Row(table.to_row(noun))) == noun
