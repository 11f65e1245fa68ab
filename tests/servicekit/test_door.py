"""The door for calls: one effect per document, the first answer again, conflicts kept, refusals that change nothing."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from servicekit import claims, clock
from servicekit.database import Again, Database, LockTimeout, Tx
from servicekit.domain import BusinessKeyConflict
from servicekit.door import Door
from tests.servicekit.conftest import served
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


async def test_when_a_document_was_taken_can_be_asked_by_its_key(door: Door, database: Database) -> None:
    taken, other = an_add("1"), an_add("2")
    before = clock.now()
    await door.run(toy.add, taken)
    wanted = [(toy.add.name, said.business_key) for said in (taken, other)]
    times = await database.read(lambda tx: claims.times(tx, wanted))
    assert list(times) == wanted[:1]
    assert before <= times[wanted[0]] <= clock.now()


CLAIM_OF_BEFORE = (
    "INSERT INTO claims (claim_id, command, key_hash, source_system, document_type, document_number, document_line, "
    "fingerprint_version, content, answer, claim_time) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
)


def digest_of(said: toy.Add) -> bytes:
    key = said.business_key
    parts = (key.source_system, key.document_type, key.document_number, key.line)
    return hashlib.sha256("\x1f".join(parts).encode()).digest()[:16]


def claimed_before(tx: Tx, said: toy.Add) -> int:
    """A claim as the release wrote it that found claims by claim_id alone."""
    assert toy.add.fingerprint is not None
    key, digest, content = said.business_key, digest_of(said), claims.content(toy.add.fingerprint, said)
    words = (key.source_system, key.document_type, key.document_number, key.line)
    return tx.run(CLAIM_OF_BEFORE, (f"add:{digest.hex()}", "add", digest, *words, 1, content, b"", 1))


async def test_what_was_claimed_before_claims_had_their_key_in_words_is_not_done_again(
    database_url: str, tmp_path: Path
) -> None:
    said = [an_add(str(number)) for number in range(3)]
    before = toy.database_of_before(database_url, tmp_path, 8)
    with before.engines[0].begin() as connection:
        for one in said[:2]:
            claimed_before(Tx(connection), one)
    before.close()
    database = toy.open_database(database_url, tmp_path / "toy")
    async with served(database) as door:
        answers = [await door.run(toy.add, one) for one in said]
    assert [answer.replayed for answer in answers] == [True, True, False]
    finds = await rows(database, "SELECT claim_id FROM claims WHERE document_number = '2'")
    assert finds == [(f"add:{digest_of(said[2]).hex()}",)], (
        "a replica that is not yet replaced finds what the new one claimed"
    )
    with pytest.raises(Again):
        await database.write(lambda tx: claimed_before(tx, said[2]))
    assert await rows(database, "SELECT COUNT(*) FROM claims") == [(3,)]
    database.close()


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


async def held(database: Database, tally_id: str, taken: threading.Event, release: threading.Event) -> None:
    """Another transaction that holds a tally."""

    def hold(tx: Tx) -> None:
        tx.rows("SELECT amount FROM tallies WHERE tally_id = ? FOR UPDATE", (tally_id,))
        taken.set()
        release.wait(30)

    await database.write(hold)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # on SQLite nobody else writes
async def test_rows_that_somebody_holds_stop_the_caller_that_wants_them_and_nobody_else(
    door: Door, database: Database
) -> None:
    await door.run(toy.add, an_add("0", tally_id="new-held"))
    taken, release = threading.Event(), threading.Event()
    holding = asyncio.ensure_future(held(database, "new-held", taken, release))
    await asyncio.to_thread(taken.wait, 10)
    try:
        calls = [door.run(toy.add, an_add(str(n), tally_id="new-held" if n == 5 else f"new-{n}")) for n in range(1, 20)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        release.set()
        await holding
    failed = [n for n, answer in enumerate(answers, start=1) if isinstance(answer, BaseException)]
    assert failed == [5]
    assert isinstance(answers[4], LockTimeout)
    assert not (await door.run(toy.add, an_add("5", tally_id="new-held"))).replayed


async def test_callers_that_come_together_share_commits(door: Door, database: Database) -> None:
    write, commits = database.write, []

    async def counted(work: Any) -> Any:
        commits.append(work)
        return await write(work)

    database.write = counted  # type: ignore[method-assign]
    await asyncio.gather(*(door.run(toy.add, an_add(str(n), tally_id=f"new-{n % 5}")) for n in range(200)))
    assert len(commits) <= 10
