"""A private, real InfluxDB with a plant's readings."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from deploy.local.influx import Influx
from tests.support.ports import free_port

DATABASE = "plant"


def started(home: Path) -> Influx:
    """Skips the test where ALLOW_SKIP names influxdb."""
    if "influxdb" in os.environ.get("ALLOW_SKIP", "").split(","):
        pytest.skip("left out by ALLOW_SKIP=influxdb")
    server = Influx(home, free_port(), free_port())
    server.start()
    httpx.post(f"{server.url}/query", params={"q": f"CREATE DATABASE {DATABASE}"}).raise_for_status()
    return server


def write(server: Influx, tag: str, readings: Iterable[tuple[datetime, str, int]]) -> None:
    """Readings as (time, value, quality); an empty value is none at all."""
    name = tag.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
    lines = [
        f"readings,tag={name} {f'value={value},' if value else ''}quality={quality}i {round(time.timestamp() * 1_000_000)}"
        for time, value, quality in readings
    ]
    how = {"db": DATABASE, "precision": "u"}
    httpx.post(f"{server.url}/write", params=how, content="\n".join(lines).encode()).raise_for_status()
