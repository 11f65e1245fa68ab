"""Makes faults happen in a running system, counts them, and waits for recovery between them."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.chaos import books, crash_points, faults
from tests.chaos.faults import Fault
from tests.chaos.harness import Run
from tests.chaos.shift import Stuck

PATIENCE = 60.0
GAPS = (0.5, 3.0)


@dataclass
class Tally:
    """Faults that were really hit, and when each ended (by the wall clock, as the books have it)."""

    hit: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    ends: list[tuple[float, list[tuple[str, str]]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, fault: Fault) -> None:
        with self.lock:
            self.hit[fault.kind] += 1
            if fault.kind == "kill":
                self.killed[fault.target] += 1
            if fault.touches():
                self.ends.append((time.time(), fault.touches()))


def do(run: Run, fault: Fault, tally: Tally) -> bool:
    """One fault, to its end. False: another fault has its target just now."""
    needs_process = fault.kind in faults.ON_PROCESS
    if needs_process and not run.crew.take(fault.target):
        return False
    try:
        faults.DOERS[fault.kind](run.crew, fault)
        tally.note(fault)
        run.say(str(fault))
    except faults.NotNow:
        return False
    finally:
        if needs_process:
            run.crew.give_back(fault.target)
    return True


def wait_for_new(run: Run, count: int, patience: float = PATIENCE) -> None:
    """Until so many more confirmations are acknowledged, and so many more booked, than now. Raises Stuck: too few came."""
    deadline = time.monotonic() + patience
    acked, booked = run.acknowledged(), books.booked(run.place.home)
    while (new := min(run.acknowledged() - acked, books.booked(run.place.home) - booked)) < count:
        if time.monotonic() > deadline:
            raise Stuck(f"only {new} newly acknowledged confirmations in {patience:.0f} s, {count} wanted")
        time.sleep(0.1)


def kill_again_and_again(run: Run, plan: Iterator[Fault], count: int, between: int, tally: Tally) -> None:
    """Each kill only after so many newly acknowledged confirmations."""
    for fault in plan:
        wait_for_new(run, between)
        do(run, fault, tally)
        if tally.hit["kill"] >= count:
            break
    wait_for_new(run, between)


class Worker(threading.Thread):
    """One stream of faults until it is told to end; two of them overlap."""

    def __init__(self, run: Run, plan: Iterable[Fault], tally: Tally, number: int) -> None:
        super().__init__(name=f"mischief {number}", daemon=True)
        self._run, self._plan, self._tally = run, plan, tally
        self._over = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for fault in self._plan:
                if self._over.is_set():
                    return
                do(self._run, fault, self._tally)
                self._over.wait(GAPS[0] + fault.pick * (GAPS[1] - GAPS[0]))
        except BaseException as error:  # shown by the run
            self.error = error
            raise

    def end(self) -> None:
        self._over.set()
        self.join(180)


CRASH_PATIENCE = 15.0  # in which a service should come by a point


class Crasher(threading.Thread):
    """Lets every service die at every named point that it passes, one after another; what did not come off is tried again."""

    def __init__(self, run: Run, tally: Tally, seed: int) -> None:
        super().__init__(name="crasher", daemon=True)
        self._run, self._tally, self._over = run, tally, threading.Event()
        self._todo = crash_points.everywhere()
        random.Random(f"{seed}/points").shuffle(self._todo)

    def run(self) -> None:
        while self._todo and not self._over.is_set():
            service, point = self._todo.pop(0)
            if not self._crash(service, point):
                self._todo.append((service, point))
                self._over.wait(0.3)

    def _crash(self, service: str, point: str) -> bool:
        crew = self._run.crew
        if not crew.take(service):
            return False
        wanted = crash_points.wish(self._run.place.control, service, point)
        process = crew.one(service).process
        try:
            wanted.touch()
            process.wait(CRASH_PATIENCE)
            crew.start_again(service)
        except subprocess.TimeoutExpired:
            wanted.unlink(missing_ok=True)
            return False
        finally:
            crew.give_back(service)
        fault = Fault("crash_point", service, 0.0)
        self._tally.note(fault)
        self._run.say(f"crash_point {service}: {point}")
        return (service, point) in crash_points.hits(self._run.place.control)

    def missed(self) -> list[tuple[str, str]]:
        return sorted(set(crash_points.everywhere()) - crash_points.hits(self._run.place.control))

    def end(self) -> None:
        self._over.set()
        self.join(60)
