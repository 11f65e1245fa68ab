"""`make bench`: what the kit does of what the machine allows, and of what others do. Ratios of one run; medians.

Writes var/bench/report.json. Exit code 1 when a goal is not met, so that nobody takes a slow day for a good one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from deploy.local.report import Report
from tests.bench.pipeline import ROOT, compare

GOALS = {  # (database, broker sync): (least of the idealised pipeline, least of FastStream with an outbox)
    ("sqlite", "2m"): (0.7, 30.0),
    ("postgresql", "2m"): (0.7, 20.0),
    ("sqlite", "always"): (3.0, None),
    ("postgresql", "always"): (3.0, None),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--facts", type=int, default=12000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", default="", help="one pair of database and broker sync, e.g. sqlite/always")
    asked = parser.parse_args()
    console, report = Console(stderr=True), Report()
    for (kind, sync), (least_ideal, least_framework) in GOALS.items():
        if asked.only in ("", f"{kind}/{sync}"):
            who = ["ideal", "kit", *(["natspy", "faststream"] if least_framework else [])]
            with tempfile.TemporaryDirectory() as folder:
                rates = compare(who, kind, sync, asked.facts, asked.repetitions, Path(folder), console.print)
            medians = {name: statistics.median(found) for name, found in rates.items()}
            report.figures[f"{kind}, sync {sync}"] = {name: round(median) for name, median in medians.items()}
            place = f"{kind}, broker sync {sync}"
            ratio = medians["kit"] / medians["ideal"]
            report.at_least(f"{place}: of the idealised pipeline with pipelined publish", round(ratio, 2), least_ideal)
            if least_framework:
                times = round(medians["kit"] / medians["faststream"], 1)
                report.at_least(f"{place}: times FastStream with an outbox", times, least_framework)
    report.figures["repetitions"], report.figures["facts"] = asked.repetitions, asked.facts
    report.write(ROOT / "var" / "bench" / "report.json")
    report.print(console)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
