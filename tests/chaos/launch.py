"""Starts a service of ours as `python -m services.X` does, with what the harness puts in its way wrapped around the kit.

Nothing here is a flag of the shipped code: full disks, crash points and planted bugs are patches of this process. Which
bugs: CHAOS_PATCHES. The rest is asked for while it runs, by files in CHAOS_CONTROL.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from servicekit import database
from tests.chaos import crash_points, planted, power

PAGES_MOST = 4294967294


def fill_disk_on_demand(full: Path) -> None:
    """While this file is there the database may not grow by a page, as on a disk with no room left."""
    make = database._sqlite_engine

    def made(url: sa.URL, begin: str, size: int) -> sa.Engine:
        engine = make(url, begin, size)

        @event.listens_for(engine, "begin")
        def limit(connection: sa.Connection) -> None:
            # Less than there is means: what there is now.
            connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if full.exists() else PAGES_MOST}")

        return engine

    database._sqlite_engine = made


def main() -> None:
    name, control = os.environ["CHAOS_SERVICE"], Path(os.environ["CHAOS_CONTROL"])
    power.watch(control / f"{name}.unsynced")
    fill_disk_on_demand(control / f"{name}.full")
    crash_points.wrap(name, control)
    planted.plant([bug for bug in os.environ.get("CHAOS_PATCHES", "").split(",") if bug])
    runpy.run_module(sys.argv[1], run_name="__main__")


if __name__ == "__main__":
    main()
