"""What a historian's tag shows over a window: only what was read, nothing between. Times without good readings are gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

GAPS_MOST = 200  # a fact holds no more; what comes after is told as one long gap


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a tag. `value` is None where the historian has none that can be read."""

    time: datetime
    value: Decimal | None
    is_good: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a tag. A value on a limit is inside; two readings `allowed_gap` apart are no gap."""

    start_time: datetime
    end_time: datetime
    lower_limit: Decimal | None
    upper_limit: Decimal | None
    allowed_gap: timedelta

    def is_inside(self, value: Decimal) -> bool:
        above = self.lower_limit is None or value >= self.lower_limit
        return above and (self.upper_limit is None or value <= self.upper_limit)


@dataclass(frozen=True, slots=True)
class Gap:
    start_time: datetime
    end_time: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """`reading_count` counts good readings of the window; `minimum` and `maximum` are None where there was none."""

    reading_count: int
    minimum: Decimal | None
    maximum: Decimal | None
    dwell: timedelta
    gaps: tuple[Gap, ...]


def evidence(readings: Iterable[Reading], question: Question) -> Evidence:
    """Judge the window by its good readings, in whatever order they came. A bad reading is as none: it proves nothing."""
    good = _good(readings, question)
    values = [value for _, value in good]
    gaps = _gaps(good, question)
    return Evidence(
        reading_count=len(good),
        minimum=min(values, default=None),
        maximum=max(values, default=None),
        dwell=_dwell(good, gaps, question),
        gaps=gaps,
    )


def _good(readings: Iterable[Reading], question: Question) -> list[tuple[datetime, Decimal]]:
    found = {
        (reading.time, reading.value)
        for reading in readings
        if reading.is_good and reading.value is not None and question.start_time <= reading.time <= question.end_time
    }
    return sorted(found)


def _gaps(good: Sequence[tuple[datetime, Decimal]], question: Question) -> tuple[Gap, ...]:
    """Between the window's begin, its good readings and its end; without any reading the whole window."""
    if not good:
        is_long = question.end_time > question.start_time
        return (Gap(question.start_time, question.end_time),) if is_long else ()
    times = [question.start_time, *(time for time, _ in good), question.end_time]
    gaps = [Gap(a, b) for a, b in pairwise(times) if b - a > question.allowed_gap]
    if len(gaps) > GAPS_MOST:
        gaps[GAPS_MOST - 1 :] = [Gap(gaps[GAPS_MOST - 1].start_time, gaps[-1].end_time)]
    return tuple(gaps)


def _dwell(good: Sequence[tuple[datetime, Decimal]], gaps: Sequence[Gap], question: Question) -> timedelta:
    """Time between two readings in a row that were both inside; what lies in a gap counts for nothing."""
    limit = gaps[-1] if gaps else None  # the last gap may hold readings, see GAPS_MOST
    inside = timedelta()
    for (begin, first), (end, second) in pairwise(good):
        is_known = limit is None or end <= limit.start_time or begin >= limit.end_time
        if (
            is_known
            and end - begin <= question.allowed_gap
            and question.is_inside(first)
            and question.is_inside(second)
        ):
            inside += end - begin
    return inside


@dataclass(frozen=True, slots=True)
class HistorianRead:
    """A question to the historian that stands until its answer is told. `question` is in the unit `unit_code`."""

    inspection_id: str
    characteristic_id: str
    plant_id: str
    work_order_id: str
    tag_id: str
    unit_code: str
    question: Question
    is_answered: bool
    traceparent: str
