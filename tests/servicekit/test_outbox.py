"""The outbox keeps what a lost stream would need, for as long as it is needed, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest

from servicekit import claims, clock, outbox
from servicekit.database import Database
from servicekit.door import Door
from servicekit.facts import slot_of
from tests.support import toy
from tests.support.toy import an_add, rows

pytestmark = pytest.mark.connected
SLOT = slot_of("inventory", toy.PLANT)
DAY = timedelta(days=1)


async def told(door: Door, count: int) -> None:
    for number in range(1, count + 1):
        await door.run(toy.add, an_add(str(number)))


async def store(database: Database, sequence: int, at: datetime) -> None:
    await database.write(partial(outbox.mark_stored, slot=SLOT, sequence=sequence, now=at))


async def kept(database: Database) -> list[int]:
    return [row[0] for row in await rows(database, "SELECT sequence FROM outbox ORDER BY sequence")]


async def test_rows_go_when_the_stream_has_held_them_long_enough(door: Door, database: Database) -> None:
    await told(door, 10)
    now = clock.now()
    await store(database, 4, now - 40 * DAY)
    await store(database, 10, now - 20 * DAY)
    await database.write(partial(outbox.prune, before=now - 35 * DAY))
    assert await kept(database) == [5, 6, 7, 8, 9, 10]


async def test_what_was_kept_back_for_a_month_stays_when_it_is_stored_at_last(door: Door, database: Database) -> None:
    await told(door, 3)
    now = clock.now()
    await database.write(lambda tx: tx.run("UPDATE outbox SET record_time = 0"))
    await store(database, 3, now)
    await database.write(partial(outbox.prune, before=now - 35 * DAY))
    assert await kept(database) == [1, 2, 3]


async def test_what_no_stream_holds_is_never_dropped_and_the_last_stored_row_stays(
    door: Door, database: Database
) -> None:
    await told(door, 5)
    now = clock.now()
    await store(database, 3, now - 40 * DAY)
    await database.write(partial(outbox.prune, before=now - 35 * DAY))
    assert await kept(database) == [3, 4, 5]


async def test_pruning_goes_in_small_steps_until_nothing_is_left_to_do(door: Door, database: Database) -> None:
    await told(door, 9)
    now = clock.now()
    await store(database, 9, now - 40 * DAY)
    steps = [await database.write(partial(outbox.prune, before=now - 35 * DAY, most=3)) for _ in range(4)]
    assert steps == [3, 3, 2, 0]


async def test_a_document_is_forgotten_when_its_time_has_passed(door: Door, database: Database) -> None:
    await told(door, 3)
    assert await database.write(partial(claims.prune, before=clock.now() - DAY)) == 0
    assert await database.write(partial(claims.prune, before=clock.now() + DAY)) == 3
