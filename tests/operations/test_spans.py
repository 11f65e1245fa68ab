"""Which traces are kept: bounded in age and number, what went wrong the longest, each whole or not at all; on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit import migrate
from servicekit.clock import micros
from servicekit.database import Database
from services.operations import __main__ as operations
from services.operations import spans
from tests.support.toy import rows

pytestmark = pytest.mark.connected
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MINUTE, SLOW, KEPT = timedelta(minutes=1), timedelta(seconds=5), timedelta(days=7)
LIMITS = {"mes-acceptance": MINUTE}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    found = Database(database_url)
    migrate.migrate(found.engines[0], "operations", Path(operations.__file__).parent / "migrations")
    yield found
    found.close()


def a_span(
    trace_id: str, number: int = 1, *, age: timedelta = 60 * MINUTE, seconds: float = 0, error: bool = False
) -> spans.Span:
    end = micros(NOW - age) * 1000 + number
    return (trace_id, f"{number:016x}", "", "production", "step", end - int(seconds * 1e9), end, error)


async def export(database: Database, *found: spans.Span) -> None:
    await database.write(lambda tx: spans.insert(tx, found, SLOW))


async def prune(database: Database, most: int) -> list[str]:
    """The traces that are left."""
    await spans.prune(database, NOW, KEPT, most, LIMITS)
    left = await rows(database, "SELECT DISTINCT trace_id FROM spans ORDER BY trace_id")
    known = await rows(database, "SELECT trace_id FROM traces ORDER BY trace_id")
    assert left == known
    return [trace_id for (trace_id,) in left]


async def order(database: Database, trace_id: str) -> str:
    order_id = f"order-{trace_id}"
    values = (order_id, "aachen", "", trace_id)
    await database.write(lambda tx: tx.run("INSERT INTO order_references VALUES (?,?,?,?)", values))
    return order_id


async def alarm(database: Database, order_id: str) -> None:
    values = (f"event-{order_id}", order_id, "aachen", 0, 0, "refused", "", "", False, True, False, 1)
    await database.write(lambda tx: tx.run(f"INSERT INTO timeline_entries VALUES ({','.join('?' * 12)})", values))


async def clock(database: Database, order_id: str, waited: timedelta, *, is_closed: bool) -> None:
    end = micros(NOW - MINUTE) if is_closed else 0
    begun = micros((NOW - MINUTE if is_closed else NOW) - waited)
    values = ("mes-acceptance", "aachen", order_id, order_id, begun, end, is_closed)
    await database.write(lambda tx: tx.run(f"INSERT INTO sla_clocks VALUES ({','.join('?' * 7)})", values))


async def test_beyond_the_bound_the_oldest_ordinary_traces_go(database: Database) -> None:
    for age in (1, 2, 3, 4, 5):
        await export(database, *[a_span(f"trace-{age}", number, age=age * 10 * MINUTE) for number in (1, 2, 3)])
    assert await prune(database, 15) == ["trace-1", "trace-2", "trace-3", "trace-4", "trace-5"]
    assert await prune(database, 8) == ["trace-1", "trace-2"]


async def test_traces_that_failed_or_were_slow_outlive_ordinary_ones(database: Database) -> None:
    await export(database, a_span("failed", error=True), a_span("failed", 2), a_span("slow", seconds=5))
    await export(database, *[a_span(f"young-{number}", age=2 * MINUTE, seconds=4) for number in range(150)])
    assert await prune(database, 3) == ["failed", "slow"]


async def test_the_traces_of_alarms_and_of_breached_clocks_outlive_ordinary_ones(database: Database) -> None:
    for trace_id in ("alarmed", "in-time", "late", "waiting", "young"):
        await export(database, a_span(trace_id, age=(2 if trace_id == "young" else 60) * MINUTE))
    await alarm(database, await order(database, "alarmed"))
    await clock(database, await order(database, "late"), 2 * MINUTE, is_closed=True)
    await clock(database, await order(database, "waiting"), 2 * MINUTE, is_closed=False)
    await clock(database, await order(database, "in-time"), MINUTE, is_closed=True)
    assert await prune(database, 3) == ["alarmed", "late", "waiting"]


async def test_when_nothing_ordinary_is_left_the_oldest_troubled_go(database: Database) -> None:
    for age in (2, 3, 4):
        await export(database, a_span(f"trace-{age}", age=age * MINUTE, error=True))
    assert await prune(database, 1) == ["trace-2"]


async def test_a_trace_that_still_grows_is_not_judged_yet(database: Database) -> None:
    await export(database, a_span("growing", age=MINUTE / 2), a_span("done", age=2 * MINUTE, error=True))
    assert await prune(database, 1) == ["growing"]


async def test_a_trace_is_kept_whole_for_its_time_after_its_last_span(database: Database) -> None:
    await export(database, a_span("long", 1, age=2 * KEPT), a_span("old", 1, age=KEPT + MINUTE, error=True))
    await export(database, a_span("long", 2, age=KEPT - MINUTE))
    assert await prune(database, 100) == ["long"]
    assert len(await rows(database, "SELECT 1 FROM spans WHERE trace_id = 'long'")) == 2


async def test_an_export_that_comes_twice_is_kept_once_and_trouble_is_not_forgotten(database: Database) -> None:
    await export(database, a_span("twice", error=True))
    await export(database, a_span("twice", 2), a_span("twice", error=True))
    await export(database, a_span("twice", 3))
    assert len(await rows(database, "SELECT 1 FROM spans")) == 3
    assert [bool(flag) for (flag,) in await rows(database, "SELECT is_troubled FROM traces")] == [True]


async def test_one_trace_can_t_take_the_place_of_all(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "TRACE_MOST", 3)
    for number in range(5):
        await export(database, a_span("runaway", number), a_span(f"other-{number}"))
    counted = await rows(database, "SELECT trace_id, COUNT(*) FROM spans GROUP BY trace_id ORDER BY trace_id")
    assert counted == [*((f"other-{number}", 1) for number in range(5)), ("runaway", 3)]
