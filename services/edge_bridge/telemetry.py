"""Raw readings of machines on their way to the hub: as they are, while there is a link. Never in the way of a fact."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import yaml
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from servicekit.broker import FAULTS, Broker
from services.edge_bridge import machine_wire
from services.edge_bridge.domain.machine import Look

log = structlog.get_logger()
WAITING_MOST = 5_000  # looks that wait; more, and the oldest are dropped
SEND_SECONDS = 0.2
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class TelemetryRules:
    """Limits of the stream, from deploy/nats/streams.yaml."""

    max_bytes: int
    max_age: float
    max_msg_size: int

    @classmethod
    def load(cls, path: Path) -> TelemetryRules:
        data: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["telemetry"]
        return cls(int(data["max_bytes"]), float(data["max_age_hours"]) * HOUR, int(data["max_msg_size"]))

    def config(self, plant_id: str) -> StreamConfig:
        return StreamConfig(
            name=f"telemetry-{plant_id}",
            subjects=[f"telemetry.{plant_id}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_bytes=self.max_bytes,
            max_age=self.max_age,
            max_msg_size=self.max_msg_size,
        )


class Telemetry:
    """Best effort: what can't be sent now is dropped and counted."""

    def __init__(self, broker: Broker, plant_id: str, rules: TelemetryRules) -> None:
        self._broker, self._plant_id, self._rules = broker, plant_id, rules
        self._waiting: deque[Look] = deque()
        self._units: dict[str, str] = {}
        self.sent = self.dropped = 0

    def offer(self, look: Look, units: Mapping[str, str]) -> None:
        """Take a look; it never waits. `units`: unit code by measure."""
        self._units |= units
        if len(self._waiting) >= WAITING_MOST:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(look)

    async def serve(self) -> None:
        """Run until cancelled."""
        is_declared = False
        while True:
            await asyncio.sleep(SEND_SECONDS)
            if not self._broker.is_connected:
                self._drop()
                continue
            try:
                is_declared = is_declared or await self._declare()
                await self._send()
            except FAULTS as fault:
                log.info("telemetry dropped", fault=str(fault) or type(fault).__name__)
                self._drop()

    async def _declare(self) -> bool:
        js = await self._broker.jetstream()
        wanted = self._rules.config(self._plant_id)
        try:
            await js.stream_info(str(wanted.name))
        except NotFoundError:
            await js.add_stream(wanted)
            log.info("stream created", stream=wanted.name)
        return True

    async def _send(self) -> None:
        """Without an answer of the broker: whether all arrived matters to nobody."""
        client = await self._broker.client()
        while self._waiting:
            look = self._waiting[0]
            data = machine_wire.telemetry(self._plant_id, look, self._units).SerializeToString()
            await client.publish(f"telemetry.{self._plant_id}.{look.asset_id}", data)
            self._waiting.popleft()
            self.sent += 1
        await client.flush(timeout=2)

    def _drop(self) -> None:
        self.dropped += len(self._waiting)
        self._waiting.clear()
