"""Machines by Modbus and OPC UA, read by a real bridge from real servers, through kills, roll-overs and wrong clocks."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import nats
import pytest

from isthmus.edge.v1 import edge_events_pb2 as edge
from isthmus.edge.v1.edge_service_pb2 import GetEdgeStatusRequest
from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceStub
from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.maintenance.v1 import asset_pb2
from services.edge_bridge.signal_map import load_signal_map
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.connected
ROOT = Path(__file__).resolve().parents[2]
PLACES = {
    "modbus": ["0", "1", "2", "3", "4", "5"],
    "opc_ua": [f"ns=2;s=Machine.{n}" for n in ("state", "fault", "runtime", "cycles", "vibration", "temperature")],
}


def a_map(driver: str) -> dict[str, Any]:
    state, fault, runtime, cycles, vibration, temperature = PLACES[driver]
    scale = "0.01" if driver == "modbus" else "1"
    filters = {"deadband": "0.5", "window_seconds": 0.3, "silent_windows": 1000, "scale": scale, "bad": 32768}
    return {
        "counter_seconds": 0.3,
        "fault_seconds": 1,
        "assets": [
            {
                "asset_id": "PRESS-1",
                "state": state,
                "states": {"0": "idle", "1": "running", "2": "down"},
                "fault": fault,
                "runtime_seconds": runtime,
                "cycles": cycles,
                "measures": [
                    {"measure_id": "vibration", "place": vibration, "unit_code": "C16", **filters},
                    {"measure_id": "temperature", "place": temperature, "unit_code": "CEL", **filters},
                ],
            }
        ],
    }


@dataclass
class Plant:
    """A machine, its bridge and the plant's side of the broker, each a process."""

    home: Path
    driver: str
    broker: Broker
    ports: dict[str, int] = field(
        default_factory=lambda: {n: free_port() for n in ("machine", "control", "bridge", "mes")}
    )
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        log = (self.home / f"{name}.log").open("ab")
        roots = os.pathsep.join(str(ROOT / part) for part in (".", "libs", "libs/contracts"))
        environment = {**os.environ, "PYTHONPATH": roots, **(self._settings() if name == "bridge" else {})}
        command = [sys.executable, "-m", "services.edge_bridge"]
        if name == "machine":
            protocol = "modbus" if self.driver == "modbus" else "opcua"
            command = [
                sys.executable,
                "-m",
                "simulators.machine",
                "--port",
                str(self.ports["machine"]),
                "--speed",
                "100",
            ]
            command += [
                "--control",
                str(self.ports["control"]),
                "--state",
                str(self.home / "press"),
                "--protocol",
                protocol,
            ]
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)

    def _settings(self) -> dict[str, str]:
        (self.home / "signals.json").write_text(json.dumps(a_map(self.driver)))
        scheme = "" if self.driver == "modbus" else "opc.tcp://"
        said = {
            "PLANT_ID": "aachen",
            "PLANTS": "aachen",
            "DATABASE_URL": f"sqlite:///{self.home / 'bridge.db'}",
            "NATS_URL": self.broker.url,
            "LISTEN": f"127.0.0.1:{self.ports['bridge']}",
            "STREAMS_FILE": str(ROOT / "deploy" / "nats" / "streams.yaml"),
            "MES_DRIVER": "rest_mes",
            "MES_ADDRESS": f"http://127.0.0.1:{self.ports['mes']}",
            "SIGNAL_DRIVER": self.driver,
            "SIGNAL_ADDRESS": f"{scheme}127.0.0.1:{self.ports['machine']}",
            "SIGNAL_MAP_FILE": str(self.home / "signals.json"),
            "SIGNAL_POLL_SECONDS": "0.05",
        }
        return {f"EDGE_BRIDGE_{name}": value for name, value in said.items()}

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    async def happens(self, **said: Any) -> None:
        async with httpx.AsyncClient() as client:

            async def is_told() -> bool:
                try:
                    answer = await client.post(f"http://127.0.0.1:{self.ports['control']}/control", json=said)
                except httpx.HTTPError:
                    return False
                return answer.is_success

            await eventually(is_told)

    async def said(self, kind: type[Any]) -> list[Any]:
        """All facts of a kind that the hub's broker holds, in order."""
        client = await nats.connect(self.broker.url)
        try:
            stream = client.jetstream()
            last = (await stream.stream_info("edge_bridge-aachen")).state.last_seq
            found = []
            for sequence in range(1, last + 1):
                message = await stream.get_msg("edge_bridge-aachen", sequence)
                envelope = Envelope.FromString(message.data or b"")
                content = kind()
                if envelope.data.Unpack(content):
                    assert envelope.order_key == "asset:PRESS-1"
                    found.append(content)
            return found
        except nats.js.errors.NotFoundError:
            return []
        finally:
            await client.close()


