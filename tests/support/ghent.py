"""Plant ghent: its bridge as a real process, and quality's facts as they would come over the broker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import nats
from google.protobuf.message import Message

from isthmus.edge.v1 import edge_events_pb2
from isthmus.edge.v1.edge_service_pb2 import GetEdgeStatusRequest
from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceStub
from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from isthmus.quality.v1 import test_specification_pb2 as specification
from isthmus.quality.v1.inspection_pb2 import Inspection
from servicekit.broker import Broker as StreamBroker
from servicekit.broker import StreamRules, is_heartbeat
from servicekit.facts import subject_of, unpack
from tests.support.broker import Broker
from tests.support.ports import free_port
from tests.support.running import ROOT

STREAMS = ROOT / "deploy" / "nats" / "streams.yaml"
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
NOW = datetime.now(UTC).replace(microsecond=0)


def environment(**more: str) -> dict[str, str]:
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "libs", "libs/contracts"))
    return {**os.environ, "PYTHONPATH": roots, **more}


class Process:
    """A module of ours, started, killed and started again."""

    def __init__(self, log: Path, module: str, *arguments: str, **settings: str) -> None:
        self.log, self._module, self._arguments, self._settings = log, module, arguments, settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", self._module, *self._arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=ROOT, env=environment(**self._settings)
            )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Ghent:
    """The bridge of ghent with what it is told of its plant (`settings` without the prefix)."""

    def __init__(self, home: Path, broker: Broker, **settings: str) -> None:
        self.broker, self.port = broker, free_port()
        told = {
            "DATABASE_URL": f"sqlite:///{home / 'edge.db'}",
            "NATS_URL": broker.url,
            "LISTEN": f"127.0.0.1:{self.port}",
            "PLANTS": "ghent",
            "PLANT_ID": "ghent",
            "STREAMS_FILE": str(STREAMS),
            "MES_DRIVER": "rest_mes",
            "MES_ADDRESS": f"http://127.0.0.1:{free_port()}",
            **settings,
        }
        self.bridge = Process(
            home / "bridge.log", "services.edge_bridge", **{f"EDGE_BRIDGE_{key}": value for key, value in told.items()}
        )
        self._said: dict[str, int] = {}

    async def say(self, slot: str, *facts: Message) -> None:
        """Facts of another service, numbered in its slot."""
        kept = StreamBroker(self.broker.url, StreamRules.load(STREAMS), "test")
        try:
            await kept.stream(slot)
            for fact in facts:
                number = self._said[slot] = self._said.get(slot, 0) + 1
                name = fact.DESCRIPTOR.full_name
                envelope = Envelope(
                    event_id=f"{slot}-{number}",
                    plant_id="ghent",
                    order_key="ghent-1",
                    subject_id="ghent-1",
                    producer_slot=slot,
                    producer_epoch=1,
                    producer_sequence=number,
                    traceparent=TRACE,
                )
                envelope.data.Pack(fact)
                await (await kept.jetstream()).publish(subject_of(name, "ghent"), envelope.SerializeToString())
        finally:
            await kept.close()

    async def facts(self, kind: str = "") -> list[tuple[Envelope, Any]]:
        """What the bridge told the hub, of one kind or all."""
        client = await nats.connect(self.broker.url)
        try:
            stream = client.jetstream()
            last = (await stream.stream_info("edge_bridge-ghent")).state.last_seq
            messages = [await stream.get_msg("edge_bridge-ghent", number) for number in range(1, last + 1)]
        except nats.js.errors.NotFoundError:
            return []
        finally:
            await client.close()
        envelopes = [Envelope.FromString(m.data or b"") for m in messages if not is_heartbeat(m.subject or "")]
        found = [(envelope, unpack(envelope.data)) for envelope in envelopes]
        assert all(data.DESCRIPTOR.file.package == edge_events_pb2.DESCRIPTOR.package for _, data in found)
        return [(envelope, data) for envelope, data in found if not kind or data.DESCRIPTOR.name == kind]

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def status(self) -> Any:
        with self._channel() as channel:
            return EdgeServiceStub(channel).GetEdgeStatus(GetEdgeStatusRequest(), timeout=10, wait_for_ready=True)

    def connector(self, connector_id: str) -> Any:
        return next(one for one in self.status().connectors if one.connector_id == connector_id)

    def call_desk(self, method: str, request: Message) -> Any:
        with self._channel() as channel:
            return getattr(LaneServiceStub(channel), method)(request, timeout=10, wait_for_ready=True)


def an_inspection(
    laboratory: Sequence[str] = (), historian: Sequence[str] = (), begin: datetime = NOW, seconds: int = 60
) -> Inspection:
    """An inspection of lot H-1 of order ghent-1, with characteristics of these ids and tags."""
    found = Inspection(
        inspection_id="ghent-1-50-H-1",
        plant_id="ghent",
        work_order_id="ghent-1",
        item_id="RESIN-7",
        lot_id="H-1",
        operation_sequence=50,
    )
    for name in laboratory:
        found.test_specification.characteristics.add(
            characteristic_id=name, evidence_source=specification.EVIDENCE_SOURCE_LABORATORY, unit_code="C24"
        )
    for tag in historian:
        asked = found.test_specification.characteristics.add(
            characteristic_id=f"hold-{len(found.test_specification.characteristics)}",
            evidence_source=specification.EVIDENCE_SOURCE_HISTORIAN,
            unit_code="CEL",
            tag_id=tag,
            statistic=specification.STATISTIC_DWELL,
        )
        asked.lower_limit.value, asked.lower_limit.unit_code = "78", "CEL"
        asked.upper_limit.value, asked.upper_limit.unit_code = "82", "CEL"
        asked.allowed_gap_duration.FromSeconds(10)
    found.batch_start_time.FromDatetime(begin)
    found.checkpoint_time.FromDatetime(begin + timedelta(seconds=seconds))
    return found
