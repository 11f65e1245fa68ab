"""Where a machine's signals live and how they are filtered, as a data file that is checked at start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from servicekit.domain import UNIT_CODES
from services.edge_bridge.domain.machine import MachineState
from services.edge_bridge.domain.watch import Measure

FILE_BYTES_MOST = 256_000
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=64)]
Place = Annotated[str, StringConstraints(min_length=1, max_length=256)]  # register number, or OPC UA node id


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasureSignal(_Data):
    """A measurement: its place, and value = raw * scale. A raw value of `bad` is of bad quality."""

    measure_id: Name
    place: Place
    unit_code: str
    scale: Decimal = Decimal(1)
    bad: int | None = None
    deadband: Decimal = Field(ge=0)
    window_seconds: float = Field(60, gt=0)
    silent_windows: int = Field(10, ge=1)

    @field_validator("unit_code")
    @classmethod
    def _is_ours(cls, value: str) -> str:
        if value not in UNIT_CODES:
            raise ValueError(f"{value} is no unit code of ours")
        return value

    @property
    def measure(self) -> Measure:
        window = timedelta(seconds=self.window_seconds)
        return Measure(self.measure_id, self.unit_code, self.deadband, window, self.silent_windows)


class AssetSignals(_Data):
    """One machine's signals. `device`: Modbus unit number. `counter_modulus`: where counters roll over; 0: nowhere."""

    asset_id: Name
    device: int = Field(1, ge=0, le=255)
    state: Place
    states: Mapping[str, MachineState]
    fault: Place
    runtime_seconds: Place
    cycles: Place
    counter_modulus: int = Field(65536, ge=0)
    measures: tuple[MeasureSignal, ...] = Field((), max_length=50)

    @property
    def places(self) -> list[str]:
        fixed = [self.state, self.fault, self.runtime_seconds, self.cycles]
        return [*fixed, *(measure.place for measure in self.measures)]


class SignalMap(_Data):
    assets: tuple[AssetSignals, ...] = Field(min_length=1, max_length=500)
    counter_seconds: float = Field(300, gt=0, description="How often counters are said while nothing else happens")
    fault_seconds: float = Field(60, gt=0, description="Within this time one fault is said once, then with its count")

    @field_validator("assets")
    @classmethod
    def _each_once(cls, assets: tuple[AssetSignals, ...]) -> tuple[AssetSignals, ...]:
        if len({asset.asset_id for asset in assets}) != len(assets):
            raise ValueError("two assets have one id")
        return assets


def load_signal_map(path: Path) -> SignalMap:
    """The file's map. Raises ValueError, with every problem of it, or OSError."""
    if path.stat().st_size > FILE_BYTES_MOST:
        raise ValueError(f"{path} is larger than {FILE_BYTES_MOST} bytes")
    return SignalMap.model_validate(json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
