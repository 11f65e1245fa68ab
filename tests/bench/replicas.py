"""One, two and four replicas of production and of inventory that share the plants on one PostgreSQL: what more of them bring.

Every confirmation is a call, spread over the replicas of production; it is done when inventory has booked what it used.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import grpc
import sqlalchemy as sa
import uvloop

from deploy.local.report import Report
from tests.bench.orders import release_orders
from tests.bench.pipeline import databases
from tests.support.eventually import eventually
from tests.support.requests import a_confirmation
from tests.support.running import Hub

COUNTS = (1, 2, 4)
PLANTS = ("aachen", "brno", "cheb", "dover")
ORDERS, CALLS, IN_FLIGHT = 25, 4000, 64  # orders of a plant
REPETITIONS = 3
Say = Callable[[str], None]


def order_of(number: int) -> tuple[str, str]:
    """Plant and work order of a confirmation."""
    plant = PLANTS[number % len(PLANTS)]
    return plant, f"{plant}-O{number // len(PLANTS) % ORDERS}"


def a_call(number: int) -> bytes:
    plant, order = order_of(number)
    request = a_confirmation(f"B-{number}", order, good="1")
    request.confirmation.plant_id = plant
    used = request.confirmation.consumptions.add(item_id="HSG-10")
    used.quantity.value, used.quantity.unit_code = "1", "C62"
    return request.SerializeToString()


@contextmanager
def running(count: int, home: Path, fresh: Callable[[], str]) -> Iterator[Hub]:
    """`count` replicas of each, with orders open on every plant."""
    hub = Hub(home, lambda _name: fresh(), ",".join(PLANTS))
    hub.broker.start()
    try:
        firsts = ["master_data", "production", "inventory"]  # the first of each makes the tables
        more = [f"{name}.{number}" for name in firsts[1:] for number in range(2, count + 1)]
        for names in (firsts, more):
            for name in names:
                hub.start(name)
            hub.wait_ready(*names)
        asyncio.run(release_orders(hub, PLANTS, ORDERS))
        hub.kill("master_data")
        yield hub
    finally:
        hub.stop()


async def call_all(hub: Hub, many: int) -> float:
    """Seconds until all are answered."""
    names = [name for name in hub.processes if name.startswith("production")]
    channels = [grpc.aio.insecure_channel(hub.address(name)) for name in names]
    calls = [channel.unary_unary("/isthmus.production.v1.ProductionService/ConfirmOperation") for channel in channels]
    waiting = iter([a_call(number) for number in range(many)])

    async def caller(call: Callable[..., object]) -> None:
        for request in waiting:
            await call(request, timeout=60)  # type: ignore[misc]

    begun = time.perf_counter()
    await asyncio.gather(*(caller(call) for call, _ in zip(cycle(calls), range(IN_FLIGHT), strict=False)))
    took = time.perf_counter() - begun
    for channel in channels:
        await channel.close()
    return took


def booked(hub: Hub) -> tuple[int, int]:
    """Ledger lines of inventory, and the pieces that left by them."""
    engine = sa.create_engine(hub.urls["inventory"])
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT COUNT(*), COALESCE(SUM(-quantity), 0) FROM inventory_transactions"
        ).one()
    engine.dispose()
    return int(found[0]), int(found[1]) // 1_000_000


def once(count: int, many: int, home: Path, fresh: Callable[[], str]) -> dict[str, float]:
    """Calls a second, and documents a second from the first call to the last booking, with totals checked."""
    with running(count, home, fresh) as hub:
        begun = time.perf_counter()
        took = uvloop.run(call_all(hub, many))
        asyncio.run(eventually(lambda: booked(hub)[0] >= many, within=300))
        done = time.perf_counter() - begun
        if booked(hub) != (many, many):
            raise RuntimeError(f"{many} called, {booked(hub)} booked")
    return {"calls": many / took, "booked": many / done}


def measure(home: Path, report: Report, say: Say) -> None:
    found: dict[int, list[dict[str, float]]] = {count: [] for count in COUNTS}
    with databases("postgresql", home) as fresh:
        for repetition in range(1, REPETITIONS + 1):
            for count, runs in found.items():
                place = home / f"{repetition}-{count}"
                place.mkdir()
                runs.append(once(count, CALLS, place, fresh))
                rates = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in runs[-1].items())
                say(f"{count} replicas, run {repetition}: {rates}")
    for name in ("calls", "booked"):
        median = {count: statistics.median(run[name] for run in runs) for count, runs in found.items()}
        report.figures[f"replicas, confirmations {name} a second"] = {n: round(rate) for n, rate in median.items()}
        report.figures[f"replicas, times as many {name} as by one"] = {
            n: round(rate / median[1], 2) for n, rate in median.items()
        }
