"""The bridge in a plant: an OPC UA line's changes until they are facts on the plant's disk, and at the hub; an outage drained.

A change counts as taken when a fact that covers it can be read from the bridge's database. The line keeps a journal of its
counters, so nothing is dropped unseen: each counter's facts must join without a gap up to its last value.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.aio.msg import Msg

from deploy.local.report import Report
from isthmus.edge.v1.edge_events_pb2 import ProductionEventRecorded
from isthmus.events.v1.envelope_pb2 import Envelope
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import ROOT

STATIONS, CHANGES = 200, 4000  # five variables of each change: 1,000 variables, so many changes a second
STEADY_SECONDS, OUTAGE_SECONDS = 15.0, 8.0
MOST_MS = 100.0
SLOT = "edge_bridge-aachen"
Say = Callable[[str], None]


@dataclass
class Bridge:
    home: Path
    broker: Broker
    line: subprocess.Popen[bytes]
    service: subprocess.Popen[bytes]

    @property
    def database(self) -> Path:
        return self.home / "edge.db"


@contextmanager
def plant(home: Path) -> Iterator[Bridge]:
    """A line and its bridge, each a process; the broker is the hub's."""
    broker, port, listen = Broker(home / "broker"), free_port(), free_port()
    broker.start()
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "libs", "libs/contracts"))
    settings = {
        "DATABASE_URL": f"sqlite:///{home / 'edge.db'}",
        "NATS_URL": broker.url,
        "LISTEN": f"127.0.0.1:{listen}",
        "PLANTS": "aachen",
        "PLANT_ID": "aachen",
        "STREAMS_FILE": str(ROOT / "deploy" / "nats" / "streams.yaml"),
        "MES_DRIVER": "rest_mes",
        "MES_ADDRESS": f"http://127.0.0.1:{free_port()}",
        "LINE_URL": f"opc.tcp://127.0.0.1:{port}",
        "LINE_TAG_MAP": "cells",
        "LINE_STATIONS": str(STATIONS),
    }
    environment = {
        **os.environ,
        "PYTHONPATH": roots,
        **{f"EDGE_BRIDGE_{key}": value for key, value in settings.items()},
    }
    line = [sys.executable, "-m", "simulators.opcua_line", "--port", str(port), "--state", str(home / "line")]
    line += ["--layout", "cells", "--stations", str(STATIONS), "--changes", str(CHANGES)]
    log = (home / "log").open("ab")
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        for command in (line, [sys.executable, "-m", "services.edge_bridge"])
    ]
    try:
        yield Bridge(home, broker, processes[0], processes[1])
    finally:
        for process in processes:
            process.kill()
            process.wait()
        broker.kill()


@dataclass
class Seen:
    """When the bridge's facts were on record, by sequence, and at the hub."""

    sequences: list[int] = field(default_factory=list)
    recorded_ns: list[int] = field(default_factory=list)
    arrived_ns: dict[int, int] = field(default_factory=dict)
    is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self, database: Path) -> None:
        """Look at the database as a reader beside it does, every two milliseconds."""
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5) as connection:
            while not self.is_over.wait(0.002):
                (last,) = connection.execute("SELECT MAX(sequence) FROM outbox WHERE slot = ?", (SLOT,)).fetchone()
                if last and (not self.sequences or last > self.sequences[-1]):
                    self.sequences.append(last)
                    self.recorded_ns.append(time.time_ns())

    async def arrive(self, message: Msg) -> None:
        now = time.time_ns()
        if not message.subject.endswith("heartbeat"):
            self.arrived_ns.setdefault(Envelope.FromString(message.data).producer_sequence, now)

    def recorded(self, sequence: int) -> int:
        return self.recorded_ns[bisect_left(self.sequences, sequence)]


def last_sequence(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5) as connection:
        return int(connection.execute("SELECT COALESCE(MAX(sequence), 0) FROM outbox").fetchone()[0])


async def told(broker: Broker) -> int:
    """The last fact that the stream holds."""
    client = await nats.connect(broker.url)
    try:
        info = await client.jetstream().stream_info(SLOT)
        for sequence in range(info.state.last_seq, max(0, info.state.last_seq - 3), -1):
            message = await client.jetstream().get_msg(SLOT, sequence)
            if not (message.subject or "").endswith("heartbeat"):
                return Envelope.FromString(message.data or b"").producer_sequence
        return 0
    finally:
        await client.close()


