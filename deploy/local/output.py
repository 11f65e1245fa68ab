"""How commands answer: a table for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 200  # lines stay whole for who greps them
AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def show(rows: list[dict[str, Any]], title: str, as_json: bool) -> None:
    """Rows of one kind; their keys are the columns."""
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str))
        return
    if not rows:
        console.print(f"{title}: nothing")
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(("yes" if v is True else "no" if v is False else str(v)) for v in row.values()))
    console.print(table)
