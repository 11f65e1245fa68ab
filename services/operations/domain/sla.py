"""Clocks on business steps: how long work has waited at an interface, and when that is said. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


class Tier(enum.Enum):
    REAL_TIME = "real_time"
    NEAR_REAL_TIME = "near_real_time"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Sla:
    """What an interface promises. `debounce`: for how long it must be seen beyond its limit before anybody is called."""

    tier: Tier
    limit: timedelta
    debounce: timedelta


class Meaning(enum.Enum):
    """What a step is to a clock."""

    START = "start"
    REACHED = "reached"  # the step that was waited for
    ENDED = "ended"  # it will not come: the work was cancelled or refused


@dataclass(frozen=True, slots=True)
class Step:
    """A business step that an interface waits for, or ends with. `work_id`: order, document or inspection, once in a life."""

    interface_id: str
    plant_id: str
    work_id: str
    work_order_id: str
    meaning: Meaning
    time: datetime


@dataclass(frozen=True, slots=True)
class SlaClock:
    """The time of one piece of work at one interface. A clock runs once; what has ended never runs again."""

    interface_id: str
    plant_id: str
    work_id: str
    work_order_id: str
    open_time: datetime | None = None
    close_time: datetime | None = None
    is_reached: bool = False

    def after(self, step: Step) -> SlaClock:
        """The clock with one step more. Steps come from several services, in any order: the end may be heard first."""
        if step.meaning is Meaning.START:
            return (
                self
                if self.open_time is not None
                else replace(self, open_time=step.time, work_order_id=step.work_order_id)
            )
        is_reached = self.is_reached or step.meaning is Meaning.REACHED
        return replace(self, close_time=self.close_time or step.time, is_reached=is_reached)


def clock_of(step: Step) -> SlaClock:
    """The clock that a work's first step is put on."""
    return SlaClock(step.interface_id, step.plant_id, step.work_id, step.work_order_id)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was last said of an interface at a plant. `since_time`: None if it never was breached."""

    interface_id: str
    plant_id: str
    is_breached: bool = False
    since_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The work that waits at an interface of a plant: how much, and since when the oldest."""

    interface_id: str
    plant_id: str
    open_count: int = 0
    oldest_open_time: datetime | None = None
    oldest_work_order_id: str = ""

    def beyond_since(self, limit: timedelta, now: datetime) -> datetime | None:
        """When the oldest work passed the limit; None: nothing has."""
        passed = self.oldest_open_time + limit if self.oldest_open_time is not None else None
        return passed if passed is not None and passed < now else None


class Change(enum.Enum):
    BREACHED = "breached"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look makes of an interface. `seen_since`: when looks began to see it beyond its limit, None if they don't."""

    seen_since: datetime | None
    change: Change | None = None


def judge(sla: Sla, waiting: Waiting, standing: Standing, seen_since: datetime | None, now: datetime) -> Verdict:
    """Say a breach once it was seen for as long as the debounce, and the recovery at once.

    The debounce counts from our first look and not from the limit: after an outage of ours the start of a clock may be heard
    hours late, and its end a moment after.
    """
    if waiting.beyond_since(sla.limit, now) is None:
        return Verdict(None, Change.RECOVERED if standing.is_breached else None)
    seen_since = seen_since or now
    is_due = not standing.is_breached and now - seen_since >= sla.debounce
    return Verdict(seen_since, Change.BREACHED if is_due else None)
