"""Figures over time: taken once an interval of entries and desks, put together, paged, and shown; on both databases."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import httpx
import pytest

from isthmus.operations.v1 import operations_service_pb2 as messages
from isthmus.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from servicekit import audit, clock, counts
from servicekit.database import Database, Tx
from servicekit.door import run_again
from servicekit.facts import time_of
from services.operations import kpis
from services.operations.domain import kpi
from services.operations.settings import Settings
from services.operations.store import ENTRIES
from tests.operations import told
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import Hub

pytestmark = pytest.mark.connected
END = datetime(2026, 11, 26, 12, tzinfo=UTC)
EVERY = timedelta(minutes=5)


@pytest.fixture
def database(database_url: str) -> Database:
    told.fill(database_url)
    return Database(database_url)


def settings(**more: object) -> Settings:
    return Settings(database_url="", nats_url="", listen="", plants=("aachen", "brno"), kpi_seconds=300, **more)  # type: ignore[arg-type]


async def heard(database: Database, *entries: tuple[str, float, float]) -> None:
    """Entries of aachen by type, minutes before the end, and lag in seconds."""
    made = []
    for number, (fact_type, minutes, lag) in enumerate(entries):
        at = END - timedelta(minutes=minutes)
        one = told.entry(100 + number, "told", 0)
        made.append(
            replace(one, fact_type=fact_type, record_time=at, occur_time=at - timedelta(seconds=lag), is_late=lag > 60)
        )
    await database.write(lambda tx: ENTRIES.insert(tx, made))


async def listed(database: Database, **more: object) -> list[tuple[str, str, str, str]]:
    request = messages.ListKpisRequest(page_size=3, **more)  # type: ignore[arg-type]
    request.start_time.FromDatetime(END - timedelta(days=1))
    request.end_time.FromDatetime(END + timedelta(days=1))
    found: list[tuple[str, str, str, str]] = []
    while True:
        page = await database.read(lambda tx: kpis.list_kpis(tx, request, EVERY))
        assert len(page.kpis) <= 3
        found += [
            (one.sample_time.ToDatetime(UTC).strftime("%H:%M"), one.plant_id, one.kpi_id, one.value)
            for one in page.kpis
        ]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_a_sample_is_of_its_interval_and_taken_once(database: Database) -> None:
    await heard(
        database,
        (kpi.CONFIRMED, 5, 1),
        (kpi.CONFIRMED, 4, 2.5),
        (kpi.CONFIRMED, 3, 120),
        (kpi.ACCEPTED, 1, 0),
        (kpi.CONFIRMED, 6, 900),
        (kpi.CONFIRMED, 0, 900),
    )  # the last two are of the intervals before and after
    sampler = kpis.Sampler(database, settings())
    for _ in range(2):
        await sampler.sample(END)
    aachen = {name: value for _, plant, name, value in await listed(database) if plant == "aachen"}
    assert aachen == {
        "confirmations": "3",
        "confirmations-late": "1",
        "confirmation-lag-p50": "2.5",
        "confirmation-lag-p95": "120",
        "orders-accepted": "1",
        "orders-refused": "0",
        "postings-refused": "0",
    }
    brno = {name for _, plant, name, _ in await listed(database) if plant == "brno"}
    assert brno == set(aachen) - {"confirmation-lag-p50", "confirmation-lag-p95"}, "nothing measured is not zero"


async def test_intervals_are_put_together_counts_by_sum_and_the_rest_by_the_worst(database: Database) -> None:
    await heard(database, (kpi.CONFIRMED, 2, 1), (kpi.CONFIRMED, 7, 30), (kpi.CONFIRMED, 62, 5))
    sampler = kpis.Sampler(database, settings())
    for back in range(14):
        await sampler.sample(END - back * EVERY)
    found = [row for row in await listed(database, interval_count=12, plant_id="aachen") if row[2].startswith("conf")]
    assert [row for row in found if row[2] == "confirmations"] == [
        ("11:00", "aachen", "confirmations", "1"),
        ("12:00", "aachen", "confirmations", "2"),
    ]
    assert [row[3] for row in found if row[2] == "confirmation-lag-p95"] == ["5", "30"]


async def test_a_desk_or_bridge_that_does_not_answer_leaves_its_figures_out(database: Database) -> None:
    away = f"127.0.0.1:{free_port()}"
    await kpis.Sampler(database, settings(desks={"quality": away}, edge_bridges={"aachen": away})).sample(END)
    names = {name for _, _, name, _ in await listed(database)}
    assert "confirmations" in names
    assert not {"parked", "replayed", "backlog", "duplicates-prevented"} & names


async def test_the_entries_of_an_interval_are_found_by_their_index(database: Database) -> None:
    sql = f"SELECT 1 FROM timeline_entries WHERE {kpis.COUNTED} AND record_time >= 1 AND record_time < 2 AND plant_id = 'x'"
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"

    def plan(tx: Tx) -> str:
        if not tx.is_sqlite:  # of a few rows it would read all
            tx.run("SET LOCAL enable_seqscan = off")
        return " ".join(str(row[-1]) for row in tx.rows(f"{explain} {sql}"))

    assert "timeline_counted" in await database.read(plan)


async def test_old_samples_are_forgotten(database: Database) -> None:
    sampler = kpis.Sampler(database, settings())
    await sampler.sample(END)
    await sampler.sample(END - timedelta(hours=1))
    assert await database.write(lambda tx: kpis.prune(tx, END)) > 0
    assert {at for at, *_ in await listed(database)} == {"12:00"}


@pytest.fixture
def every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATIONS_KPI_SECONDS", "1")


def sampled(stub: OperationsServiceStub) -> messages.ListKpisResponse:
    request = messages.ListKpisRequest(plant_id="brno")
    request.start_time.FromDatetime(clock.now() - timedelta(minutes=5))
    request.end_time.FromDatetime(clock.now() + timedelta(minutes=5))
    return stub.ListKpis(request, timeout=5)


def test_samples_are_taken_by_themselves_shown_as_charts_and_given_as_csv(
    every_second: None, console: httpx.Client, hub: Hub
) -> None:
    with grpc.insecure_channel(hub.address("operations")) as channel:
        stub = OperationsServiceStub(channel)
        asyncio.run(eventually(lambda: sampled(stub).kpis, within=30))
        assert {one.kpi_id for one in sampled(stub).meanings} == set(kpi.KPIS)
    page = console.get("/kpis").text
    assert page.count('class="card"') == len(kpi.KPIS) + 1
    assert "data-series=" in page
    answer = console.get("/kpis.csv", params={"days": "x"})
    lines = list(csv.DictReader(answer.text.splitlines()))
    assert answer.headers["content-type"].startswith("text/csv")
    assert {line["plant_id"] for line in lines} == {"aachen", "brno"}
    assert {line["kpi_id"] for line in lines} >= {"confirmations", "orders-accepted"}


def test_what_the_desks_say_is_in_the_sample(
    console: httpx.Client, hub: Hub, toy_store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPERATIONS_DESKS")  # of the process; they would be added to those of this sampler
    told.park(toy_store, ["shut-1", "shut-2"])
    operations = Database(hub.urls["operations"])

    async def look() -> list[tuple[str, str, str, str]]:
        sampler = kpis.Sampler(operations, settings(desks={"inventory": hub.address("inventory")}))
        await sampler.sample(END - EVERY)
        await run_again(toy_store, lambda tx: counts.add(tx, "inventory", Counter({("aachen", counts.REPEAT): 7})))
        clock_now = clock.now()
        act = audit.Action("release", "inventory shut-1", "", "kim", "asked", "")
        await run_again(toy_store, lambda tx: audit.append(tx, act))
        end = clock_now + timedelta(seconds=30)  # an interval that the action falls in
        await sampler.sample(end)
        request = messages.ListKpisRequest(page_size=5000)
        request.start_time.FromDatetime(END - timedelta(days=1))
        request.end_time.FromDatetime(end + timedelta(days=1))
        page = await operations.read(lambda tx: kpis.list_kpis(tx, request, timedelta(microseconds=1)))
        at = {END - EVERY: "before", end: "after"}
        return [(at.get(time_of(one.sample_time), "own"), one.plant_id, one.kpi_id, one.value) for one in page.kpis]

    found = asyncio.run(look())
    operations.close()
    of_desks = {row for row in found if row[2] in kpis.OF_DESKS and row[0] != "own"}
    assert of_desks == {
        ("before", "aachen", "parked", "2"),
        ("before", "brno", "parked", "0"),
        ("before", "aachen", "lot-updates-failed", "0"),
        ("before", "brno", "lot-updates-failed", "0"),
        ("before", "group", "replayed", "0"),
        ("before", "group", "replays-stuck", "0"),
        ("after", "aachen", "parked", "2"),
        ("after", "brno", "parked", "0"),
        ("after", "aachen", "lot-updates-failed", "0"),
        ("after", "brno", "lot-updates-failed", "0"),
        ("after", "group", "replayed", "1"),
        ("after", "group", "replays-stuck", "1"),
        ("after", "aachen", "duplicates-prevented", "7"),
        ("after", "brno", "duplicates-prevented", "0"),
    }
