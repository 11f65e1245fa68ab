"""Operations with a year's work in its store: 200,000 orders, 2,000,000 facts of them. What a question takes, and a fact.

The store is filled through the service's own tables, with 5,000 parked lanes and a month of figures beside the orders, then the
service is started on it as `make up` starts it, console included. Questions and pages are asked for one after another, of orders
picked all over the store, while nothing else happens; facts come from the broker.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import sqlalchemy as sa

from deploy.local.report import Report
from isthmus.operations.v1 import operations_service_pb2 as messages
from isthmus.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from servicekit import clock, lanes, migrate
from servicekit.clock import micros, monotonic
from servicekit.database import Database
from services.operations import spans
from services.operations.domain.kpi import KPIS
from services.operations.domain.timeline import Entry, Number, OrderReference
from services.operations.store import ENTRIES, NUMBERS, ORDERS
from tests.bench import work
from tests.bench.pipeline import ROOT, databases
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import Hub

ORDERS_KEPT, FACTS_OF_ORDER, SPANS_OF_ORDER = 200_000, 10, 3
LANES_KEPT, KPI_DAYS = 5000, 30
FACTS, ASKED, PAGES_ASKED = 40_000, 300, 40
SEARCH_MS, PAGE_MS, RATE, MOST_GROWTH = 100.0, 300.0, 2000.0, 1.1
BEGUN = datetime(2025, 1, 1, tzinfo=UTC)  # so that none is of the moment of the facts that come
CHUNK = 1000  # orders a transaction
Say = Callable[[str], None]


def order_of(number: int) -> str:
    return f"{'aachen' if number % 2 else 'brno'}-{number}"


def filled(url: str, orders: int) -> None:
    """The store with so many orders, each with its facts, its numbers and the spans of its trace."""
    database = Database(url)
    migrate.migrate(database.engines[0], "operations", ROOT / "services" / "operations" / "migrations")
    for first in range(0, orders, CHUNK):
        asyncio.run(database.write(lambda tx, first=first: _insert(tx, range(first, min(first + CHUNK, orders)))))  # type: ignore[misc]
    asyncio.run(database.write(_insert_lanes))
    asyncio.run(database.write(_insert_kpis))
    database.close()
    engine = sa.create_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if url.startswith("postgres") else "ANALYZE")
    engine.dispose()


def _insert(tx: Any, orders: range) -> None:
    ORDERS.insert(tx, [OrderReference(order_of(n), order_of(n).split("-")[0], "PUMP-100", f"{n:032x}") for n in orders])
    NUMBERS.insert(
        tx, [Number(number, order_of(n)) for n in orders for number in (order_of(n), f"FA-{n:06}", f"LOT-{n:06}")]
    )
    ENTRIES.insert(tx, [entry for n in orders for entry in _entries(n)])
    spans.insert(tx, [span for n in orders for span in _spans(n)], timedelta(seconds=5))


def _insert_lanes(tx: Any) -> None:
    for number in range(LANES_KEPT):
        fact = work.a_confirmation(number + 1)
        fact.order_key, fact.event_id = f"aachen-{number}", f"parked-{number}"
        lanes.append(tx, "operations", fact, lanes.LaneChanged(order_key=fact.order_key), clock.now())


def _insert_kpis(tx: Any) -> None:
    """As the sampler writes them, every five minutes of a month."""
    end = micros(clock.now()) // 300_000_000 * 300_000_000
    times = range(end - KPI_DAYS * 86_400_000_000, end, 300_000_000)
    rows = [(at, plant, name, at % 97 * 10**6) for at in times for plant in ("aachen", "brno") for name in KPIS]
    tx.many("INSERT INTO kpi_samples (sample_time, plant_id, kpi_id, value) VALUES (?,?,?,?)", rows)


def _entries(number: int) -> Iterator[Entry]:
    order = order_of(number)
    for step in range(FACTS_OF_ORDER):
        at = BEGUN + timedelta(minutes=number * 2 + step)
        text = f"operation {step * 10} booked: 4 pcs good, 1 scrap, lot LOT-{number:06}"
        yield Entry(
            event_id=f"{order}-{step}",
            work_order_id=order,
            plant_id=order.split("-", maxsplit=1)[0],
            occur_time=at,
            record_time=at,
            text=text,
            said_by="production-aachen",
            fact_type="isthmus.production.v1.OperationConfirmed",
            is_late=False,
            is_alarm=number % 100 == 0,
            is_variance=number % 1000 == 0,
            sequence=number * FACTS_OF_ORDER + step,
        )


def _spans(number: int) -> Iterator[spans.Span]:
    begun = int((datetime.now(UTC) - timedelta(days=1)).timestamp()) * 10**9 + number
    for step in range(SPANS_OF_ORDER):
        span_id = f"{number * SPANS_OF_ORDER + step:016x}"
        yield (f"{number:032x}", span_id, "", "production", "confirm operation", begun, begun + 10**6, False)


def questions(orders: int) -> dict[str, tuple[str, list[Any]]]:
    """What is asked, by the name of its figure: method and requests."""
    picked = [number * 7919 % orders for number in range(ASKED)]
    return {
        "order search": ("FindOrders", [messages.FindOrdersRequest(number=f"FA-{n:06}") for n in picked]),
        "timeline": ("GetTimeline", [messages.GetTimelineRequest(work_order_id=order_of(n)) for n in picked]),
        "spans of a trace": ("ListSpans", [messages.ListSpansRequest(trace_id=f"{n:032x}") for n in picked]),
        "variances": ("ListVariances", [messages.ListVariancesRequest(plant_id="brno") for _ in picked[:50]]),
        "interfaces": ("ListInterfaces", [messages.ListInterfacesRequest() for _ in picked[:50]]),
    }


def pages(orders: int) -> dict[str, list[str]]:
    """Paths of the console, by the name of its figure."""
    picked = [number * 7919 % orders for number in range(ASKED)]
    few = range(PAGES_ASKED)
    return {
        "page of a search": [f"/orders?number=LOT-{n:06}" for n in picked],
        "page of an order": [f"/orders/{order_of(n)}" for n in picked],
        f"page of {LANES_KEPT:,} exceptions": ["/exceptions" for _ in few],
        "page of a lane": [f"/exceptions/operations/operations/aachen-{n}" for n in few],
        "page of plants": ["/plants" for _ in few],
        "page of interfaces": ["/interfaces" for _ in few],
        "page of stock": ["/stock" for _ in few],
        "page of figures, 7 days": ["/kpis?days=7" for _ in few],
        "page of the audit": ["/audit" for _ in few],
    }


def opened(client: httpx.Client, paths: list[str]) -> list[float]:
    """Milliseconds of each page until it is whole. Raises HTTPStatusError."""
    times = []
    for path in paths:
        begun = monotonic()
        client.get(path).raise_for_status()
        times.append((monotonic() - begun) * 1000)
    return times


def asked(stub: Any, method: str, requests: list[Any]) -> list[float]:
    """Milliseconds of each. Raises RuntimeError for an empty answer: a question that finds nothing is soon answered."""
    times = []
    for request in requests:
        begun = monotonic()
        answer = getattr(stub, method)(request, timeout=30)
        times.append((monotonic() - begun) * 1000)
        if not answer.ByteSize():
            raise RuntimeError(f"{method} found nothing for {request}")
    return times


def p95(times: list[float]) -> float:
    return round(statistics.quantiles(times, n=20)[-1], 1)


def heard(hub: Hub, facts: int, say: Say) -> tuple[float, float]:
    """Facts a second that are heard of those that wait, and memory after the last over that at a quarter of the way."""
    hub.kill("operations")
    asyncio.run(work.fill(hub.broker.url, facts, work.a_confirmation, work.SUBJECT_CONFIRMED))
    hub.start("operations")
    process = psutil.Process(hub.processes["operations"].pid)
    engine = sa.create_engine(hub.urls["operations"])
    sizes: list[float] = []

    def reached() -> int:
        sizes.append(process.memory_info().rss / 2**20)
        with engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT producer_sequence FROM position WHERE slot = 'production-aachen'"
            )
            return int(found.scalar() or 0)

    asyncio.run(eventually(reached, within=60))
    first, begun = reached(), monotonic()
    sizes.clear()
    asyncio.run(eventually(lambda: reached() >= facts, within=600))
    rate = (facts - first) / (monotonic() - begun)
    with engine.connect() as connection:
        kept = connection.exec_driver_sql(f"SELECT COUNT(*) FROM timeline_entries WHERE occur_time = {micros(work.AT)}")
        if (entries := kept.scalar_one()) != facts:
            raise RuntimeError(f"{facts} facts, {entries} entries")
    engine.dispose()
    say(f"memory {sizes[0]:.0f} to {sizes[-1]:.0f} MiB")
    return rate, sizes[-1] / sizes[len(sizes) // 4]


def measure(kind: str, repetitions: int, home: Path, report: Report, say: Say, orders: int = ORDERS_KEPT) -> None:
    broker = Broker(home / "broker", sync_interval="2m")
    broker.start()
    try:
        with databases(kind, home) as fresh:
            url = fresh()
            filled(url, orders)
            say(f"{kind}: {orders:,} orders with {orders * FACTS_OF_ORDER:,} facts are in the store")
            hub = Hub(home, lambda _name: url, broker=broker)
            hub.urls["operations"] = url
            console = with_console(hub)
            hub.start("operations")
            try:
                hub.wait_ready("operations")
                ask(hub, kind, orders, repetitions, report, say)
                look(console, kind, orders, repetitions, report, say)
                rate, growth = heard(hub, FACTS, say)
            finally:
                hub.stop_services()
    finally:
        broker.kill()
    report.at_least(f"{kind}: facts/s that operations hears beside its store", round(rate), RATE)
    report.at_most(
        f"{kind}: memory of operations after {FACTS:,} facts, times that at a quarter", round(growth, 2), MOST_GROWTH
    )


def with_console(hub: Hub) -> str:
    """Where the console will be, which knows one desk: that of operations itself."""
    hub.ports["operations"] = free_port()
    at = f"127.0.0.1:{free_port()}"
    desks = json.dumps({"operations": hub.address("operations")})
    hub.more["operations"] = {"OPERATIONS_CONSOLE_LISTEN": at, "OPERATIONS_DESKS": desks}
    return f"http://{at}"


def look(console: str, kind: str, orders: int, repetitions: int, report: Report, say: Say) -> None:
    """Every page, interleaved over the repetitions."""
    times: dict[str, list[float]] = {}
    with httpx.Client(base_url=console, timeout=30) as client:
        for _, (name, paths) in itertools.product(range(repetitions), pages(orders).items()):
            times.setdefault(name, []).extend(opened(client, paths))
    for name, found in times.items():
        say(f"{kind}, {name}: p95 {p95(found)} ms, median {statistics.median(found):.1f} ms, n={len(found)}")
        report.at_most(f"{kind}: {name}, ms p95", p95(found), PAGE_MS)


def ask(hub: Hub, kind: str, orders: int, repetitions: int, report: Report, say: Say) -> None:
    """Every question, interleaved over the repetitions."""
    times: dict[str, list[float]] = {}
    with grpc.insecure_channel(hub.address("operations")) as channel:
        stub = OperationsServiceStub(channel)
        for _, (name, (method, requests)) in itertools.product(range(repetitions), questions(orders).items()):
            times.setdefault(name, []).extend(asked(stub, method, requests))
    for name, found in times.items():
        say(f"{kind}, {name}: p95 {p95(found)} ms, median {statistics.median(found):.1f} ms, n={len(found)}")
        report.at_most(f"{kind}: {name}, ms p95", p95(found), SEARCH_MS if name == "order search" else PAGE_MS)