@pytest.fixture(params=["modbus", "opc_ua"])
async def plant(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Plant]:
    broker = Broker(tmp_path / "broker")
    await asyncio.to_thread(broker.start)
    made = Plant(tmp_path, request.param, broker)
    made.start("machine")
    made.start("bridge")
    yield made
    for name in made.processes:
        made.kill(name)
    broker.kill()


async def states(plant: Plant) -> list[tuple[int, int]]:
    return [(one.state, one.fault_code) for one in await plant.said(edge.MachineStateReported)]


async def counted(plant: Plant) -> tuple[int, bool]:
    """The runtime that all advances make, and that each goes on where the one before ended."""
    told = await plant.said(edge.MachineCountersAdvanced)
    is_whole = all(
        now.runtime_seconds_from == (before.runtime_seconds_to if now.counter_epoch == before.counter_epoch else 0)
        for before, now in itertools.pairwise(told)
    )
    return sum(one.runtime_seconds_to - one.runtime_seconds_from for one in told), is_whole


IDLE, RUNNING, DOWN = (asset_pb2.MACHINE_STATE_IDLE, asset_pb2.MACHINE_STATE_RUNNING, asset_pb2.MACHINE_STATE_DOWN)


async def test_states_and_counters_are_said_once_through_a_kill_of_the_bridge_and_a_roll_over(plant: Plant) -> None:
    await plant.happens(state="idle", runtime=65_000)
    await eventually(lambda: _is(states(plant), [(IDLE, 0)]), within=60)
    await plant.happens(state="running")
    await eventually(lambda: _is(states(plant), [(IDLE, 0), (RUNNING, 0)]), within=30)
    plant.kill("bridge")
    await plant.happens(state="down", fault=17)
    plant.start("bridge")
    await eventually(lambda: _is(states(plant), [(IDLE, 0), (RUNNING, 0), (DOWN, 17)]), within=60)
    await plant.happens(state="running", fault=0)

    async def rolled_over() -> bool:
        return any(one.counter_epoch for one in await plant.said(edge.MachineCountersAdvanced))

    await eventually(rolled_over, within=60)
    await plant.happens(state="idle")
    await eventually(lambda: _is(_last_state(plant), (IDLE, 0)), within=30)
    told = await plant.said(edge.MachineCountersAdvanced)
    total, is_whole = await counted(plant)
    assert is_whole
    assert total == 65_536 - 65_000 + told[-1].runtime_seconds_to
    (first, *_) = await plant.said(edge.FaultsReported)
    assert (first.fault_code, first.fault_count) == (17, 1)


async def _is(work: Any, wanted: Any) -> bool:
    return bool(await work == wanted)


async def _last_state(plant: Plant) -> tuple[int, int]:
    return (await states(plant))[-1]


