"""`make chaos`: real processes under load while they are killed, frozen, cut off and starved; then the books are compared."""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from deploy.local.processes import DidNotStart
from tests.chaos import books, checker, faults, mischief
from tests.chaos.desk import Desk
from tests.chaos.faults import Fault
from tests.chaos.harness import Outcome, Plan, Run, judge, running
from tests.chaos.mischief import Crasher, Tally, Worker
from tests.chaos.shift import Stuck
from tests.chaos.topology import ROOT, Place, free_base, table, uses

TELL_SECONDS = 15.0
WARM_UP = 500  # confirmations booked before the first fault
NEW_BETWEEN_KILLS = 200
WORKERS = 2
POINTS_MINUTES = 9  # in a run of this length every service must have died at every point


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long faults go on")
    parser.add_argument(
        "--kills", type=int, default=0, help="so many kills, each after 200 newly acknowledged; no other fault"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rate", type=float, default=220, help="confirmations a second that the load offers")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "chaos", help="where the run and report.json are kept"
    )
    parser.add_argument("--calm", action="store_true", help="no faults: what the machine does by itself")
    return parser.parse_args()


def main() -> int:
    told = arguments()
    outcome, tally = Outcome(told.seed), Tally()
    outcome.figures["minutes"] = 0 if told.kills else told.minutes
    place = Place(told.folder / "run", table(free_base()))
    seconds = told.minutes * 60
    plan = Plan(told.seed, told.rate, finish_seconds=10 if told.kills else seconds / 8, slips="operation,unit")
    with running(place, plan, print) as run:
        run.say(f"seed={told.seed}")
        run.desk = Desk(place)
        run.desk.start()
        try:
            mischief.wait_for_new(run, WARM_UP)
            first, begun = run.acknowledged(), time.monotonic()
            if told.kills:
                mischief.kill_again_and_again(run, faults.kills(told.seed), told.kills, NEW_BETWEEN_KILLS, tally)
            else:
                missed = trouble(run, tally, told.seed, seconds, is_calm=told.calm)
                outcome.figures["crash points missed"] = missed
            outcome.figures["acknowledged a second"] = round(
                (run.acknowledged() - first) / (time.monotonic() - begun), 1
            )
            run.say("the last fault is over; all must come to rest")
            settled = time.monotonic()
            run.settle()
            outcome.figures["seconds to rest"] = round(time.monotonic() - settled, 1)
        except (Stuck, DidNotStart) as stuck:
            outcome.stuck = str(stuck)
        outcome.figures |= figures(run, tally)
        judge(run, outcome)
    return tell(outcome, told.folder / "report.json")


def trouble(run: Run, tally: Tally, seed: int, seconds: float, *, is_calm: bool) -> list[str]:
    """Random faults for so long; the broker's store is lost at half time. Crash points that nobody died at."""
    crasher = Crasher(run, tally, seed)
    workers: list[Worker | Crasher] = []
    if not is_calm:
        workers = [crasher, *(Worker(run, faults.plan(seed, n), tally, n) for n in range(WORKERS))]
    for worker in workers:
        worker.start()
    begun, told, is_lost = time.monotonic(), time.monotonic(), is_calm
    try:
        while time.monotonic() - begun < seconds:
            time.sleep(0.5)
            run.acknowledged()
            failed = [w.error for w in workers if isinstance(w, Worker) and w.error is not None]
            if failed:
                raise Stuck(f"a fault could not be ended: {failed[0]!r}")
            if not is_lost and time.monotonic() - begun > seconds / 2:
                is_lost = mischief.do(run, Fault("lost_store", "nats", 0.5), tally)
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                run.say(run.progress())
    finally:
        for worker in workers:
            worker.end()
    return [] if is_calm else [f"{service}: {point}" for service, point in crasher.missed()]


def figures(run: Run, tally: Tally) -> dict[str, Any]:
    found = checker.recoveries(run.place.home, tally.ends)
    cut = statistics.quantiles(found, n=100) if len(found) > 1 else found * 99
    return {
        "faults": dict(sorted(tally.hit.items())),
        "kills": dict(sorted(tally.killed.items())),
        "ended by themselves": run.crew.ended,
        "recovery p50 s": round(statistics.median(found), 2) if found else None,
        "recovery p99 s": round(cut[98], 2) if cut else None,
        "recoveries": len(found),
        "booked": books.booked(run.place.home),
        "load": run.load.counts() if run.load is not None else {},
        "cpu seconds": uses(run.crew),
    }


def tell(outcome: Outcome, path: Path) -> int:
    outcome.write(path)
    for kind, texts in outcome.verdict.wrong.items():
        for text in texts[:5]:
            print(f"{kind}: {text}")
    for word, text in (("stuck", outcome.stuck), ("unread", outcome.unread)):
        if text:
            print(f"{word}: {text}")
    told = outcome.figures
    if told.get("crash points missed"):
        print(f"crash points missed: {told['crash points missed']}")
    print("faults hit: " + " ".join(f"{kind}={count}" for kind, count in told["faults"].items()))
    print(f"acknowledged {told.get('acknowledged a second')} a second; compared {outcome.verdict.compared}")
    print(f"recovery p50={told['recovery p50 s']} s p99={told['recovery p99 s']} s n={told['recoveries']}")
    print(f"seed={outcome.seed}")
    print(outcome.line())
    is_whole = not (outcome.figures.get("crash points missed") and outcome.figures["minutes"] >= POINTS_MINUTES)
    return 0 if outcome.ok and is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
