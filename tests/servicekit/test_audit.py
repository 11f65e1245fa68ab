"""The audit tells who did what, and its chain tells what was done to the audit. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import audit, clock
from servicekit.audit import NO_HASH, Action, ActionUnsigned, AuditHeadMissing
from servicekit.database import Database, Tx
from servicekit.desk import Desk
from servicekit.domain import BusinessKey
from servicekit.door import run_again
from servicekit.facts import key_message
from servicekit.inbox import Inbox
from servicekit.paging import PageTokenInvalid
from tests.servicekit.test_inbox import a_fact
from tests.support import toy
from tests.support.crashing import AFTER_COMMIT, Crash, CrashingDatabase
from tests.support.toy import rows

pytestmark = pytest.mark.connected
BEFORE_COMMIT = 99
ALTERED, MISSING = messages.AUDIT_PROBLEM_ALTERED, messages.AUDIT_PROBLEM_MISSING
BEYOND, HEAD, KNOWN = (
    messages.AUDIT_PROBLEM_BEYOND_HEAD,
    messages.AUDIT_PROBLEM_HEAD_WRONG,
    messages.AUDIT_PROBLEM_NOT_AS_KNOWN,
)


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[CrashingDatabase]:
    toy.open_database(database_url, tmp_path / "versions").close()
    opened = CrashingDatabase(database_url)
    yield opened
    opened.close()


@pytest.fixture
def desk(database: CrashingDatabase) -> Desk:
    return Desk(database, {})


async def act(database: Database, count: int) -> None:
    """What operators did, so many times."""
    for number in range(count):
        action = Action("release", f"toy order-{number}", "", "kim", "item is there now", f"desk/test/{number}")
        await run_again(database, lambda tx, action=action: audit.append(tx, action))


async def change(database: Database, *statements: str) -> None:
    """What somebody does who may write to the database."""

    def work(tx: Tx) -> None:
        for sql in statements:
            tx.run(sql)

    await run_again(database, work)


async def verify(desk: Desk, number: int = 0, known: str = "") -> messages.VerifyAuditResponse:
    request = messages.VerifyAuditRequest(known_entry_number=number, known_chain_hash=known)
    return await desk.VerifyAudit(request, None)


async def assert_holds(desk: Desk, count: int) -> None:
    found = await verify(desk)
    assert not found.HasField("first_break"), found
    assert found.entry_count == count


async def stop(database: Database, *slots: str) -> None:
    sql = "INSERT INTO slot_stop VALUES ('toy', ?, 'FACTS_LOST', 'lost', 1, ?)"
    await run_again(database, lambda tx: tx.many(sql, [(slot, False) for slot in slots]))


def resume(slot: str, operator: str = "kim", reason: str = "compared") -> messages.ResumeSlotRequest:
    key = key_message(BusinessKey("desk", "resume", slot))
    return messages.ResumeSlotRequest(
        business_key=key, consumer="toy", producer_slot=slot, resume_reason=reason, operator_id=operator
    )


async def test_a_chain_that_nobody_touched_holds(database: CrashingDatabase, desk: Desk) -> None:
    assert (await verify(desk)).head_hash == NO_HASH
    await act(database, audit.PAGE + 3)  # more than is read at once
    await assert_holds(desk, audit.PAGE + 3)
    head = await rows(database, "SELECT chain_hash FROM audit ORDER BY entry_number DESC LIMIT 1")
    assert [((await verify(desk)).head_hash,)] == head


COLUMNS = ("audit_id", "what", "subject", "event_id", "operator_id", "reason", "detail", "chain_hash")


@pytest.mark.parametrize("column", COLUMNS)
async def test_an_altered_entry_is_named(database: CrashingDatabase, desk: Desk, column: str) -> None:
    await act(database, 5)
    await change(database, f"UPDATE audit SET {column} = 'lee' WHERE entry_number = 3")
    found = await verify(desk)
    assert (found.entry_count, found.first_break.entry_number, found.first_break.problem) == (2, 3, ALTERED)
    entry = await rows(database, "SELECT audit_id FROM audit WHERE entry_number = 3")
    assert (found.first_break.audit_id,) == entry[0]


async def test_words_moved_from_one_field_to_the_next_are_no_longer_the_entry(
    database: CrashingDatabase, desk: Desk
) -> None:
    await act(database, 2)
    await change(database, "UPDATE audit SET operator_id = 'kimi', reason = 'tem is there now' WHERE entry_number = 1")
    assert (await verify(desk)).first_break.problem == ALTERED


SWAP = ("UPDATE audit SET entry_number = {} WHERE entry_number = {}",) * 3
TAMPERED = {
    "another time": (["UPDATE audit SET audit_time = audit_time + 1 WHERE entry_number = 3"], 3, ALTERED),
    "the first is gone": (["DELETE FROM audit WHERE entry_number = 1"], 1, MISSING),
    "one in the middle is gone": (["DELETE FROM audit WHERE entry_number = 3"], 3, MISSING),
    "one is gone and the rest moved up": (
        ["DELETE FROM audit WHERE entry_number = 4", "UPDATE audit SET entry_number = 4 WHERE entry_number = 5"],
        4,
        ALTERED,
    ),
    "two are swapped": ([s.format(*p) for s, p in zip(SWAP, [(9, 3), (3, 4), (4, 9)], strict=True)], 3, ALTERED),
    "the tail is cut": (["DELETE FROM audit WHERE entry_number > 3"], 4, MISSING),
    "all are gone": (["DELETE FROM audit"], 1, MISSING),
    "only the head was put back": (["UPDATE audit_head SET entry_number = 4"], 5, BEYOND),
    "the head says another hash": ([f"UPDATE audit_head SET chain_hash = '{NO_HASH}'"], 0, HEAD),
    "the head is gone": (["DELETE FROM audit_head"], 0, HEAD),
}


@pytest.mark.parametrize("tampered", TAMPERED)
async def test_what_was_done_to_the_audit_is_told_with_the_first_entry_that_does_not_fit(
    database: CrashingDatabase, desk: Desk, tampered: str
) -> None:
    statements, number, problem = TAMPERED[tampered]
    await act(database, 5)
    await change(database, *statements)
    wrong = (await verify(desk)).first_break
    assert (wrong.entry_number, wrong.problem) == (number, problem)
    assert wrong.text


CUT_WITH_ITS_HEAD = (
    "DELETE FROM audit WHERE entry_number > 3",
    "UPDATE audit_head SET entry_number = 3, chain_hash = (SELECT chain_hash FROM audit WHERE entry_number = 3)",
)


async def test_a_tail_cut_together_with_the_head_is_told_only_by_a_head_that_was_kept_elsewhere(
    database: CrashingDatabase, desk: Desk
) -> None:
    await act(database, 5)
    kept = await verify(desk)
    await change(database, *CUT_WITH_ITS_HEAD)
    await assert_holds(desk, 3)
    wrong = (await verify(desk, kept.entry_count, kept.head_hash)).first_break
    assert (wrong.entry_number, wrong.problem) == (5, KNOWN)
    await act(database, 4)
    wrong = (await verify(desk, kept.entry_count, kept.head_hash)).first_break
    assert (wrong.entry_number, wrong.problem) == (5, KNOWN), "others in its place do not make it good"


async def test_a_head_that_was_kept_elsewhere_stays_true_while_entries_are_added(
    database: CrashingDatabase, desk: Desk
) -> None:
    empty = await verify(desk)
    await act(database, 5)
    kept = await verify(desk)
    await act(database, 2)
    for known in (empty, kept):
        found = await verify(desk, known.entry_count, known.head_hash)
        assert not found.HasField("first_break")
        assert found.entry_count == 7


async def test_operators_at_once_make_one_chain(database: CrashingDatabase, desk: Desk) -> None:
    slots = [f"slot-{number}" for number in range(40)]
    await stop(database, *slots)
    other = Database(str(database.url.render_as_string(hide_password=False)))  # as another process
    try:
        desks = [desk, Desk(other, {})]
        await asyncio.gather(*(desks[n % 2].ResumeSlot(resume(slot), None) for n, slot in enumerate(slots)))
    finally:
        other.close()
    await assert_holds(desk, len(slots))
    assert await rows(database, "SELECT COUNT(DISTINCT subject) FROM audit") == [(len(slots),)]


@pytest.mark.parametrize("dies", [1, 2, 3, 4, 5, BEFORE_COMMIT, AFTER_COMMIT])
async def test_a_kill_leaves_action_entry_and_head_or_none_of_them(
    database: CrashingDatabase, desk: Desk, dies: int
) -> None:
    await act(database, 2)
    await stop(database, "slot")
    database.die_in(1, dies)
    with pytest.raises(Crash):
        await desk.ResumeSlot(resume("slot"), None)
    database.live()
    is_done = dies == AFTER_COMMIT
    await assert_holds(desk, 3 if is_done else 2)
    assert await rows(database, "SELECT is_accepted FROM slot_stop") == [(is_done,)]
    assert (await desk.ResumeSlot(resume("slot"), None)).replayed == is_done
    await assert_holds(desk, 3)


@pytest.mark.parametrize(("operator", "reason", "field"), [(" ", "compared", "operator_id"), ("kim", "\t\n", "reason")])
async def test_nothing_is_done_by_nobody_or_for_no_reason(
    database: CrashingDatabase, desk: Desk, operator: str, reason: str, field: str
) -> None:
    await stop(database, "slot")
    with pytest.raises(ActionUnsigned) as refused:
        await desk.ResumeSlot(resume("slot", operator, reason), None)
    assert refused.value.facts == {"field": field}
    assert await rows(database, "SELECT is_accepted FROM slot_stop") == [(False,)]
    await assert_holds(desk, 0)


async def test_nothing_is_done_while_the_head_is_gone(database: CrashingDatabase, desk: Desk) -> None:
    await stop(database, "slot")
    await change(database, "DELETE FROM audit_head")
    with pytest.raises(AuditHeadMissing):
        await desk.ResumeSlot(resume("slot"), None)
    assert await rows(database, "SELECT is_accepted FROM slot_stop") == [(False,)]


async def test_every_action_of_a_desk_stands_in_the_audit_newest_first_page_by_page(
    database: CrashingDatabase,
) -> None:
    inbox = Inbox(database, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="toy")
    desk = Desk(database, {"toy": inbox})
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('shut', 0, ?)", (True,)))
    facts = [a_fact(1, "shut"), a_fact(2, "shut")]
    await inbox.take(facts)
    await stop(database, "slot")
    first, second = (fact.envelope.event_id for fact in facts)
    said = {"consumer": "toy", "order_key": "shut", "operator_id": "kim"}
    said["business_key"] = key_message(BusinessKey("desk", "test", "1"))  # type: ignore[assignment]
    content = (await desk.GetLane(messages.GetLaneRequest(consumer="toy", order_key="shut"), None)).facts[0]
    await desk.CorrectLaneFact(
        messages.CorrectLaneFactRequest(
            event_id=first, content_json=content.content_json, correct_reason="typo", **said
        ),
        None,
    )
    await desk.ReleaseLane(messages.ReleaseLaneRequest(release_reason="try", **said), None)
    await desk.ProposeDiscard(messages.ProposeDiscardRequest(event_id=second, propose_reason="a test", **said), None)
    said["operator_id"] = "ann"
    await desk.DiscardLaneFact(messages.DiscardLaneFactRequest(event_id=second, discard_reason="test", **said), None)
    await desk.ResumeSlot(resume("slot"), None)
    request = messages.ListAuditEntriesRequest(page_size=3)
    page = await desk.ListAuditEntries(request, None)
    request.page_token = page.next_page_token
    rest = await desk.ListAuditEntries(request, None)
    shown = [(e.entry_number, e.action, e.subject, e.event_id, e.audit_reason) for e in (*page.entries, *rest.entries)]
    assert shown == [
        (5, "resume", "toy slot", "", "compared"),
        (4, "discard", "toy shut", second, "test"),
        (3, "propose", "toy shut", second, "a test"),
        (2, "release", "toy shut", "", "try"),
        (1, "correct", "toy shut", first, "typo"),
    ]
    assert rest.next_page_token == ""
    assert rest.entries[1].detail == f"desk/test/1 {content.content_json}"
    assert [entry.operator_id for entry in page.entries] == ["kim", "ann", "kim"]
    assert page.entries[0].chain_hash == (await verify(desk)).head_hash
    assert abs((clock.now() - page.entries[0].audit_time.ToDatetime(clock.EPOCH.tzinfo)).total_seconds()) < 60
    with pytest.raises(PageTokenInvalid):
        await desk.ListAuditEntries(messages.ListAuditEntriesRequest(page_token="x"), None)


OLD = "INSERT INTO audit (audit_id, what, subject, operator_id, reason, detail, audit_time) VALUES (?,?,?,?,?,?,?)"


def migrated(url: str, versions: Path, old: int) -> Database:
    """A database that was made before the chain, with so many entries, brought to what this code wants."""
    database = toy.database_of_before(url, versions, 4)
    with database.engines[0].begin() as connection:
        entries = [(f"id-{n}", "release", "toy order", "kim", f"reason {n}", "", 1000 - n) for n in range(old)]
        Tx(connection).many(OLD, entries)
    database.close()
    return toy.open_database(url, versions / "toy")


@pytest.mark.parametrize("old", [0, 3])
async def test_entries_older_than_the_chain_are_chained_by_time_and_marked(
    database_url: str, tmp_path: Path, old: int
) -> None:
    database = migrated(database_url, tmp_path, old)
    try:
        desk, count = Desk(database, {}), old + 1 if old else 0
        await assert_holds(desk, count)
        entries = (await desk.ListAuditEntries(messages.ListAuditEntriesRequest(), None)).entries
        assert [e.audit_reason for e in entries[1:]] == [f"reason {n}" for n in range(old)]
        assert [e.action for e in entries[:1]] == ["chained"] * bool(old)
        await act(database, 1)
        await assert_holds(desk, count + 1)
        await change(database, "UPDATE audit SET reason = 'another' WHERE entry_number = 1")
        assert (await verify(desk)).first_break.entry_number == 1
    finally:
        database.close()
