"""`make bench`: what the suite does of what the machine allows, and of what others do. Ratios of one run; medians.

Parts, chosen by PARTS=a,b (about ten minutes without it: reader,rpc):
  reader    the kit's reader path, FastStream and plain nats-py against an idealised pipeline; 7 minutes
  rpc       confirmations one a call and 100 a message against a bare echo; 3 minutes
  latency   stream to stream at 100/s and 1,000/s; 3 minutes
  handler   inventory's own handler as `make up` starts it; 2 minutes
  growth    documents with a million known keys, following and scattered; 2 minutes
  control   questions to operations with 200,000 orders in its store, and the facts a second that it hears; 10 minutes
  memory    resident memory over a million facts; 6 minutes
  replicas  one, two and four replicas of production and inventory on PostgreSQL; 4 minutes
  edge      an OPC UA line's changes to facts on record, and the drain of an outage; 3 minutes
Writes var/bench/report.json. Exit code 1 when a goal is not met, so that nobody takes a slow day for a good one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.local.report import Report
from tests.bench import control_room, edge, growth, handler, latency, pipeline, replicas, rpc

Say = Callable[[str], None]
Measure = Callable[..., None]
ON_BOTH: dict[str, Measure] = {
    "rpc": rpc.measure,
    "latency": latency.measure,
    "handler": handler.measure,
    "growth": growth.measure,
    "control": control_room.measure,
}
ONCE: dict[str, Measure] = {"memory": growth.memory, "edge": edge.measure, "replicas": replicas.measure}
PARTS = ("reader", *ON_BOTH, *ONCE)
DEFAULT = "reader,rpc"


def steps(asked: Any) -> list[tuple[str, Callable[[Path, Report, Say], None]]]:
    """What to measure, in order, each by its name."""
    found: list[tuple[str, Callable[[Path, Report, Say], None]]] = []
    kinds = ("sqlite", "postgresql")
    for part in asked.parts.split(","):
        if part == "reader":
            for kind, sync in pipeline.GOALS:
                run = partial(pipeline.measure, kind, sync, asked.facts, asked.repetitions)
                found.append((f"reader, {kind}, broker sync {sync}", run))
        elif part in ON_BOTH:
            found += [(f"{part}, {kind}", partial(ON_BOTH[part], kind, asked.repetitions)) for kind in kinds]
        else:
            found.append((part, ONCE[part]))
    return [(name, run) for name, run in found if asked.only in name]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=DEFAULT, help=f"of {','.join(PARTS)}; {DEFAULT} when not given")
    parser.add_argument("--facts", type=int, default=12000, help="of a run of the reader part")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", default="", help="steps whose name holds this, e.g. postgresql")
    asked = parser.parse_args()
    if unknown := set(asked.parts.split(",")) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    console, report = Console(stderr=True), Report()
    for name, run in steps(asked):
        console.print(f"[bold]{name}[/]")
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), report, console.print)
        report.write(pipeline.ROOT / "var" / "bench" / "report.json")  # of what is done, should the rest be cut off
    report.figures["repetitions"] = asked.repetitions
    report.write(pipeline.ROOT / "var" / "bench" / "report.json")
    report.print(console)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