async def test_calm_measurements_are_not_said_and_bad_ones_are_in_no_figure(plant: Plant) -> None:
    def vibrations(told: list[Any]) -> list[str]:
        return [one.maximum.value for one in told if one.measure_id == "vibration"]

    async def are(wanted: list[str]) -> bool:
        return vibrations(await plant.said(edge.MeasurementSummarised)) == wanted

    await plant.happens(vibration="4.2")
    await eventually(lambda: are(["4.2"]), within=60)
    await plant.happens(vibration="4.4")
    await plant.happens(vibration="7.5")
    await eventually(lambda: are(["4.2", "7.5"]), within=30)
    await plant.happens(bad=["vibration"], temperature="90")

    async def is_hot() -> bool:
        told = [one for one in await plant.said(edge.MeasurementSummarised) if one.measure_id == "temperature"]
        return bool(told) and told[-1].maximum.value == "90"

    await eventually(is_hot, within=30)
    assert await are(["4.2", "7.5"])


async def test_a_clock_in_1970_is_replaced_by_ours(plant: Plant) -> None:
    await plant.happens(clock="1970", state="running")
    await eventually(lambda: _is(_last_state_or_none(plant), (RUNNING, 0)), within=60)
    last = (await plant.said(edge.MachineStateReported))[-1]
    assert abs(last.source_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=2)


async def _last_state_or_none(plant: Plant) -> tuple[int, int] | None:
    return next(iter(reversed(await states(plant))), None)


async def test_a_device_that_was_away_is_read_again(plant: Plant) -> None:
    async def connector() -> Any:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{plant.ports['bridge']}") as channel:
            status = await EdgeServiceStub(channel).GetEdgeStatus(GetEdgeStatusRequest(), timeout=5)
            return next(one for one in status.connectors if one.connector_id == "machines-aachen")

    async def is_away() -> bool:
        return not (await connector()).is_connected

    await plant.happens(state="running")
    await eventually(lambda: _is(_last_state_or_none(plant), (RUNNING, 0)), within=60)
    plant.kill("machine")
    await eventually(is_away, within=30)
    assert (await connector()).last_error
    plant.start("machine")
    await plant.happens(state="down", fault=5)
    await eventually(lambda: _is(_last_state_or_none(plant), (DOWN, 5)), within=60)


async def test_raw_readings_reach_a_stream_of_their_own_and_are_dropped_while_the_link_is_cut(plant: Plant) -> None:
    async def stream() -> Any:
        client = await nats.connect(plant.broker.url)
        try:
            return await client.jetstream().stream_info("telemetry-aachen")
        except nats.js.errors.NotFoundError:
            return None
        finally:
            await client.close()

    async def counts() -> tuple[int, int]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{plant.ports['bridge']}") as channel:
            status = await EdgeServiceStub(channel).GetEdgeStatus(GetEdgeStatusRequest(), timeout=5)
            return status.telemetry_sent_count, status.telemetry_dropped_count

    async def has(many: int) -> bool:
        info = await stream()
        return info is not None and info.state.messages >= many

    async def drops() -> bool:
        return (await counts())[1] > 0

    await plant.happens(state="running")
    await eventually(lambda: has(20), within=60)
    info = await stream()
    assert (info.config.discard, info.config.max_age, info.config.max_bytes) == ("old", 86400, 268435456)
    await asyncio.to_thread(plant.broker.kill)
    await eventually(drops, within=30)
    sent, _ = await counts()
    await asyncio.to_thread(plant.broker.start)

    async def goes_on() -> bool:
        return (await counts())[0] > sent

    await eventually(goes_on, within=60)


def test_a_map_that_cannot_be_used_says_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "signals.json"
    wrong = a_map("modbus")
    wrong["assets"][0]["measures"][0]["unit_code"] = "XYZ"
    wrong["assets"][0]["states"]["3"] = "burning"
    path.write_text(json.dumps(wrong))
    with pytest.raises(ValueError, match="XYZ is no unit code") as refusal:
        load_signal_map(path)
    assert "states.3" in str(refusal.value)  # every problem, not the first
    path.write_text(json.dumps(a_map("modbus")))
    assert load_signal_map(path).assets[0].asset_id == "PRESS-1"
