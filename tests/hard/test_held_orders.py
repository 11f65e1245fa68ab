"""A line is blocked while orders are released on it: no schedule leaves one of them untold, with production's own use cases."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from servicekit import migrate
from servicekit.database import Database
from servicekit.domain import BusinessKey, Quantity
from servicekit.door import Door
from servicekit.use_case import Decision, Seen
from services.production import line_teller, line_use_cases, line_wire, queries, use_cases, wire
from services.production.domain.line import Block, Line
from services.production.domain.work_order import Item
from services.production.store import LINES, STORE
from tests.support.toy import rows

pytestmark = pytest.mark.connected
PIECES = Quantity(Decimal(5), "C62")
DOWN = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.fixture
async def kit(database_url: str) -> AsyncIterator[Any]:
    """Production's database and doors, without a broker: calls come in by one, facts by the other, as from a replica.

    A door decides one after another; SQLite has one for all. The teller is asked by the test.
    """
    database = Database(database_url)
    migrate.migrate(database.engines[0], "production", Path("services/production/migrations"))
    door = Door(database, STORE, lambda _facts: None)
    serving = asyncio.ensure_future(door.serve()) if database.is_sqlite else None
    other = database if database.is_sqlite else Database(database_url)
    facts = SimpleNamespace(
        database=other, door=door if database.is_sqlite else Door(other, STORE, lambda _facts: None)
    )
    await door.run(use_cases.record_item, Item("aachen", "PUMP-100", "C62", True))
    yield SimpleNamespace(database=database, door=door, facts=facts)
    if serving is not None:
        serving.cancel()
    else:
        other.close()
    database.close()


def a_release(number: str, line: str) -> wire.ReleaseWorkOrder:
    return wire.ReleaseWorkOrder(
        business_key=BusinessKey("erp-aachen", "work_order", number),
        work_order_id=f"aachen-{number}",
        plant_id="aachen",
        erp_order_number=number,
        item_id="PUMP-100",
        planned=PIECES,
        bill_of_materials_id="",
        routing_id="",
        planned_start_date=None,
        due_date=None,
        operations=(wire.OrderedOperation(10, "Press", line),),
        components=(),
    )


async def after(turns: int, work: Any) -> None:
    """`turns` of the event loop are waited before, so that schedules differ."""
    for _ in range(turns):
        await asyncio.sleep(0)
    await work


async def block_and_tell(kit: Any, line: str) -> None:
    """The block, and at once the teller, as if it looked in that very moment."""
    block = line_wire.BlockLine("aachen", line, Block(f"down-{line}", "PRESS-1", 17, DOWN), DOWN)
    await kit.facts.door.run(line_use_cases.block_line, block)
    await tell(kit.facts, line)


async def tell(kit: Any, line: str) -> None:
    for known in await kit.database.read(queries.lines_to_tell):
        if known.line_id == line:
            await line_teller.tell(kit, known)


async def one_schedule(kit: Any, line: str, dice: random.Random) -> None:
    orders = [f"{line}-{n}" for n in range(4)]
    if dice.random() < 0.5:  # the line has had orders before, or is new to everybody
        await kit.door.run(use_cases.release_work_order, a_release(f"{line}-first", line))
        orders.append(f"{line}-first")
    work = [kit.door.run(use_cases.release_work_order, a_release(f"{line}-{n}", line)) for n in range(4)]
    work.append(block_and_tell(kit, line))
    dice.shuffle(work)
    await asyncio.gather(*(after(dice.randrange(60), one) for one in work))
    held = await rows(
        kit.database,
        "SELECT work_order_id FROM work_orders WHERE is_held AND work_order_id LIKE ?",
        (f"aachen-{line}-%",),
    )
    assert sorted(row[0] for row in held) == sorted(f"aachen-{order}" for order in orders)
    told = await rows(
        kit.database,
        "SELECT order_key, count(*) FROM outbox WHERE fact_type LIKE '%.WorkOrderHeld' AND order_key LIKE ? GROUP BY order_key",
        (f"aachen-{line}-%",),
    )
    assert {row[1] for row in told} == {1}
    assert len(told) == len(orders)


async def test_no_schedule_leaves_a_released_order_on_a_blocked_line_untold(kit: Any) -> None:
    dice = random.Random(20261125)
    for number in range(60):
        await one_schedule(kit, f"line{number:02}", dice)


async def test_an_order_whose_release_has_read_its_line_is_waited_for_by_the_block(kit: Any) -> None:
    await kit.door.run(use_cases.release_work_order, a_release("first", "SLOW"))
    has_read, is_told = threading.Event(), threading.Event()

    def decide(seen: Seen, command: wire.ReleaseWorkOrder, now: datetime) -> Decision:
        has_read.set()
        is_told.wait(0.5)  # the block would have to overtake this decision; it is locked out and comes behind
        return use_cases.decide_release(seen, command, now)

    slow = replace(use_cases.release_work_order, decide=decide)
    releasing = asyncio.ensure_future(kit.door.run(slow, a_release("slow", "SLOW")))
    assert await asyncio.to_thread(has_read.wait, 10)
    await block_and_tell(kit, "SLOW")
    is_told.set()
    await releasing
    held = await rows(kit.database, "SELECT work_order_id FROM work_orders WHERE is_held ORDER BY work_order_id")
    assert [row[0] for row in held] == ["aachen-first", "aachen-slow"]


async def test_a_line_with_more_orders_than_a_page_tells_each_once_and_frees_each_once(kit: Any) -> None:
    many = 2 * line_teller.PAGE + 7
    for number in range(many):
        await kit.door.run(use_cases.release_work_order, a_release(f"many-{number}", "LONG"))
    await block_and_tell(kit, "LONG")
    line = (await kit.database.read(lambda tx: LINES.select(tx, "line_id = 'LONG'", ())))[0]
    assert line == Line("aachen", "LONG", line.blocks, 1, 1)
    free = line_wire.FreeLine("aachen", "LONG", "down-LONG", DOWN)
    for _ in range(2):
        await kit.door.run(line_use_cases.free_line, free)
        await tell(kit.facts, "LONG")
    for fact in ("WorkOrderHeld", "WorkOrderResumed"):
        told = await rows(kit.database, "SELECT order_key FROM outbox WHERE fact_type LIKE ?", (f"%.{fact}",))
        assert len(told) == len(set(told)) == many
