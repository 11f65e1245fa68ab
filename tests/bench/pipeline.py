"""Runs the consumers interleaved, each in a process and with streams and a database of its own, and checks their totals."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.report import Report
from tests.bench import work
from tests.support.broker import Broker
from tests.support.postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
SLOW = ("natspy", "faststream")  # they get a sixth of the facts, for they need ten times as long
GOALS = {  # (database, broker sync): (least of the idealised pipeline, least of FastStream with an outbox)
    ("sqlite", "2m"): (0.7, 30.0),
    ("postgresql", "2m"): (0.7, 20.0),
    ("sqlite", "always"): (3.0, None),
    ("postgresql", "always"): (3.0, None),
}
Say = Callable[[str], None]


def command(who: str, broker: str, database: str, facts: int, home: Path) -> list[str]:
    asked = [broker, database, str(facts)]
    if who in SLOW:
        return [sys.executable, "-m", "tests.bench.peers", who, *asked]
    more = ["--versions", str(home / "versions")] if who == "kit" else []
    return [sys.executable, "-m", f"tests.bench.{who}", *asked, *more]


def once(who: str, broker: Broker, database: str, facts: int, home: Path) -> float:
    """Facts a second of one run over fresh streams."""
    asyncio.run(work.fill(broker.url, facts))
    return run(who, broker, database, facts, home)


def run(who: str, broker: Broker, database: str, facts: int, home: Path) -> float:
    """Facts a second over what waits. Raises RuntimeError when its totals are wrong."""
    asked = command(who, broker.url, database, facts, home)
    done = subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{who}: {done.stderr[-3000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    told = asyncio.run(work.stored(broker.url, said["stream"]))
    if not said["total"] == told == facts:
        raise RuntimeError(f"{who}: {facts} facts, tallies say {said['total']}, the stream holds {told}")
    return float(facts / said["seconds"])


@contextmanager
def databases(kind: str, home: Path) -> Iterator[Callable[[], str]]:
    """A maker of empty databases."""
    if kind == "sqlite":
        numbers = iter(range(10**6))
        yield lambda: f"sqlite:///{home / f'{next(numbers)}.db'}"
        return
    server = Postgres()
    server.start()
    try:
        yield server.fresh
    finally:
        server.stop()


def compare(
    who: Sequence[str], kind: str, sync: str, facts: int, repetitions: int, home: Path, say: Say
) -> dict[str, list[float]]:
    """Rates by consumer, one after another within each repetition."""
    rates: dict[str, list[float]] = {name: [] for name in who}
    broker = Broker(home / "broker", sync_interval=sync)
    broker.start()
    try:
        with databases(kind, home) as fresh:
            for repetition in range(1, repetitions + 1):
                for name in who:
                    count = facts // 6 if name in SLOW else facts
                    rates[name].append(once(name, broker, fresh(), count, home))
                    say(f"{kind}, broker sync {sync}, run {repetition}: {name} {rates[name][-1]:,.0f} facts/s")
    finally:
        broker.kill()
    return rates


def measure(kind: str, sync: str, facts: int, repetitions: int, home: Path, report: Report, say: Say) -> None:
    least_ideal, least_framework = GOALS[kind, sync]
    who = ["ideal", "kit", *(SLOW if least_framework else [])]
    rates = compare(who, kind, sync, facts, repetitions, home, say)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    place = f"{kind}, broker sync {sync}"
    report.figures[f"{place}, {facts} facts, facts/s"] = {name: round(median) for name, median in medians.items()}
    ratio = round(medians["kit"] / medians["ideal"], 2)
    report.at_least(f"{place}: of the idealised pipeline with pipelined publish", ratio, least_ideal)
    if least_framework:
        times = round(medians["kit"] / medians["faststream"], 1)
        report.at_least(f"{place}: times FastStream with an outbox", times, least_framework)
