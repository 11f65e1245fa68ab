"""A machine that is maintained: its state, its downtime, and counters that never lose what the machine counted."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from servicekit.domain import DomainError, Kind, Quantity

CLOCK_SKEW = timedelta(minutes=5)  # how far a machine's clock may be ahead of ours
OLDEST = timedelta(days=400)  # what a cut-off plant may still report; an older time is a clock that was never set
NO_EPOCH = -1
MILLIONTH_HOUR = Decimal("0.000001")


class MachineState(enum.Enum):
    UNKNOWN = ""
    IDLE = "idle"
    RUNNING = "running"
    DOWN = "down"


class AssetMissing(DomainError):
    """The plant has no such asset: record it, then release what waits."""

    reason, kind = "ASSET_MISSING", Kind.MISSING


class TimeImplausible(DomainError):
    """The time is ahead of our clock, or more than 400 days back: set the machine's clock, correct or discard the record."""

    reason, kind = "TIME_IMPLAUSIBLE", Kind.INVALID


class CounterBackwards(DomainError):
    """A counter's end is below its begin within one counter epoch."""

    reason, kind = "COUNTER_BACKWARDS", Kind.INVALID


def require_plausible(asset_id: str, occur_time: datetime, now: datetime) -> None:
    """TIME_IMPLAUSIBLE."""
    if not now - OLDEST <= occur_time <= now + CLOCK_SKEW:
        raise TimeImplausible(asset_id=asset_id, occur_time=occur_time.isoformat())


@dataclass(frozen=True, slots=True)
class Counters:
    """One counter epoch's stand, as the machine's edge bridge said it: runtime in seconds, cycles."""

    epoch: int
    runtime_from: int
    runtime_to: int
    cycles_from: int
    cycles_to: int


@dataclass(frozen=True, slots=True)
class Asset:
    """`runtime_seconds` and `cycle_count` are sums over all epochs; `counted_*` is the last epoch's last stand."""

    plant_id: str
    asset_id: str
    description: str
    line_id: str
    stops_line: bool
    cost_centre_id: str
    cmms_asset_number: str
    state: MachineState = MachineState.UNKNOWN
    state_time: datetime | None = None
    fault_code: int = 0
    counter_epoch: int = NO_EPOCH
    counted_runtime: int = 0
    counted_cycles: int = 0
    runtime_seconds: int = 0
    cycle_count: int = 0
    version: int = 1

    @property
    def runtime_hours(self) -> Quantity:
        return hours(self.runtime_seconds)

    def recorded(self, said: Asset) -> Asset:
        """What its owner says of it, with what its machine said."""
        own = ("description", "line_id", "stops_line", "cost_centre_id", "cmms_asset_number")
        return replace(self, **{name: getattr(said, name) for name in own})

    def counted(self, said: Counters) -> Asset:
        """COUNTER_BACKWARDS. Overlaps count once; a hole in what was reported is counted, for the machine ran."""
        for name, begin, end in (
            ("runtime", said.runtime_from, said.runtime_to),
            ("cycles", said.cycles_from, said.cycles_to),
        ):
            if end < begin:
                raise CounterBackwards(asset_id=self.asset_id, counter=name, **{"from": begin, "to": end})
        if said.epoch < self.counter_epoch:
            return self
        is_same = said.epoch == self.counter_epoch
        runtime = said.runtime_to - (self.counted_runtime if is_same else said.runtime_from)
        cycles = said.cycles_to - (self.counted_cycles if is_same else said.cycles_from)
        return replace(
            self,
            counter_epoch=said.epoch,
            counted_runtime=max(said.runtime_to, self.counted_runtime if is_same else 0),
            counted_cycles=max(said.cycles_to, self.counted_cycles if is_same else 0),
            runtime_seconds=self.runtime_seconds + max(0, runtime),
            cycle_count=self.cycle_count + max(0, cycles),
        )


def hours(seconds: int) -> Quantity:
    return Quantity((Decimal(seconds) / 3600).quantize(MILLIONTH_HOUR), "HUR")


@dataclass(frozen=True, slots=True)
class Downtime:
    """A time in which an asset could not work; without an end it lasts."""

    plant_id: str
    downtime_id: str
    asset_id: str
    line_id: str
    stops_line: bool
    fault_code: int
    start_time: datetime
    end_time: datetime | None
    cost_centre_id: str


def downtime_id(asset_id: str, start_time: datetime) -> str:
    start = start_time.astimezone(UTC)
    return f"{asset_id}-{start:%Y%m%dT%H%M%S}.{start.microsecond // 1000:03}Z"


@dataclass(frozen=True, slots=True)
class Change:
    """What a state that was reported makes of an asset."""

    asset: Asset
    started: Downtime | None = None
    is_ended: bool = False


def change_state(
    asset: Asset, state: MachineState, fault_code: int, at: datetime, *, is_uncertain: bool
) -> Change | None:
    """None: nothing new. What a device is not sure of, and what is older than known, changes nothing."""
    is_old = asset.state_time is not None and at <= asset.state_time
    if is_uncertain or is_old or state is MachineState.UNKNOWN:
        return None
    if state is asset.state:
        return Change(replace(asset, fault_code=fault_code)) if fault_code != asset.fault_code else None
    after = replace(asset, state=state, state_time=at, fault_code=fault_code)
    if state is not MachineState.DOWN:
        return Change(after, is_ended=asset.state is MachineState.DOWN)
    name = downtime_id(asset.asset_id, at)
    whose = asset.asset_id, asset.line_id, asset.stops_line, fault_code
    return Change(after, Downtime(asset.plant_id, name, *whose, at, None, asset.cost_centre_id))
