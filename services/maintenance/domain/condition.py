"""Condition rules: when an asset asks for help, and what a rule has seen so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from servicekit.domain import DomainError, Kind, Quantity
from services.maintenance.domain.asset import hours

BUCKETS = 20  # parts of a fault rule's time: faults are forgotten part by part
MICROSECOND = timedelta(microseconds=1)


class ConditionRuleMissing(DomainError):
    """The plant has no such condition rule."""

    reason, kind = "CONDITION_RULE_MISSING", Kind.MISSING


class ConditionRuleInvalid(DomainError):
    """A figure of the rule makes no sense."""

    reason, kind = "CONDITION_RULE_INVALID", Kind.INVALID


class MeasureUnitMismatch(DomainError):
    """The measurement's unit is not the one that the rule's limit is in."""

    reason, kind = "MEASURE_UNIT_MISMATCH", Kind.INVALID


@dataclass(frozen=True, slots=True)
class RuntimeInterval:
    interval: Quantity  # hours


@dataclass(frozen=True, slots=True)
class Threshold:
    measure_id: str
    limit: Quantity
    reset_limit: Quantity


@dataclass(frozen=True, slots=True)
class FaultFrequency:
    fault_code: int
    fault_count: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class LinearTrend:
    measure_id: str
    limit: Quantity
    horizon: timedelta
    window_count: int


Condition = RuntimeInterval | Threshold | FaultFrequency | LinearTrend


@dataclass(frozen=True, slots=True)
class SparePart:
    item_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class ConditionRule:
    plant_id: str
    condition_rule_id: str
    asset_id: str
    problem: str
    priority: int
    spare_parts: tuple[SparePart, ...]
    condition: Condition
    is_retired: bool
    revision: int = 1

    def check(self) -> None:
        """CONDITION_RULE_INVALID names the field."""
        for field, is_wrong in [*_faults(self.condition), *self._parts()]:
            if is_wrong:
                raise ConditionRuleInvalid(condition_rule_id=self.condition_rule_id, field=field)

    def _parts(self) -> list[tuple[str, bool]]:
        return [("spare_parts.quantity", part.quantity.value <= 0) for part in self.spare_parts]


def _faults(condition: Condition) -> list[tuple[str, bool]]:
    if isinstance(condition, RuntimeInterval):
        interval = condition.interval
        return [("runtime_interval.interval", interval.unit_code != "HUR" or interval.value <= 0)]
    if isinstance(condition, Threshold):
        limit, reset = condition.limit, condition.reset_limit
        return [("threshold.reset_limit", limit.unit_code != reset.unit_code or reset.value > limit.value)]
    if isinstance(condition, FaultFrequency):
        return [("fault_frequency.within_duration", condition.within <= timedelta())]
    return [("linear_trend.horizon_duration", condition.horizon <= timedelta())]


@dataclass(frozen=True, slots=True)
class Window:
    """What a measurement did in one window of time."""

    measure_id: str
    end_time: datetime
    maximum: Quantity
    latest: Quantity


@dataclass(frozen=True, slots=True)
class Watch:
    """What a rule has seen. `open_request_id` is empty while it asks for nothing.

    `since_runtime`: the asset's runtime when the last request was completed. `is_latched`: a threshold that was crossed and
    not yet reset. `seen_time`: end of the last window. `buckets`: begin of a part of time, faults in it. `points`: the
    windows of a trend.
    """

    plant_id: str
    condition_rule_id: str
    asset_id: str
    request_count: int = 0
    open_request_id: str = ""
    since_runtime: int = 0
    is_latched: bool = False
    seen_time: datetime | None = None
    buckets: tuple[tuple[datetime, int], ...] = ()
    points: tuple[tuple[datetime, Decimal], ...] = ()

    def armed(self, runtime_seconds: int) -> Watch:
        """The work is done: what was seen before it counts no more."""
        return replace(self, open_request_id="", since_runtime=runtime_seconds, is_latched=False, buckets=(), points=())


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule has seen now: `occurrences` above zero ask for work, for this cause, in plant words."""

    watch: Watch
    occurrences: int = 0
    cause: str = ""
    expected_time: datetime | None = None


