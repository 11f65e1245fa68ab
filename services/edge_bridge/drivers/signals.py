"""What both signal drivers do with what they read: raw values by place become a look at a machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from servicekit import clock
from servicekit.domain import MILLIONTH
from services.edge_bridge.domain.machine import Look, MachineState, Stand
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.signal_map import AssetSignals, MeasureSignal

OLDEST, AHEAD = timedelta(days=400), timedelta(minutes=5)


def look_of(asset: AssetSignals, raw: Mapping[str, object], source_time: datetime | None, *, is_good: bool) -> Look:
    """A clock that cannot be right, or none, is replaced by ours. Raises DriverAway for a counter that is no number."""
    try:
        stand = Stand(int(str(raw[asset.runtime_seconds])), int(str(raw[asset.cycles])))
        fault = int(str(raw[asset.fault]))
    except ValueError as error:
        raise DriverAway(f"{asset.asset_id}: {error}") from error
    return Look(
        asset.asset_id,
        asset.states.get(str(raw[asset.state]), MachineState.UNKNOWN),
        fault,
        stand,
        {measure.measure_id: _value(measure, raw[measure.place]) for measure in asset.measures},
        _plausible(source_time),
        is_uncertain=not is_good,
    )


def _value(measure: MeasureSignal, raw: object) -> Decimal | None:
    """None: bad quality. To the millionth, which is what a ledger of amounts holds."""
    if raw is None or raw == measure.bad:
        return None
    try:
        value = Decimal(str(raw)) * measure.scale
        return value.quantize(MILLIONTH) if value.is_finite() else None
    except InvalidOperation:
        return None


def _plausible(source_time: datetime | None) -> datetime:
    now = clock.now()
    if source_time is None:
        return now
    known = source_time if source_time.tzinfo is not None else source_time.replace(tzinfo=UTC)
    return known if now - OLDEST <= known <= now + AHEAD else now
