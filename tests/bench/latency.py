"""How long a fact takes from one stream to the next at an offered rate: the kit's reader path and the idealised pipeline."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.aio.msg import Msg

from deploy.local.report import Report
from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from tests.bench import work
from tests.bench.pipeline import ROOT, command, databases
from tests.support.broker import Broker
from tests.support.eventually import eventually

RATES = (100, 1000)  # facts a second
SECONDS = 5
MOST_TIMES = 2.0  # the idealised pipeline's p99
SUBJECT_OUT = {"ideal": "out.a", "kit": "isthmus.aachen.inventory.v1.output.stored"}
Say = Callable[[str], None]


@dataclass
class Watch:
    """When each fact was published and when what follows from it arrived."""

    facts: int
    begun: dict[int, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def arrived(self, message: Msg) -> None:
        now = time.perf_counter()
        said = OutputStored.FromString(Envelope.FromString(message.data).data.value)
        self.took.append((now - self.begun[int(said.lot_id.removeprefix("P-"))]) * 1000)
        if len(self.took) == self.facts:
            self.done.set()


async def offer(url: str, who: str, child: subprocess.Popen[str], rate: int) -> list[float]:
    """Milliseconds of each fact; they are published at their times, whatever becomes of those before them."""
    client = await nats.connect(url)
    watch = Watch(rate * SECONDS)
    await client.subscribe(SUBJECT_OUT[who], cb=watch.arrived)

    async def is_reading() -> bool:
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        return bool((await client.jetstream().stream_info(work.SLOT_IN)).state.consumer_count)

    await eventually(is_reading, within=60)
    payloads = [work.a_fact(number).SerializeToString() for number in range(1, watch.facts + 1)]
    start = time.perf_counter() + 0.5
    for number, payload in enumerate(payloads, start=1):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        watch.begun[number] = time.perf_counter()
        await client.publish(work.SUBJECT_IN, payload)
    async with asyncio.timeout(60):
        await watch.done.wait()
    await client.close()
    return watch.took


def once(who: str, broker: Broker, database: str, rate: int, home: Path) -> list[float]:
    asyncio.run(work.fill(broker.url, 0))
    asked = command(who, broker.url, database, rate * SECONDS, home)
    child = subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        took = asyncio.run(offer(broker.url, who, child, rate))
        said, wrong = child.communicate(timeout=60)
    finally:
        child.kill()
    if child.returncode or json.loads(said.splitlines()[-1])["total"] != rate * SECONDS:
        raise RuntimeError(f"{who}: {said} {wrong[-3000:]}")
    return took


def cut(took: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


def measure(kind: str, repetitions: int, home: Path, report: Report, say: Say) -> None:
    broker = Broker(home / "broker", sync_interval="2m")
    broker.start()
    try:
        with databases(kind, home) as fresh:
            for rate in RATES:
                found: dict[str, list[dict[str, float]]] = {"ideal": [], "kit": []}
                for repetition in range(1, repetitions + 1):
                    for who, runs in found.items():
                        runs.append(cut(once(who, broker, fresh(), rate, home)))
                        say(f"{kind}, {rate}/s, run {repetition}: {who} p99 {runs[-1]['p99_ms']:.1f} ms")
                tell(kind, rate, found, report)
    finally:
        broker.kill()


def tell(kind: str, rate: int, found: dict[str, list[dict[str, float]]], report: Report) -> None:
    middle = {
        who: {name: round(statistics.median(run[name] for run in runs), 1) for name in ("p50_ms", "p99_ms")}
        for who, runs in found.items()
    }
    report.figures[f"{kind}, stream to stream at {rate}/s"] = middle
    times = round(middle["kit"]["p99_ms"] / middle["ideal"]["p99_ms"], 2)
    report.at_most(f"{kind}: p99 at {rate}/s, times the idealised pipeline's", times, MOST_TIMES)
