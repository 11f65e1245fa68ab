"""Plays scenarios, one or all of them on one system, and writes the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import Console

from deploy.local import batches, machines, orders, ports, system
from deploy.local.foreign import Place
from deploy.local.plant import Plants
from deploy.local.processes import Supervisor
from deploy.local.report import Report
from deploy.local.story import Story, StoryStuck
from deploy.local.tryton.plants import SEEDS

HOME = ports.ROOT / "var" / "demo"
BASE = 19000
ALL = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """`plants`: whose story it is; the system of all scenarios has more."""

    play: Callable[[Story, Plants, Report], None]
    plants: tuple[str, ...]
    has_machines: bool = False


def run(console: Console, *, as_json: bool, scenario: int = ALL) -> bool:
    """Play a scenario, or all of them on one system. True only if every check held."""
    played = {scenario: SCENARIOS[scenario]} if scenario else SCENARIOS
    story, report = Story(console), Report()
    place = _place(played.values())
    system.prepare(place, story.say)
    report.figures["set_up_seconds"] = round(story.seconds, 1)
    supervisor = Supervisor(system.specs(place), HOME)
    try:
        supervisor.start(story.say, [system.HUB])
        # Before anybody can give them work: what happens when is for the story to tell.
        Plants(place).hold(is_held=True)
        supervisor.start(story.say, [system.SERVICES])
        report.figures["ready_after_seconds"] = round(story.seconds, 1)
        for number, one in played.items():
            story.say(f"[bold]scenario {number}[/]")
            one.play(story, Plants(place.of(one.plants)), report)
        report.figures["memory_mb"] = {r["service"]: r["memory_mb"] for r in supervisor.status()}
    except StoryStuck as stuck:
        story.say(f"[red]{stuck}[/]")
        report.check("the story came to its end", str(stuck), "yes")
    finally:
        story.say("stopping what was started")
        supervisor.stop()
    report.figures["total_seconds"] = round(story.seconds, 1)
    return _told(console, report, as_json=as_json)


def _place(played: Iterable[Scenario]) -> Place:
    """An empty home, free ports, and what the stories need."""
    table = ports.table(ports.base(BASE))
    ports.require_free(table)
    if HOME.exists():
        shutil.rmtree(HOME)
    HOME.mkdir(parents=True)
    wanted = {plant for one in played for plant in one.plants}
    plants = {name: seed for name, seed in SEEDS.items() if name in wanted}
    return Place(HOME, table, plants, has_machines=any(one.has_machines for one in played))


def _told(console: Console, report: Report, *, as_json: bool) -> bool:
    report.write(HOME / "report.json")
    if as_json:
        print(json.dumps(json.loads((HOME / "report.json").read_text()), indent=1))
        return report.ok
    report.print(console)
    console.print(
        f"{'[green]every check held[/]' if report.ok else '[red]a check was not met[/]'}; {HOME / 'report.json'}"
    )
    console.print(f"To look around yourself: make up, then the console at http://127.0.0.1:{ports.local()['console']}")
    return report.ok


SCENARIOS = {  # in the order in which one system can play them: 3 wants open orders and lines that stand
    3: Scenario(machines.play, ("aachen", "brno", "ghent"), has_machines=True),
    1: Scenario(orders.play, ("aachen", "brno")),
    2: Scenario(batches.play, ("ghent",)),
}
