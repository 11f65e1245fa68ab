"""The door for calls: one effect per document, the first answer again, conflicts kept, refusals that change nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from servicekit.database import Database
from servicekit.domain import BusinessKeyConflict
from servicekit.door import Door
from tests.support import toy
from tests.support.toy import an_add, rows, snapshot

pytestmark = pytest.mark.connected


async def test_a_document_takes_effect_once_however_often_it_comes(door: Door, database: Database) -> None:
    first = await door.run(toy.add, an_add("1", amount="4"))
    again = await door.run(toy.add, an_add("1", amount="4.0"))
    assert not first.replayed
    assert again.replayed
    assert again.stock == first.stock
    assert await rows(database, "SELECT amount FROM tallies") == [(4_000_000,)]
    assert await rows(database, "SELECT COUNT(*) FROM outbox") == [(1,)]


async def test_fifty_callers_with_one_document_have_one_effect(door: Door, database: Database) -> None:
    answers = await asyncio.gather(*(door.run(toy.add, an_add("1")) for _ in range(50)))
    assert sum(not answer.replayed for answer in answers) == 1
    assert {answer.stock.quantity.value for answer in answers} == {"1"}
    assert await rows(database, "SELECT amount FROM tallies") == [(1_000_000,)]


async def test_the_same_key_with_other_content_is_refused_and_both_are_kept(door: Door, database: Database) -> None:
    await door.run(toy.add, an_add("1", amount="4"))
    for _ in range(2):
        with pytest.raises(BusinessKeyConflict):
            await door.run(toy.add, an_add("1", amount="5"))
    kept = await rows(database, "SELECT first_content, second_content FROM conflicts")
    assert len(kept) == 1
    assert '"value":"4"' in kept[0][0]
    assert '"value":"5"' in kept[0][1]
    assert await rows(database, "SELECT amount FROM tallies") == [(4_000_000,)]


async def test_a_refusal_changes_nothing_and_is_not_remembered(door: Door, database: Database) -> None:
    before = await snapshot(database)
    with pytest.raises(toy.TallyMissing):
        await door.run(toy.add, an_add("1", tally_id="old"))
    assert await snapshot(database) == before


async def test_a_bug_in_one_decision_does_not_touch_its_neighbours(door: Door, database: Database) -> None:
    calls = [door.run(toy.add, an_add(str(n), note="bug" if n == 3 else "")) for n in range(6)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, ZeroDivisionError) for answer in answers] == [False, False, False, True, False, False]
    assert await rows(database, "SELECT amount FROM tallies") == [(5_000_000,)]


async def test_two_documents_of_one_batch_see_each_other(door: Door, database: Database) -> None:
    await asyncio.gather(*(door.run(toy.add, an_add(str(n), amount="0.000001")) for n in range(200)))
    assert await rows(database, "SELECT amount FROM tallies") == [(200,)]


async def test_facts_are_numbered_without_holes_in_commit_order(door: Door, database: Database) -> None:
    await asyncio.gather(*(door.run(toy.add, an_add(str(n), tally_id=f"new-{n % 7}")) for n in range(60)))
    sequences = [row[0] for row in await rows(database, "SELECT sequence FROM outbox ORDER BY sequence")]
    assert sequences == list(range(1, 61))


async def test_amounts_are_exact_to_the_millionth(door: Door, database: Database) -> None:
    for number, amount in enumerate(("0.1", "0.2", "999999999999")):
        await door.run(toy.add, an_add(str(number), amount=amount))
    assert await rows(database, "SELECT amount FROM tallies") == [(int(Decimal("999999999999.3") * 10**6),)]


async def test_a_caller_that_gives_up_leaves_a_whole_effect_or_none(door: Door, database: Database) -> None:
    call = asyncio.ensure_future(door.run(toy.add, an_add("1")))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    answer = await door.run(toy.add, an_add("1"))
    assert answer.stock.quantity.value == "1"
    assert await rows(database, "SELECT COUNT(*) FROM outbox") == [(1,)]
