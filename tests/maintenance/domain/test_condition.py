"""When a rule asks for work, and what it counts while that is open."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.domain import Quantity
from services.maintenance.domain import condition, work_request
from services.maintenance.domain.condition import (
    BUCKETS,
    Condition,
    ConditionRule,
    ConditionRuleInvalid,
    FaultFrequency,
    LinearTrend,
    MeasureUnitMismatch,
    RuntimeInterval,
    SparePart,
    Threshold,
    Watch,
    Window,
)
from services.maintenance.domain.work_request import WorkRequest
from tests.maintenance.domain.test_asset import NOW, PRESS

HOUR = timedelta(hours=1)


def amount(value: str, unit: str = "C16") -> Quantity:
    return Quantity(Decimal(value), unit)


def a_rule(of: Condition, **changes: Any) -> ConditionRule:
    part = SparePart("BEARING-6204", amount("2", "C62"))
    return replace(ConditionRule("aachen", "R-1", "PRESS-1", "bearing worn", 2, (part,), of, False), **changes)


WATCH = Watch("aachen", "R-1", "PRESS-1")
VIBRATION = Threshold("vibration", amount("7.1"), amount("5"))
TREND = LinearTrend("vibration", amount("7"), timedelta(days=10), 4)
FAULTS = FaultFrequency(17, 5, HOUR)


def a_window(value: str, minutes: int = 0, unit: str = "C16") -> Window:
    return Window("vibration", NOW + timedelta(minutes=minutes), amount(value, unit), amount(value, unit))


def asked(rule: ConditionRule, watch: Watch, sight: condition.Sight, known: WorkRequest | None, at: datetime) -> Any:
    return work_request.ask(rule, PRESS, sight, known, at)


def test_a_rule_by_runtime_asks_once_an_interval() -> None:
    rule = a_rule(RuntimeInterval(amount("500", "HUR")))
    assert condition.see_runtime(rule, WATCH, 499 * 3600).occurrences == 0
    sight = condition.see_runtime(rule, WATCH, 500 * 3600)
    assert (sight.occurrences, sight.cause) == (1, "ran 500 HUR, due every 500 HUR")
    open_watch, request, is_new = asked(rule, WATCH, sight, None, NOW)
    assert (request.work_request_id, is_new) == ("aachen~R-1~1", True)
    assert condition.see_runtime(rule, open_watch, 900 * 3600).occurrences == 0
    armed = open_watch.armed(520 * 3600)
    assert condition.see_runtime(rule, armed, 1019 * 3600).occurrences == 0
    again = condition.see_runtime(rule, armed, 1020 * 3600)
    assert asked(rule, armed, again, None, NOW)[1].work_request_id == "aachen~R-1~2"


def story(rule: ConditionRule, windows: list[Window]) -> list[WorkRequest]:
    """The requests that windows lead to, none of them completed."""
    watch, requests = WATCH, dict[str, WorkRequest]()
    for window in windows:
        sight = condition.see_window(rule, watch, window)
        known = requests.get(sight.watch.open_request_id)
        watch, request, _ = asked(rule, watch, sight, known, window.end_time)
        if request is not None:
            requests[request.work_request_id] = request
    return list(requests.values())


def test_a_threshold_asks_when_it_is_crossed_and_counts_what_repeats() -> None:
    rule = a_rule(VIBRATION)
    assert story(rule, [a_window("7.1")]) == []  # on the limit is inside
    (request,) = story(rule, [a_window(value, n) for n, value in enumerate(["7.2", "6", "8", "4", "9"])])
    assert (request.occurrence_count, request.cause) == (3, "vibration reached 7.2 C16, limit is 7.1 C16")
    assert (request.first_occur_time, request.last_occur_time) == (NOW, NOW + timedelta(minutes=4))


def test_a_threshold_that_was_armed_by_work_asks_again_and_not_before_it_was_reset_by_itself() -> None:
    rule = a_rule(VIBRATION)
    latched = condition.see_window(rule, WATCH, a_window("8")).watch
    assert condition.see_window(rule, latched, a_window("6", 1)).watch.is_latched
    assert not condition.see_window(rule, latched, a_window("5", 1)).watch.is_latched
    assert condition.see_window(rule, latched, a_window("8", 1)).occurrences == 0  # no request, not reset
    assert condition.see_window(rule, latched.armed(0), a_window("8", 1)).occurrences == 1


@given(st.lists(st.sampled_from(["4", "6", "8"]), max_size=12), st.lists(st.integers(0, 11), max_size=6))
def test_windows_that_come_again_change_nothing(values: list[str], again: list[int]) -> None:
    windows = [a_window(value, number) for number, value in enumerate(values)]
    repeated = list(windows)
    for place in again:
        if place < len(windows):
            repeated.insert(repeated.index(windows[place]) + 1, windows[place])
    assert story(a_rule(VIBRATION), repeated) == story(a_rule(VIBRATION), windows)


def test_a_measurement_in_another_unit_is_refused() -> None:
    with pytest.raises(MeasureUnitMismatch):
        condition.see_window(a_rule(VIBRATION), WATCH, a_window("8", unit="CEL"))


def test_a_trend_says_when_the_limit_is_expected() -> None:
    days = [
        Window("vibration", NOW + n * timedelta(days=1), amount(v), amount(v)) for n, v in enumerate(["1", "2", "3"])
    ]
    assert story(a_rule(TREND), days) == []  # too few
    last = Window("vibration", NOW + timedelta(days=3), amount("4"), amount("4"))
    (request,) = story(a_rule(TREND), [*days, last])
    assert request.expected_time == NOW + timedelta(days=6)
    near = a_rule(replace(TREND, horizon=timedelta(days=2)))
    assert story(near, [*days, last]) == []


@pytest.mark.parametrize("values", [["3", "3", "3", "3"], ["4", "3", "2", "1"]])
def test_a_trend_that_does_not_rise_asks_for_nothing(values: list[str]) -> None:
    assert story(a_rule(TREND), [a_window(value, n) for n, value in enumerate(values)]) == []


def test_ten_thousand_faults_are_one_request_with_their_count() -> None:
    rule, watch, requests = a_rule(FAULTS), WATCH, dict[str, WorkRequest]()
    for number in range(100):
        at = NOW + number * timedelta(seconds=1)
        sight = condition.see_faults(rule, watch, 17, 100, at)
        watch, request, _ = asked(rule, watch, sight, requests.get(sight.watch.open_request_id), at)
        assert request is not None
        requests[request.work_request_id] = request
    (only,) = requests.values()
    assert only.occurrence_count == 10_000
    assert only.cause == "fault 17 came 100 times within 1:00:00, 5 ask for work"


def test_faults_that_are_too_few_too_old_or_others_ask_for_nothing_and_memory_is_bounded() -> None:
    rule, watch = a_rule(FAULTS), WATCH
    for number in range(200):
        sight = condition.see_faults(rule, watch, 17, 1, NOW + number * timedelta(minutes=16))
        assert sight.occurrences == 0
        watch = condition.see_faults(rule, sight.watch, 18, 1000, NOW).watch
    assert len(watch.buckets) <= 2 * BUCKETS
    flood = a_rule(replace(FAULTS, fault_count=10**6))
    for number in range(500):
        watch = condition.see_faults(flood, watch, 17, 1, NOW + timedelta(days=9, seconds=number * 7)).watch
    assert len(watch.buckets) <= 2 * BUCKETS


@pytest.mark.parametrize(
    ("of", "field"),
    [
        (RuntimeInterval(amount("500", "MIN")), "runtime_interval.interval"),
        (RuntimeInterval(amount("0", "HUR")), "runtime_interval.interval"),
        (replace(VIBRATION, reset_limit=amount("8")), "threshold.reset_limit"),
        (replace(VIBRATION, reset_limit=amount("5", "CEL")), "threshold.reset_limit"),
        (replace(FAULTS, within=timedelta()), "fault_frequency.within_duration"),
        (replace(TREND, horizon=timedelta()), "linear_trend.horizon_duration"),
    ],
)
def test_a_rule_whose_figures_make_no_sense_is_refused(of: Condition, field: str) -> None:
    with pytest.raises(ConditionRuleInvalid) as refusal:
        a_rule(of).check()
    assert refusal.value.facts["field"] == field
    a_rule(VIBRATION).check()
