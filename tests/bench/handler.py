"""Inventory hears production, as `make up` starts it: the real handler, rules and tables, against the idealised pipeline.

Both are timed from the first to the last fact that they told, by the broker's clock.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from deploy.local.report import Report
from tests.bench import work
from tests.bench.pipeline import databases, run
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.running import Hub

FACTS = 8000
SUBJECT = "isthmus.aachen.inventory.v1.inventory.moved"
Say = Callable[[str], None]


def inventory(broker: Broker, database: str, home: Path) -> float:
    """Facts a second of the service, with its totals checked."""
    hub = Hub(home, lambda _name: database, broker=broker)
    hub.start("inventory")
    try:

        async def all_told() -> bool:
            return await work.stored(broker.url, work.SLOT_OUT) == FACTS

        asyncio.run(eventually(all_told, within=300))
        seconds = asyncio.run(work.told_between(broker.url, work.SLOT_OUT, SUBJECT))
    finally:
        hub.stop_services()
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        moved = int(connection.exec_driver_sql("SELECT SUM(quantity) FROM stocks").scalar_one()) // -1_000_000
        lines = connection.exec_driver_sql("SELECT COUNT(*) FROM inventory_transactions").scalar_one()
    engine.dispose()
    if not moved == lines == FACTS:
        raise RuntimeError(f"{FACTS} facts, {moved} parts moved, {lines} ledger lines")
    return FACTS / seconds


def ideal(broker: Broker, database: str, home: Path) -> float:
    run("ideal", broker, database, FACTS, home)
    return FACTS / asyncio.run(work.told_between(broker.url, work.STREAM_OUT, "out.a"))


def measure(kind: str, repetitions: int, home: Path, report: Report, say: Say) -> None:
    rates: dict[str, list[float]] = {"ideal": [], "inventory": []}
    broker = Broker(home / "broker", sync_interval="2m")
    broker.start()
    try:
        with databases(kind, home) as fresh:
            for repetition in range(1, repetitions + 1):
                for who, found in rates.items():
                    asyncio.run(work.fill(broker.url, FACTS, work.a_confirmation, work.SUBJECT_CONFIRMED))
                    found.append((ideal if who == "ideal" else inventory)(broker, fresh(), home))
                    say(f"{kind}, run {repetition}: {who} {found[-1]:,.0f} facts/s")
    finally:
        broker.kill()
    median = {who: round(statistics.median(found)) for who, found in rates.items()}
    report.figures[f"{kind}, inventory's own handler of confirmations, facts/s"] = median
    report.figures[f"{kind}, inventory's own handler, of the idealised pipeline"] = round(
        median["inventory"] / median["ideal"], 2
    )
