"""What both signal drivers do with what they read: raw values by place become a look at a machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from servicekit import clock
from servicekit.domain import MILLIONTH, AmountOutOfRange, exact
from services.edge_bridge.domain.machine import Look, MachineState, Stand
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.signal_map import AssetSignals, MeasureSignal, SignalMap

OLDEST, AHEAD = timedelta(days=400), timedelta(minutes=5)
COUNTER_MOST, FAULT_MOST = 2**63 - 1, 2**31 - 1  # what a fact can say


async def looks_of(signals: SignalMap, look: Callable[[AssetSignals], Awaitable[Look]]) -> tuple[Sequence[Look], str]:
    """(the machines that answered, why others did not): one that is away keeps no other from being read.

    Raises DriverAway when none answered.
    """
    seen, faults = [], []
    for asset in signals.assets:
        try:
            seen.append(await look(asset))
        except DriverAway as fault:
            faults.append(str(fault))
    if not seen:
        raise DriverAway("; ".join(faults))
    return seen, "; ".join(faults)


def look_of(asset: AssetSignals, raw: Mapping[str, object], source_time: datetime | None, *, is_good: bool) -> Look:
    """A clock that cannot be right, or none, is replaced by ours. Raises DriverAway for a counter that can be none."""
    runtime, cycles = (_whole(asset, raw[place], COUNTER_MOST) for place in (asset.runtime_seconds, asset.cycles))
    stand, fault = Stand(runtime, cycles), _whole(asset, raw[asset.fault], FAULT_MOST)
    return Look(
        asset.asset_id,
        asset.states.get(str(raw[asset.state]), MachineState.UNKNOWN),
        fault,
        stand,
        {measure.measure_id: _value(measure, raw[measure.place]) for measure in asset.measures},
        _plausible(source_time),
        is_uncertain=not is_good,
    )


def _whole(asset: AssetSignals, raw: object, most: int) -> int:
    try:
        value = int(str(raw))
    except ValueError as error:
        raise DriverAway(f"{asset.asset_id}: {raw} is no whole number") from error
    if not 0 <= value <= most:
        raise DriverAway(f"{asset.asset_id}: {value} is not from 0 to {most}")
    return value


def _value(measure: MeasureSignal, raw: object) -> Decimal | None:
    """None: bad quality, as is what no amount of ours holds. To the millionth."""
    if raw is None or raw == measure.bad:
        return None
    try:
        value = Decimal(str(raw)) * measure.scale
        return exact(value.quantize(MILLIONTH)) if value.is_finite() else None
    except (InvalidOperation, AmountOutOfRange):
        return None


def _plausible(source_time: datetime | None) -> datetime:
    now = clock.now()
    if source_time is None:
        return now
    known = source_time if source_time.tzinfo is not None else source_time.replace(tzinfo=UTC)
    return known if now - OLDEST <= known <= now + AHEAD else now
