"""What a call costs: confirmations one a call and 100 a message, against a bare echo of the same message."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local.report import Report
from tests.bench.caller import A_MESSAGE, IN_FLIGHT
from tests.bench.orders import booked, echo, production
from tests.bench.pipeline import ROOT, databases

LEAST_OF_ECHO = {"sqlite": 0.6}  # unary with shared commits; PostgreSQL is told
LEAST_OF_UNARY = {"sqlite": 15.0}  # documents a second, 100 a message
CALLS, DOCUMENTS = 3000, 15000
Say = Callable[[str], None]


def once(how: str, address: str, first: int, many: int) -> dict[str, float]:
    """One run of the caller: documents a second and milliseconds a call."""
    command = [sys.executable, "-m", "tests.bench.caller", how, address, str(first), str(many)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{how}: {done.stderr[-3000:]}")
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**said, "rate": many / said["seconds"]}


def compare(kind: str, repetitions: int, home: Path, say: Say) -> dict[str, list[dict[str, float]]]:
    """Figures by way of calling, one after another within each repetition; totals are checked after each."""
    found: dict[str, list[dict[str, float]]] = {"echo": [], "unary": [], "stream": []}
    with databases(kind, home) as fresh, production(home, fresh) as hub, echo() as bare:
        sent = 0
        for repetition in range(1, repetitions + 1):
            for how, runs in found.items():
                many = DOCUMENTS if how == "stream" else CALLS
                address = bare if how == "echo" else hub.address("production")
                runs.append(once("stream" if how == "stream" else "unary", address, sent, many))
                sent += many if how != "echo" else 0
                if booked(hub.urls["production"]) != (sent, sent, sent):
                    raise RuntimeError(f"{how}: {sent} sent, booked {booked(hub.urls['production'])}")
                say(f"{kind}, run {repetition}: {how} {runs[-1]['rate']:,.0f} confirmations/s")
    return found


def measure(kind: str, repetitions: int, home: Path, report: Report, say: Say) -> None:
    found = compare(kind, repetitions, home, say)
    rate = {how: statistics.median(run["rate"] for run in runs) for how, runs in found.items()}
    report.figures[f"{kind}, calls, {IN_FLIGHT} in flight, {A_MESSAGE} a message"] = {
        how: {name: round(statistics.median(run[name] for run in runs), 1) for name in ("rate", "p50_ms", "p99_ms")}
        for how, runs in found.items()
    }
    of_echo, of_unary = round(rate["unary"] / rate["echo"], 2), round(rate["stream"] / rate["unary"], 1)
    for name, value, goals in (
        ("a call that commits, of a bare echo", of_echo, LEAST_OF_ECHO),
        (f"times as many documents by {A_MESSAGE} a message as by calls", of_unary, LEAST_OF_UNARY),
    ):
        if kind in goals:
            report.at_least(f"{kind}: {name}", value, goals[kind])
        else:
            report.figures[f"{kind}: {name}"] = value
