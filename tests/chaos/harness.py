"""One run: the system up, load on it, faults in it, quiet, and then the books are compared."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.processes import DidNotStart, sweep, write_json
from tests.chaos import books, checker
from tests.chaos.checker import Verdict
from tests.chaos.desk import Desk
from tests.chaos.plants import PLANTS, story
from tests.chaos.shift import LoadProcess, Stuck, open_shift
from tests.chaos.topology import OURS, Crew, Place, prepare

CALM_SECONDS = 2.0  # for which nothing must be under way
DRAIN_SECONDS = 300.0


@dataclass
class Plan:
    """What a run is asked for."""

    seed: int
    rate: float = 220.0
    finish_seconds: float = 30.0
    drain_seconds: float = DRAIN_SECONDS
    slips: str = ""  # mistakes of people that the load makes, and the support desk puts right
    slip_seconds: float = 15.0


@dataclass
class Outcome:
    """What a run found."""

    seed: int
    verdict: Verdict = field(default_factory=Verdict)
    stuck: str = ""
    unread: str = ""  # books that the harness could not reach: nothing is known of them, for good or bad
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.verdict.is_clean and not self.stuck and not self.unread

    def line(self) -> str:
        """The verdict's sums; a run that is not whole never ends with them alone."""
        return " ".join([self.verdict.line(), *(["stuck"] if self.stuck else []), *(["unread"] if self.unread else [])])

    def write(self, path: Path) -> None:
        wrong = {kind: {"count": len(told), "first": told[:20]} for kind, told in self.verdict.wrong.items()}
        report = {"ok": self.ok, "seed": self.seed, "stuck": self.stuck, "unread": self.unread, "wrong": wrong}
        write_json(path, {**report, "compared": self.verdict.compared, "figures": self.figures})


class Run:
    """A running system under load."""

    def __init__(self, place: Place, plan: Plan) -> None:
        self.place, self.plan = place, plan
        self.begun = time.monotonic()
        self.crew = Crew(place)
        self.load: LoadProcess | None = None
        self.desk: Desk | None = None

    def say(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.begun:6.1f} s  {text}\n")
        sys.stdout.flush()

    def start(self) -> None:
        self.crew.start(lambda text: None)
        self.crew.watch()
        self.say(f"{len(self.crew.specs)} processes are ready; orders go to the plants")
        open_shift(self.place)
        plan = self.plan
        self.load = LoadProcess(self.place, plan.rate, plan.seed, plan.finish_seconds, plan.slips, plan.slip_seconds)
        self.say(f"load begins: {self.plan.rate:.0f} confirmations/s wanted")

    def acknowledged(self) -> int:
        """Confirmations that the load has an acknowledgement of."""
        assert self.load is not None
        self.load.require_alive()
        return int(self.load.counts().get("acked", 0))

    def progress(self) -> str:
        assert self.load is not None
        counts = self.load.counts()
        told = ("acked", "again", "retries", "under_way", "held")
        said = ", ".join(f"{name} {counts.get(name, 0)}" for name in told)
        return f"{said}, booked {books.booked(self.place.home)}"

    def settle(self) -> None:
        """End the load and let everything come to rest. Raises Stuck."""
        assert self.load is not None
        self.load.finish(self.plan.drain_seconds)
        self.rest()

    def rest(self) -> None:
        """Wait until nothing is under way, anywhere. Raises Stuck with what is left."""
        deadline, calm_since = time.monotonic() + self.plan.drain_seconds, 0.0
        last: dict[str, int] = {"nothing was looked at": 1}
        while time.monotonic() < deadline:
            try:
                last = books.backlog(self.place.home)
            except sqlite3.Error as error:
                last = {str(error): 1}
            if last:
                calm_since = 0.0
            elif not calm_since:
                calm_since = time.monotonic()
            elif time.monotonic() - calm_since > CALM_SECONDS:
                return
            time.sleep(0.5)
        told = "; ".join(f"{what}: {count}" for what, count in sorted(last.items()))
        raise Stuck(f"not quiet {self.plan.drain_seconds:.0f} s after the last fault: {told}")


def _end(number: int, _frame: object) -> None:
    """Asked to end: everything that was started goes too."""
    raise SystemExit(128 + number)


@contextmanager
def running(place: Place, plan: Plan, say: Callable[[str], None] | None = None) -> Iterator[Run]:
    """A prepared and started system with load on it; all of it is gone afterwards."""
    signal.signal(signal.SIGTERM, _end)
    sweep(place.home)
    prepare(place, say or (lambda text: None))
    run = Run(place, plan)
    try:
        run.start()
        yield run
    finally:
        if run.load is not None and run.load.process.poll() is None:
            run.load.process.kill()
            run.load.process.wait()
        if run.desk is not None:
            run.desk.end()
        run.crew.end()
        sweep(place.home)


def judge(run: Run, outcome: Outcome) -> None:
    """Compare all books. Our services are held meanwhile: a system that never came to rest must not move under the reader."""
    place = run.place
    for name in OURS:
        if name in run.crew.running and run.crew.running[name].process.poll() is None:
            run.crew.signal(name, signal.SIGSTOP)
    erps = [plant for plant, shape in PLANTS.items() if shape.has_erp and place.has(f"erp-{plant}")]
    try:
        for plant in erps:  # where the run was stuck, one may only just have been started again
            run.crew.wait_ready(f"erp-{plant}")
        checker.check(place.home, story(), erps, outcome.verdict)
    except sqlite3.DatabaseError as error:
        outcome.stuck = f"a database can't be read: {error}. {outcome.stuck}"
    except (OSError, DidNotStart) as error:
        outcome.unread = repr(error)
