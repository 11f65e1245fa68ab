"""A line is blocked while orders are released on it: no schedule leaves a released order on a blocked line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from servicekit.database import Database
from servicekit.domain import DomainError
from servicekit.door import Door
from servicekit.use_case import UseCase
from tests.hard import shop
from tests.hard.shop import OnLine
from tests.support.toy import rows

pytestmark = pytest.mark.connected


@pytest.fixture
async def floor(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Database, Door]]:
    database = shop.open_database(database_url, tmp_path / "shop")
    door = Door(database, shop.STORE, lambda _facts: None)
    serving = asyncio.ensure_future(door.serve()) if database.is_sqlite else None
    yield database, door
    if serving is not None:
        serving.cancel()
    database.close()


async def attempt(door: Door, use_case: UseCase[OnLine], command: OnLine, after: int) -> str:
    """ "done", or the reason of the refusal. `after`: turns of the event loop to wait before, so that schedules differ."""
    for _ in range(after):
        await asyncio.sleep(0)
    try:
        await door.run(use_case, command)
    except DomainError as refusal:
        return str(refusal.reason)
    return "done"


async def one_schedule(
    floor: tuple[Database, Door], number: int, release: UseCase[OnLine], dice: random.Random
) -> None:
    database, door = floor
    line, orders = f"line-{number}", [f"order-{number}-{n}" for n in range(3)]
    await database.write(lambda tx: tx.run("INSERT INTO lines VALUES (?, ?)", (line, False)))
    planned = [(order, line, "planned") for order in orders]
    await database.write(lambda tx: tx.many("INSERT INTO orders VALUES (?, ?, ?)", planned))
    wanted = [(release, OnLine(line, order)) for order in orders]
    wanted += [(shop.block, OnLine(line)), (shop.add, OnLine(line, f"new-{number}"))]
    dice.shuffle(wanted)
    told = await asyncio.gather(*(attempt(door, what, command, dice.randrange(40)) for what, command in wanted))
    assert set(told) <= {"done", "LINE_BLOCKED"}, told
    assert await rows(database, "SELECT is_blocked FROM lines WHERE line_id = ?", (line,)) == [(True,)]
    states = [row[0] for row in await rows(database, "SELECT state FROM orders WHERE line_id = ?", (line,))]
    assert "released" not in states, f"a released order on a blocked line: {told}, {states}"
    assert states.count("held") == told.count("done") - 1, "what was answered as done is held, not forgotten"


async def test_no_schedule_leaves_a_released_order_on_a_blocked_line(floor: tuple[Database, Door]) -> None:
    dice = random.Random(20261124)
    for number in range(60):
        await one_schedule(floor, number, shop.release, dice)


async def test_nor_when_the_two_lock_the_other_way_round_and_meet_in_a_deadlock(floor: tuple[Database, Door]) -> None:
    dice = random.Random(4)
    for number in range(6):
        await one_schedule(floor, number, shop.release_unknown, dice)
