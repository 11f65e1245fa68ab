"""Reports that people and programs read alike: ok, checks with goal and value, figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.local.processes import write_json


@dataclass
class Report:
    """`checks` decide; `figures` are told."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check["ok"] for check in self.checks)

    def check(self, name: str, value: Any, goal: Any) -> bool:
        """Value must equal goal."""
        is_met = bool(value == goal)
        self.checks.append({"name": name, "value": value, "goal": goal, "ok": is_met})
        return is_met

    def at_least(self, name: str, value: float, goal: float) -> bool:
        """Value must not be below goal."""
        self.checks.append({"name": name, "value": value, "goal": goal, "ok": value >= goal})
        return value >= goal

    def at_most(self, name: str, value: float, goal: float) -> bool:
        """Value must not be above goal."""
        self.checks.append({"name": name, "value": value, "goal": goal, "ok": value <= goal})
        return value <= goal

    def write(self, path: Path) -> None:
        write_json(path, {"ok": self.ok, "checks": self.checks, "figures": self.figures})

    def print(self, console: Console) -> None:
        table = Table("check", "value", "goal", "", title="Checks", title_justify="left")
        for check in self.checks:
            mark = "[green]ok[/]" if check["ok"] else "[red]NOT MET[/]"
            table.add_row(check["name"], str(check["value"])[:90], str(check["goal"])[:40], mark)
        console.print(table)
        figures = Table("figure", "value", title="Figures", title_justify="left")
        for name, value in self.figures.items():
            figures.add_row(name, str(value))
        console.print(figures)
