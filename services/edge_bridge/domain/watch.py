"""What of a machine's signals is worth saying: only consequences travel. Bounded, in memory, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from services.edge_bridge.domain.machine import Look, Machine, MachineState, Stand

FAULTS_MOST = 50  # codes that are counted at one time


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measurement is filtered: said when a window leaves the deadband, and once in `silent_windows` all the same."""

    measure_id: str
    unit_code: str
    deadband: Decimal
    window: timedelta
    silent_windows: int


@dataclass(frozen=True, slots=True)
class Window:
    """What a measurement did in one window of time."""

    measure_id: str
    unit_code: str
    start_time: datetime
    end_time: datetime
    reading_count: int
    bad_reading_count: int
    minimum: Decimal
    maximum: Decimal
    latest: Decimal


@dataclass(frozen=True, slots=True)
class Faults:
    """One fault, once or many times."""

    fault_code: int
    fault_count: int
    first_time: datetime
    last_time: datetime


@dataclass(frozen=True, slots=True)
class Worth:
    """What of a look is worth a step: the look, the counters seen before it, and what is due."""

    look: Look
    seen: Stand
    is_counter_due: bool
    windows: tuple[Window, ...]
    faults: tuple[Faults, ...]


@dataclass(slots=True)
class _Open:
    """A window that is being filled."""

    begin: datetime
    values: list[Decimal]  # at most three: minimum, maximum, latest
    count: int = 0
    bad: int = 0
    silent: int = 0


class Watch:
    """One machine's filter. What it holds is lost with the process: windows and counts that were not said yet."""

    def __init__(
        self, known: Machine, measures: tuple[Measure, ...], counter_interval: timedelta, fault_window: timedelta
    ) -> None:
        self._state, self._fault = known.state, known.fault_code
        self._seen = known.stand
        self._said = dict(known.measures)
        self._measures = measures
        self._counter_interval, self._fault_window = counter_interval, fault_window
        self._counters_said: datetime | None = None
        self._open: dict[str, _Open] = {}
        self._faults: dict[int, Faults] = {}  # by code, in their window; count 0: only said at once

    def take(self, look: Look, now: datetime) -> Worth | None:
        """None: nothing of it is worth saying."""
        faults = self._count_faults(look, now)
        windows = [window for measure in self._measures if (window := self._fill(measure, look, now)) is not None]
        is_changed = _is_other(look, self._state, self._fault)
        seen = self._seen or look.stand
        is_back = look.stand.runtime < seen.runtime or look.stand.cycles < seen.cycles
        is_due = self._counters_said is None or now >= self._counters_said + self._counter_interval
        is_counter_due = is_changed or is_back or is_due
        self._state, self._fault, self._seen = look.state, look.fault_code, look.stand
        if is_counter_due:
            self._counters_said = now
        if not (is_counter_due or windows or faults):
            return None
        return Worth(look, seen, is_counter_due, tuple(windows), tuple(faults))

    def _count_faults(self, look: Look, now: datetime) -> list[Faults]:
        """A fault that comes is said at once; what repeats within its window is said together at its end."""
        told = [seen for code in list(self._faults) if (seen := self._closed(code, now)) is not None]
        code, is_new = look.fault_code, look.fault_code not in (0, self._fault)
        if not is_new or (code not in self._faults and len(self._faults) >= FAULTS_MOST):
            return told
        known = self._faults.get(code)
        if known is None:
            self._faults[code] = Faults(code, 0, now, now)
            return [*told, Faults(code, 1, look.source_time, look.source_time)]
        self._faults[code] = Faults(code, known.fault_count + 1, known.first_time, now)
        return told

    def _closed(self, code: int, now: datetime) -> Faults | None:
        known = self._faults[code]
        if now < known.first_time + self._fault_window:
            return None
        del self._faults[code]
        if not known.fault_count:
            return None
        self._faults[code] = Faults(code, 0, now, now)
        return known

    def _fill(self, measure: Measure, look: Look, now: datetime) -> Window | None:
        """Add a reading; what the window shows if it is over and worth saying."""
        if measure.measure_id not in look.measures:
            return None
        held = self._open.setdefault(measure.measure_id, _Open(now, []))
        told = self._close(measure, held, now) if now >= held.begin + measure.window else None
        held = self._open[measure.measure_id]
        value = look.measures[measure.measure_id]
        if value is None:
            held.bad += 1
            return told
        low, high = (held.values[0], held.values[1]) if held.values else (value, value)
        held.values, held.count = [min(low, value), max(high, value), value], held.count + 1
        return told

    def _close(self, measure: Measure, held: _Open, now: datetime) -> Window | None:
        self._open[measure.measure_id] = _Open(now, [], silent=held.silent + 1)
        if not held.values:
            return None
        said = self._said.get(measure.measure_id)
        is_silent_long = held.silent + 1 >= measure.silent_windows
        if said is not None and not is_silent_long and all(abs(v - said) <= measure.deadband for v in held.values):
            return None
        self._open[measure.measure_id].silent = 0
        self._said[measure.measure_id] = held.values[2]
        span = measure.measure_id, measure.unit_code, held.begin, now
        return Window(*span, held.count, held.bad, *held.values)


def is_worth_saying(known: Machine, look: Look) -> bool:
    """The state is other than what was said last."""
    return look.state is not MachineState.UNKNOWN and _is_other(look, known.state, known.fault_code)


def _is_other(look: Look, state: MachineState, fault_code: int) -> bool:
    """A fault is part of the state of a machine that is down; of one that runs on it is only counted."""
    return look.state is not state or (look.state is MachineState.DOWN and look.fault_code != fault_code)