async def story(bridge: Bridge, seen: Seen, say: Say) -> tuple[int, int, float]:
    """Steady work, an outage, the drain. Returns when the steady time began and ended, and facts drained a second."""

    def is_recording() -> bool:
        assert bridge.service.poll() is None, (bridge.home / "log").read_text()[-2000:]
        return '"ready"' in (bridge.home / "log").read_text() and last_sequence(bridge.database) > STATIONS

    await eventually(is_recording, within=90)
    watching = asyncio.create_task(asyncio.to_thread(seen.watch, bridge.database))
    client = await nats.connect(bridge.broker.url)
    await client.subscribe("isthmus.aachen.edge.>", cb=seen.arrive)
    begun = time.time_ns()
    await asyncio.sleep(STEADY_SECONDS)
    ended = time.time_ns()
    await client.close()
    bridge.broker.kill()
    say(f"steady for {STEADY_SECONDS:.0f} s; now the hub is away for {OUTAGE_SECONDS:.0f} s")
    await asyncio.sleep(OUTAGE_SECONDS)
    bridge.line.kill()
    before, waits = len(seen.arrived_ns), last_sequence(bridge.database)
    held = max(seen.arrived_ns, default=0)
    bridge.broker.start()
    back = time.monotonic()

    async def is_drained() -> bool:
        return await told(bridge.broker) >= last_sequence(bridge.database)

    await eventually(is_drained, within=120)
    rate = (waits - held) / (time.monotonic() - back)
    say(f"{before} facts arrived; {waits - held} waited")
    seen.is_over.set()
    await watching
    return begun, ended, rate


def facts_of(database: Path) -> list[tuple[int, ProductionEventRecorded]]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT sequence, envelope FROM outbox ORDER BY sequence").fetchall()
    return [(row[0], ProductionEventRecorded.FromString(Envelope.FromString(row[1]).data.value)) for row in rows]


def joined(facts: Sequence[tuple[int, ProductionEventRecorded]]) -> dict[str, list[tuple[int, int]]]:
    """By station (good value, sequence), in order. Raises RuntimeError at a gap between two facts of a counter."""
    chains: dict[str, list[tuple[int, int]]] = {}
    last: dict[str, tuple[int, int]] = {}
    for sequence, fact in facts:
        came = (fact.good_count_from, fact.scrap_count_from)
        if last.get(fact.station_id, came) != came:
            raise RuntimeError(f"{fact.station_id}: counters {last[fact.station_id]}, then from {came}")
        last[fact.station_id] = (fact.good_count_to, fact.scrap_count_to)
        chains.setdefault(fact.station_id, []).append((fact.good_count_to, sequence))
    return chains


def journal_of(home: Path) -> list[tuple[int, str, int]]:
    """(time, station, good value) of each good piece that the line counted."""
    lines = (home / "line" / "changes.csv").read_text().splitlines()
    parts = [line.split(",") for line in lines if line.count(",") == 4]
    return [(int(p[0]), p[1].removeprefix("PLC."), int(p[3])) for p in parts if p[2] == "good"]


def measure(home: Path, report: Report, say: Say) -> None:
    seen = Seen()
    with plant(home) as bridge:
        begun, ended, drained = asyncio.run(story(bridge, seen, say))
    facts = facts_of(home / "edge.db")
    chains, journal = joined(facts), journal_of(home)
    on_record, at_hub = [], []
    for at, station, good in journal:
        chain = chains[station]
        place = bisect_left(chain, (good, 0))
        if place == len(chain):  # the line was killed before the bridge heard of its last pieces
            if at < ended:
                raise RuntimeError(f"{station}: no fact covers piece {good} of the steady time")
            continue
        sequence = chain[place][1]
        if begun <= at < ended:
            on_record.append((seen.recorded(sequence) - at) / 1e6)
            at_hub += [(seen.arrived_ns[sequence] - at) / 1e6] if sequence in seen.arrived_ns else []
    offered = len([at for at, _, _ in journal if begun <= at < ended]) * 5 / STEADY_SECONDS
    tell(report, offered, on_record, at_hub, drained, len(facts))


def tell(
    report: Report, offered: float, on_record: list[float], at_hub: list[float], drained: float, facts: int
) -> None:
    record, hub = (statistics.quantiles(took, n=100, method="inclusive") for took in (on_record, at_hub))
    report.figures["edge: changes offered a second, facts they became in all"] = [round(offered), facts]
    report.figures["edge: change to fact on the plant's disk, ms"] = {
        "p50": round(record[49], 1),
        "p99": round(record[98], 1),
    }
    report.figures["edge: change to fact at the hub, ms"] = {"p50": round(hub[49], 1), "p99": round(hub[98], 1)}
    report.figures["edge: facts a second drained after an outage"] = round(drained)
    report.at_least("edge: OPC UA changes a second that the line made", round(offered), round(CHANGES * 0.95))
    report.at_most("edge: p99 ms from a change to its fact on the plant's disk", round(record[98], 1), MOST_MS)
