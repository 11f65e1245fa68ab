"""What of a device's raw values can be said, and what is of bad quality or no answer at all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.edge_bridge.domain.machine import Look, MachineState, Stand
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers.signals import look_of, looks_of
from services.edge_bridge.signal_map import AssetSignals, SignalMap

VIBRATION = {"measure_id": "vibration", "place": "4", "unit_code": "C16", "deadband": "0.5", "scale": "0.01", "bad": 9}
RAW = {"0": 1, "1": 17, "2": 100, "3": 10, "4": 420}


def an_asset(asset_id: str = "PRESS-1") -> AssetSignals:
    places = {"state": "0", "fault": "1", "runtime_seconds": "2", "cycles": "3"}
    return AssetSignals.model_validate(
        {"asset_id": asset_id, **places, "states": {"1": "running"}, "measures": [VIBRATION]}
    )


def look(**raw: Any) -> Look:
    changed = {name.removeprefix("r"): value for name, value in raw.items()}
    return look_of(an_asset(), {**RAW, **changed}, None, is_good=True)


def test_raw_values_become_a_look() -> None:
    seen = look()
    assert (seen.state, seen.fault_code, seen.stand) == (MachineState.RUNNING, 17, Stand(100, 10))
    assert seen.measures == {"vibration": Decimal("4.2")}
    assert look(r0=7).state is MachineState.UNKNOWN


@pytest.mark.parametrize("value", [None, 9, float("nan"), float("inf"), 1e300, 1e15, "warm"])
def test_what_no_amount_holds_is_of_bad_quality(value: object) -> None:
    assert look(r4=value).measures == {"vibration": None}


@pytest.mark.parametrize("raw", [{"r1": 2**31}, {"r1": -1}, {"r2": 2**63}, {"r2": -5}, {"r3": "many"}, {"r3": None}])
def test_a_counter_or_fault_that_no_fact_can_say_is_no_answer(raw: dict[str, Any]) -> None:
    with pytest.raises(DriverAway, match="PRESS-1"):
        look(**raw)


async def test_a_machine_that_is_away_keeps_no_other_from_being_read() -> None:
    signals = SignalMap(assets=(an_asset("PRESS-1"), an_asset("PRESS-2")))

    async def answers(asset: AssetSignals) -> Look:
        if asset.asset_id == "PRESS-1":
            raise DriverAway("PRESS-1: no answer")
        return look_of(asset, RAW, datetime.now(UTC), is_good=True)

    seen, why = await looks_of(signals, answers)
    assert ([one.asset_id for one in seen], why) == (["PRESS-2"], "PRESS-1: no answer")

    async def silent(asset: AssetSignals) -> Look:
        raise DriverAway(f"{asset.asset_id}: no answer")

    with pytest.raises(DriverAway, match="PRESS-1: no answer; PRESS-2: no answer"):
        await looks_of(signals, silent)
