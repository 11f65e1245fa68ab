"""A reactor's temperature and state over the phases of a batch, and the collector that writes them to an InfluxDB."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import httpx

TAGS = ("RX-01.temperature", "RX-01.state")
CURVES = {  # by phase: temperature at its begin and end, in degrees Celsius
    "Charge": (25.0, 25.0),
    "Heat": (25.0, 80.0),
    "Hold": (80.0, 80.4),
    "Cool": (80.0, 40.0),
    "Discharge": (40.0, 38.0),
}
IDLE, RUNNING = 0, 1
GOOD = 192  # OPC quality
EVERY_SECONDS = 0.1
KEPT_MOST = 100_000  # readings that wait for a historian that is away; the oldest go first


class Reactor:
    """`is_silent`: the temperature's sensor gives nothing."""

    def __init__(self, historian: str, phase_seconds: float) -> None:
        self._seconds, self._historian = phase_seconds, historian
        self.temperature, self._state, self.is_silent = 25.0, IDLE, False
        self._lines: deque[str] = deque(maxlen=KEPT_MOST)

    async def run(self, phase: str) -> None:
        """One phase, along its curve."""
        begin, end = CURVES.get(phase, (self.temperature, self.temperature))
        started = time.monotonic()
        self._state = RUNNING
        while (part := (time.monotonic() - started) / self._seconds) < 1:
            self.temperature = begin + (end - begin) * part
            await asyncio.sleep(EVERY_SECONDS / 2)
        self.temperature, self._state = end, IDLE

    async def report(self) -> None:
        """Read the sensors ten times a second, and write what was read once the historian takes it."""
        async with httpx.AsyncClient(base_url=self._historian, timeout=5) as http:
            is_made = False
            while True:
                self._read()
                try:
                    if not is_made:
                        (await http.post("/query", params={"q": "CREATE DATABASE plant"})).raise_for_status()
                        is_made = True
                    await self._write(http)
                except httpx.HTTPError:  # it is away: what was read is kept
                    pass
                await asyncio.sleep(EVERY_SECONDS)

    def _read(self) -> None:
        now = time.time_ns() // 1000
        values = [f"{self.temperature:.3f}", f"{self._state}"]
        readings = list(zip(TAGS, values, strict=True))[1 if self.is_silent else 0 :]
        self._lines.extend(f"readings,tag={tag} value={value},quality={GOOD}i {now}" for tag, value in readings)

    async def _write(self, http: httpx.AsyncClient) -> None:
        lines = list(self._lines)
        how = {"db": "plant", "precision": "u"}
        (await http.post("/write", params=how, content="\n".join(lines).encode())).raise_for_status()
        for _ in lines:
            self._lines.popleft()
