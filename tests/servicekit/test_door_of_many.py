"""The door for volume: many documents in one transaction, each with its own outcome, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from isthmus.inventory.v1.inventory_service_pb2 import ConfirmReceiptRequest, ConfirmReceiptResponse
from servicekit.batch import Batch
from servicekit.database import Database, LockTimeout, Tx
from servicekit.domain import BusinessKeyConflict
from servicekit.door import Door, Outcome
from servicekit.errors import FieldInvalid
from tests.support import toy
from tests.support.toy import a_document, an_add, rows, snapshot

pytestmark = pytest.mark.connected
AMOUNTS = "SELECT amount / 1000000 FROM tallies ORDER BY tally_id"


async def run(door: Door, *documents: ConfirmReceiptRequest) -> list[Outcome]:
    return await door.run_each(toy.add, documents, toy.add_of)


def told(outcomes: Sequence[Outcome]) -> list[str]:
    """taken, replayed, or the name of the refusal."""
    return [
        ("replayed" if outcome.replayed else "taken")
        if isinstance(outcome, ConfirmReceiptResponse)
        else type(outcome).__name__
        for outcome in outcomes
    ]


async def test_each_document_has_its_own_outcome_and_a_refused_one_harms_no_other(
    door: Door, database: Database
) -> None:
    await door.run(toy.add, an_add("0"))
    outcomes = await run(
        door,
        a_document("0"),
        a_document("1"),
        a_document("2", tally="old"),
        a_document("3", amount="1e5"),
        a_document("4", unit="XYZ"),
        a_document("5", tally="new-bug"),
        a_document("6", amount="2"),
    )
    assert told(outcomes) == [
        "replayed", "taken", "TallyMissing", "FieldInvalid", "UnitUnknown", "ZeroDivisionError", "taken",
    ]  # fmt: skip
    assert await rows(database, AMOUNTS) == [(4,)]
    assert await rows(database, "SELECT COUNT(*) FROM claims") == [(3,)]


async def test_a_message_sent_again_has_the_same_answers_and_no_effect(door: Door, database: Database) -> None:
    documents = [a_document(str(number), tally=f"new-{number % 7}") for number in range(100)]
    first = await run(door, *documents)
    before = await snapshot(database)
    again = await run(door, *documents)
    assert (set(told(first)), set(told(again))) == ({"taken"}, {"replayed"})
    assert [a.stock for a in again] == [a.stock for a in first]  # type: ignore[union-attr]
    assert await snapshot(database) == before


async def test_documents_are_decided_in_their_order(door: Door, database: Database) -> None:
    outcomes = await run(door, *(a_document(str(number)) for number in range(20)))
    assert [o.stock.quantity.value for o in outcomes] == [str(n + 1) for n in range(20)]  # type: ignore[union-attr]
    kept = await rows(database, "SELECT sequence FROM outbox ORDER BY sequence")
    assert [row[0] for row in kept] == list(range(1, 21))


async def test_two_documents_of_one_key_in_one_message(door: Door, database: Database) -> None:
    same = await run(door, a_document("1", amount="4"), a_document("1", amount="4"))
    other = await run(door, a_document("2", amount="4"), a_document("2", amount="5"), a_document("3"))
    assert (told(same), told(other)) == (["taken", "replayed"], ["taken", "BusinessKeyConflict", "taken"])
    assert await rows(database, AMOUNTS) == [(9,)]
    assert await rows(database, "SELECT COUNT(*) FROM conflicts") == [(1,)]
    assert isinstance(other[1], BusinessKeyConflict)


async def test_a_message_of_refusals_alone_writes_nothing(door: Door, database: Database) -> None:
    before = await snapshot(database)
    outcomes = await run(door, a_document("1", amount=""), a_document("2", tally="old"))
    assert told(outcomes) == ["FieldInvalid", "TallyMissing"]
    assert isinstance(outcomes[0], FieldInvalid)
    assert await snapshot(database) == before


async def test_messages_of_many_callers_meet_without_loss(door: Door, database: Database) -> None:
    """Every message touches the same tallies in another order: locks are taken in one order, else they would deadlock."""
    numbers = count()
    messages = [
        [a_document(str(next(numbers)), tally=f"new-{(n * step) % 5}") for n in range(20)] for step in range(1, 9)
    ]
    outcomes = await asyncio.gather(*(run(door, *documents) for documents in messages))
    assert {word for each in outcomes for word in told(each)} == {"taken"}
    assert sum(row[0] for row in await rows(database, AMOUNTS)) == 160


async def test_a_document_that_the_database_refuses_fails_alone_and_the_message_is_still_whole(
    door: Door, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch as a whole can't be saved; each document is then a part of one transaction that fails alone."""
    save, commits = Batch.save, []

    def failing(batch: Batch) -> Any:
        told = save(batch)
        if any(claim.business_key.document_number == "3" for claim in batch._new_claims):
            batch._tx.run("INSERT INTO tallies (tally_id, amount, is_closed) VALUES (NULL, NULL, NULL)")
        return told

    write = database.write

    async def counted(work: Any) -> Any:
        result = await write(work)
        commits.append(work)
        return result

    monkeypatch.setattr(Batch, "save", failing)
    monkeypatch.setattr(database, "write", counted)
    outcomes = await run(door, *(a_document(str(number)) for number in range(6)))
    assert told(outcomes) == ["taken", "taken", "taken", "Again", "taken", "taken"]
    assert len(commits) == 1
    assert await rows(database, AMOUNTS) == [(5,)]
    assert [row[0] for row in await rows(database, "SELECT sequence FROM outbox ORDER BY sequence")] == [1, 2, 3, 4, 5]


async def test_a_fault_of_the_database_does_nothing_of_the_message(
    door: Door, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await snapshot(database)

    def locked(_batch: Batch) -> Any:
        raise LockTimeout

    monkeypatch.setattr(Batch, "save", locked)
    with pytest.raises(LockTimeout):
        await run(door, a_document("1"), a_document("2"))
    monkeypatch.undo()
    assert await snapshot(database) == before


@pytest.mark.parametrize("turns", range(4))
async def test_a_caller_that_gives_up_leaves_a_whole_message_or_nothing_of_it(
    door: Door, database: Database, turns: int
) -> None:
    call = asyncio.ensure_future(run(door, *(a_document(str(number)) for number in range(50))))
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    outcomes = await run(door, *(a_document(str(number)) for number in range(50)))
    assert set(told(outcomes)) in ({"taken"}, {"replayed"})
    assert await rows(database, AMOUNTS) == [(50,)]


async def test_a_part_that_fails_leaves_the_rest_of_its_transaction(database: Database) -> None:
    def insert(tx: Tx, tally_id: str) -> None:
        tx.run("INSERT INTO tallies (tally_id, amount, is_closed) VALUES (?, 1, ?)", (tally_id, False))

    def failing(tx: Tx) -> None:
        with tx.part():
            insert(tx, "b")
            raise ZeroDivisionError

    def transaction(tx: Tx) -> None:
        insert(tx, "a")
        with pytest.raises(ZeroDivisionError):
            failing(tx)

    await database.write(transaction)
    assert await rows(database, "SELECT tally_id FROM tallies") == [("a",)]
