"""`make chaos-selftest`: is the harness blind? Each planted bug in turn, provoked on purpose; and the same without it.

A bug counts as caught when the checker finds something wrong, or the system never comes to rest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.local.processes import DidNotStart, write_json
from tests.chaos import checker, crash_points, faults, mischief, shift
from tests.chaos.desk import Desk
from tests.chaos.faults import Fault
from tests.chaos.harness import Outcome, Plan, Run, judge, running
from tests.chaos.mischief import Tally
from tests.chaos.planted import BUGS
from tests.chaos.shift import Stuck
from tests.chaos.streams import Broker
from tests.chaos.topology import ROOT, Place, free_base, table

FOLDER = ROOT / "var" / "chaos-selftest"
PLANT = ("nats", "wires", "mes-graz", "master_data", "production", "inventory", "edge_bridge-graz")
WITH_WAREHOUSE = (*PLANT, "wms", "gateway")
CONFIRMATIONS = 400
DRAIN_SECONDS = 40.0


@dataclass(frozen=True)
class Scenario:
    """What provokes a bug. `act`: under load."""

    name: str
    act: Callable[[Run], None]
    parts: tuple[str, ...] = PLANT
    slips: str = ""
    strict: bool = False  # no repeats are asked for: streams must hold each fact once
    rate: float = 60.0


def work(run: Run) -> None:
    mischief.wait_for_new(run, CONFIRMATIONS)


def crash(service: str, point: str, times: int = 3) -> Callable[[Run], None]:
    """The service dies at this point, again and again."""

    def act(run: Run) -> None:
        for _ in range(times):
            mischief.wait_for_new(run, 100)
            die_at(run, service, point)

    return act


def die_at(run: Run, service: str, point: str, patience: float = 30) -> None:
    """Wish it, and wait until the service is there again."""
    process = run.crew.one(service).process
    crash_points.wish(run.place.control, service, point).touch()
    shift.wait(f"{service} dies at {point}", lambda: process.poll() is not None, patience)
    shift.wait(f"{service} is started again", lambda: run.crew.one(service).process is not process)
    run.crew.wait_ready(service)


def old_connection(run: Run) -> None:
    """What production's connection carries is held until a new one has long gone on."""
    for _ in range(2):
        mischief.wait_for_new(run, 100)
        faults.DOERS["stale"](run.crew, Fault("stale", "production", 14))
    mischief.wait_for_new(run, 100, 30)


def people(run: Run) -> None:
    """Slips and a support desk."""
    desk = Desk(run.place)
    desk.start()
    shift.wait("the desk has put five slips right", lambda: desk.released >= 5, 40)
    run.desk = desk


def power_cuts(run: Run) -> None:
    for _ in range(3):
        mischief.wait_for_new(run, 100)
        if not mischief.do(run, Fault("power_cut", "production", 0.2), Tally()):
            raise Stuck("production was away when its power was to be cut")
        run.crew.wait_ready("production")
    mischief.wait_for_new(run, 100, 20)


CALM = Scenario("load with repeats", work)
SCENARIOS = {
    "no_claim": CALM,
    "position_before_commit": Scenario("inventory dies in the middle", crash("inventory", "rows loaded")),
    "publish_before_commit": Scenario("production dies before it commits", crash("production", "before commit")),
    "no_fence": Scenario("an old connection speaks late", old_connection, strict=True),
    "no_order": CALM,
    "pass_parked_head": Scenario("a person's slip parks a lane", people, slips="operation"),
    "corrected_head_again": Scenario("a slip is put right in the ledger", people, slips="unit"),
    "resend_unknown": Scenario(
        "the gateway dies when the warehouse has booked", crash("gateway", "after foreign booking"), WITH_WAREHOUSE
    ),
    "synchronous_off": Scenario("power cuts", power_cuts),
}
SERVICES = {
    "no_order": "inventory",
    "corrected_head_again": "inventory",
    "position_before_commit": "inventory",
    "resend_unknown": "gateway",
}


def play(scenario: Scenario, bug: str, seed: int) -> Outcome:
    """One scenario with a bug, or with none."""
    service = SERVICES.get(bug, "production")
    place = Place(FOLDER / "run", table(free_base()), frozenset(scenario.parts), {service: bug} if bug else {})
    plan = Plan(
        seed,
        scenario.rate,
        finish_seconds=10**6,
        drain_seconds=DRAIN_SECONDS if bug else 120.0,
        slips=scenario.slips,
        slip_seconds=2.5,
    )
    outcome = Outcome(seed)
    with running(place, plan) as run:
        try:
            scenario.act(run)
        except (Stuck, DidNotStart) as stuck:
            outcome.stuck = str(stuck)
        try:
            run.settle()
        except Stuck as stuck:
            outcome.stuck = outcome.stuck or str(stuck)
        judge(run, outcome)
        if scenario.strict:
            for slot in ("production-graz", "edge_bridge-graz"):
                checker.stream_in_order(outcome.verdict, slot, Broker(place.ports["nats"]).numbers(slot))
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos-selftest", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="one bug by name")
    told = parser.parse_args()
    console, rows = Console(width=150), []
    clean: dict[str, Outcome] = {}
    for bug in [told.only] if told.only else list(BUGS):
        scenario = SCENARIOS[bug]
        if scenario.name not in clean:
            console.print(f"control: {scenario.name}")
            clean[scenario.name] = play(scenario, "", told.seed)
            console.print(f"  {told_of(clean[scenario.name])}")
        console.print(f"planted: {bug}")
        found = play(scenario, bug, told.seed)
        console.print(f"  {told_of(found)}")
        rows.append((bug, scenario.name, clean[scenario.name], found))
    return tell(console, rows)


def caught_it(found: Outcome) -> bool:
    """By what it compared, or by what never came to rest; that the harness itself could not look is no catch."""
    return not found.unread and not found.ok


def told_of(outcome: Outcome) -> str:
    return f"{outcome.line()} {outcome.stuck[-160:]}{outcome.unread[-160:]}".rstrip()


def tell(console: Console, rows: list[tuple[str, str, Outcome, Outcome]]) -> int:
    shown = Table("planted", "scenario", "without it", "with it", "caught", title="Selftest", title_justify="left")
    report: list[dict[str, Any]] = []
    for bug, name, clean, found in rows:
        is_caught = clean.ok and caught_it(found)
        shown.add_row(bug, name, "clean" if clean.ok else told_of(clean), found.line(), "yes" if is_caught else "NO")
        first = {kind: texts[:3] for kind, texts in found.verdict.wrong.items() if texts}
        report.append(
            {
                "bug": bug,
                "caught": is_caught,
                "control": clean.line(),
                "found": found.line(),
                "first": first,
                "stuck": found.stuck,
            }
        )
    console.print(shown)
    caught = sum(row["caught"] for row in report)
    write_json(FOLDER / "report.json", report)
    console.print(f"planted={len(rows)} caught={caught}")
    return 0 if caught == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