def see_runtime(rule: ConditionRule, watch: Watch, runtime_seconds: int) -> Sight:
    """Asks once an interval; while the work is open, nothing new is seen."""
    if not isinstance(rule.condition, RuntimeInterval) or watch.open_request_id:
        return Sight(watch)
    ran = hours(runtime_seconds - watch.since_runtime)
    if ran < rule.condition.interval:
        return Sight(watch)
    return Sight(watch, 1, f"ran {ran}, due every {rule.condition.interval}")


def see_window(rule: ConditionRule, watch: Watch, window: Window) -> Sight:
    """MEASURE_UNIT_MISMATCH. A window that was seen before, or is older, is not seen again."""
    condition = rule.condition
    if not isinstance(condition, Threshold | LinearTrend) or condition.measure_id != window.measure_id:
        return Sight(watch)
    if watch.seen_time is not None and window.end_time <= watch.seen_time:
        return Sight(watch)
    unit, expected = window.maximum.unit_code, condition.limit.unit_code
    if unit != expected:
        raise MeasureUnitMismatch(measure_id=window.measure_id, unit_code=unit, expected=expected)
    watch = replace(watch, seen_time=window.end_time)
    if isinstance(condition, Threshold):
        return _see_threshold(condition, watch, window)
    return _see_trend(condition, watch, window)


def _see_threshold(condition: Threshold, watch: Watch, window: Window) -> Sight:
    if window.maximum <= condition.reset_limit:
        return Sight(replace(watch, is_latched=False))
    if window.maximum <= condition.limit or (watch.is_latched and not watch.open_request_id):
        return Sight(watch)
    told = f"{condition.measure_id} reached {window.maximum}, limit is {condition.limit}"
    return Sight(replace(watch, is_latched=True), 1, told)


def _see_trend(condition: LinearTrend, watch: Watch, window: Window) -> Sight:
    points = (*watch.points, (window.end_time, window.latest.value))[-condition.window_count :]
    watch = replace(watch, points=points)
    if len(points) < condition.window_count:
        return Sight(watch)
    reached = reach_time(points, condition.limit.value)
    if reached is None or reached > window.end_time + condition.horizon:
        return Sight(watch)
    reached = max(reached, window.end_time)
    told = (
        f"{condition.measure_id} is {window.latest} and rises; {condition.limit} expected {reached:%Y-%m-%d %H:%M} UTC"
    )
    return Sight(watch, 1, told, reached)


def reach_time(points: Sequence[tuple[datetime, Decimal]], limit: Decimal) -> datetime | None:
    """When the straight line through the points (least squares) reaches the limit; None: it does not rise, or never will."""
    begin = points[0][0]
    times = [Decimal((time - begin) // MICROSECOND) / 1_000_000 for time, _ in points]
    count = Decimal(len(points))
    mean_time, mean = sum(times) / count, sum((value for _, value in points), Decimal(0)) / count
    spread = sum(((time - mean_time) ** 2 for time in times), Decimal(0))
    if not spread:
        return None
    slope = sum(((t - mean_time) * (v - mean) for t, (_, v) in zip(times, points, strict=True)), Decimal(0)) / spread
    if slope <= 0:
        return None
    seconds = mean_time + (limit - mean) / slope
    return begin + timedelta(seconds=int(seconds)) if abs(seconds) < timedelta(days=36500).total_seconds() else None


def see_faults(rule: ConditionRule, watch: Watch, code: int, count: int, at: datetime) -> Sight:
    """Faults that come while the work is open are counted; else they ask for it when there are enough within the time."""
    condition = rule.condition
    if not isinstance(condition, FaultFrequency) or condition.fault_code != code or count <= 0:
        return Sight(watch)
    if watch.open_request_id:
        return Sight(watch, count, "")
    part = condition.within / BUCKETS
    sums = {begin: faults for begin, faults in watch.buckets if begin > at - condition.within}
    begin = next((known for known in sums if known <= at < known + part), at)
    sums[begin] = sums.get(begin, 0) + count
    buckets = tuple(sorted(sums.items())[-2 * BUCKETS :])
    seen = sum(faults for _, faults in buckets)
    watch = replace(watch, buckets=buckets)
    if seen < condition.fault_count:
        return Sight(watch)
    told = f"fault {code} came {seen} times within {condition.within}, {condition.fault_count} ask for work"
    return Sight(watch, seen, told)
