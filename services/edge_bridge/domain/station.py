"""A station of a line: its counters, which only grow until the device starts again."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class StationState(enum.Enum):
    UNKNOWN = "unknown"
    IDLE = "idle"
    RUNNING = "running"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Station:
    """`counter_epoch` is raised each time the counters started again."""

    station_id: str
    good: int
    scrap: int
    counter_epoch: int
    state: StationState
    fault_code: int

    def observe(self, good: int, scrap: int, state: StationState, fault_code: int) -> Observed:
        """What the line says now, against what we know. A counter below its last value started again from zero."""
        has_restarted = good < self.good or scrap < self.scrap
        base = replace(self, good=0, scrap=0, counter_epoch=self.counter_epoch + 1) if has_restarted else self
        after = replace(base, good=good, scrap=scrap, state=state, fault_code=fault_code)
        return Observed(base, after, has_restarted)


@dataclass(frozen=True, slots=True)
class Observed:
    """From one observation to the next; equal when nothing moved."""

    before: Station
    after: Station
    has_restarted: bool

    def is_nothing(self) -> bool:
        return self.before == self.after
