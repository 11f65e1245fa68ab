"""`make chaos`: real processes under load while they are killed, frozen, cut off and starved; then the books are compared."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.chaos.harness import Outcome, Plan, Run, judge, running
from tests.chaos.shift import Stuck
from tests.chaos.topology import ROOT, Place, free_base, table, uses

FOLDER = ROOT / "var" / "chaos"
TELL_SECONDS = 15.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rate", type=float, default=220, help="confirmations a second that the load offers")
    told = parser.parse_args()
    outcome = Outcome(told.seed)
    place = Place(FOLDER / "run", table(free_base()))
    with running(place, Plan(told.seed, told.rate, finish_seconds=told.minutes * 60 / 8), print) as run:
        try:
            calm(run, told.minutes * 60)
            run.say("load ends; all must come to rest")
            run.settle()
        except Stuck as stuck:
            outcome.stuck = str(stuck)
        run.say(f"cpu seconds: {uses(run.crew)}")
        judge(run, outcome)
    return tell(outcome)


def calm(run: Run, seconds: float) -> None:
    begun, first = time.monotonic(), run.acknowledged()
    while time.monotonic() - begun < seconds:
        time.sleep(min(TELL_SECONDS, seconds))
        run.say(run.progress())
    rate = (run.acknowledged() - first) / (time.monotonic() - begun)
    run.say(f"{rate:.0f} newly acknowledged a second")


def tell(outcome: Outcome) -> int:
    outcome.write(FOLDER / "report.json")
    for kind, texts in outcome.verdict.wrong.items():
        for text in texts[:5]:
            print(f"{kind}: {text}")
    if outcome.stuck:
        print(f"stuck: {outcome.stuck}")
    print(f"seed={outcome.seed}")
    print(outcome.verdict.line())
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
