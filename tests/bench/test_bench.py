"""What the yardstick measures does the work that it is measured by; a few facts are enough to see that."""

from __future__ import annotations

import asyncio
import inspect
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local.report import Report
from tests.bench import control_room, handler, latency, pipeline, replicas, rpc, work
from tests.bench.__main__ import ON_BOTH, ONCE, PARTS, steps
from tests.bench.orders import booked, echo, production
from tests.support.broker import Broker
from tests.support.postgres import Postgres

pytestmark = pytest.mark.connected


@pytest.mark.parametrize("who", ["ideal", "kit"])
def test_each_consumer_takes_every_fact_once(who: str, broker: Broker, database_url: str, tmp_path: Path) -> None:
    assert pipeline.once(who, broker, database_url, 300, tmp_path) > 0


@pytest.mark.parametrize("who", ["ideal", "kit"])
def test_the_latency_of_every_fact_is_seen(
    who: str, broker: Broker, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "SECONDS", 1)
    assert len(latency.once(who, broker, database_url, 50, tmp_path)) == 50


def test_inventory_moves_what_each_confirmation_used(
    broker: Broker, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "FACTS", 300)
    asyncio.run(work.fill(broker.url, 300, work.a_confirmation, work.SUBJECT_CONFIRMED))
    assert handler.inventory(broker, database_url, tmp_path) > 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_calls_and_messages_book_what_they_say(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    numbers = count()
    on_sqlite = kind == "sqlite"
    fresh = (
        (lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}")
        if on_sqlite
        else request.getfixturevalue("postgres").fresh
    )
    with production(tmp_path, fresh) as hub, echo() as bare:
        address = hub.address("production")
        rpc.once("unary", bare, 0, 100)
        rpc.once("unary", address, 0, 100)
        rpc.once("stream", address, 100, 300)
        assert booked(hub.urls["production"]) == (400, 400, 400)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_operations_answers_from_a_store_that_was_filled_and_hears_every_fact(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_room, "FACTS", 500)
    monkeypatch.setattr(control_room, "ASKED", 60)
    monkeypatch.setattr(control_room, "PAGES_ASKED", 10)
    report = Report()
    control_room.measure(kind, 1, tmp_path, report, print, orders=1500)
    assert len(report.checks) == 16


def test_replicas_book_every_call_once(postgres: Postgres, tmp_path: Path) -> None:
    assert replicas.once(2, 200, tmp_path, postgres.fresh)["booked"] > 0


def test_every_part_can_be_run_as_make_bench_runs_it(tmp_path: Path) -> None:
    asked = SimpleNamespace(parts=",".join(PARTS), facts=1, repetitions=1, only="")
    found = steps(asked)
    assert len(found) == len(pipeline.GOALS) + 2 * len(ON_BOTH) + len(ONCE)
    for _, run in found:
        inspect.signature(run).bind(tmp_path, Report(), print)
