"""A lane is worked off from its head, many facts a transaction: in order, once, and all of a transaction or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from servicekit.dispatch import Delivery
from servicekit.door import run_again
from servicekit.facts import Do, EventMeta, Handler
from servicekit.inbox import Inbox
from servicekit.use_case import Decision, Seen
from tests.servicekit.test_inbox import SLOT, a_fact
from tests.support import toy
from tests.support.crashing import AFTER_COMMIT, Crash, CrashingDatabase
from tests.support.toy import rows

pytestmark = pytest.mark.connected
BEFORE_COMMIT = 99
KEY = "closed"


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[CrashingDatabase]:
    toy.open_database(database_url, tmp_path / "versions").close()
    opened = CrashingDatabase(database_url)
    yield opened
    opened.close()


@pytest.fixture
def inbox(database: CrashingDatabase) -> Inbox:
    return Inbox(database, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="toy")


def behind_the_key(number: int, tally_id: str, amount: str = "1") -> Delivery:
    """A fact of another tally that is in order behind those of the closed one."""
    fact = a_fact(number, tally_id, amount)
    fact.envelope.order_key = KEY
    return fact


async def park(inbox: Inbox, database: CrashingDatabase, facts: list[Delivery]) -> None:
    """A lane of these facts, parked by the first; then what stood in its way is put right."""
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES (?, 0, ?)", (KEY, True)))
    await inbox.take(facts)
    assert len(await rows(database, "SELECT 1 FROM lane_fact")) == len(facts)
    await run_again(database, lambda tx: tx.run("UPDATE tallies SET is_closed = ?", (False,)))


async def effects(database: CrashingDatabase) -> list[int]:
    """Numbers of the facts that took effect, in that order."""
    numbers = []
    for (envelope,) in await rows(database, "SELECT envelope FROM outbox ORDER BY sequence"):
        stored = OutputStored()
        Envelope.FromString(bytes(envelope)).data.Unpack(stored)
        numbers.append(int(stored.lot_id.removeprefix(SLOT)))
    return numbers


async def left(database: CrashingDatabase) -> list[int]:
    """Numbers of the facts in the lane, in order."""
    found = await rows(database, "SELECT event_id FROM lane_fact ORDER BY position")
    return [int(event_id.rsplit("-", 1)[1]) for (event_id,) in found]


async def test_what_waited_behind_a_released_head_takes_few_transactions(
    inbox: Inbox, database: CrashingDatabase
) -> None:
    await park(inbox, database, [a_fact(number, KEY) for number in range(1, 301)])
    before = database.commits
    assert await inbox.drain(KEY, is_released=True) == 300
    assert database.commits - before == 4, "128, 128, 44, and one that finds the lane empty"
    assert await effects(database) == list(range(1, 301))
    assert await rows(database, "SELECT * FROM lane") == []


@pytest.mark.parametrize(("dies", "done"), [(BEFORE_COMMIT, 128), (1, 128), (AFTER_COMMIT, 256)])
async def test_a_kill_while_a_lane_is_worked_off_leaves_all_of_a_transaction_or_nothing(
    inbox: Inbox, database: CrashingDatabase, dies: int, done: int
) -> None:
    await park(inbox, database, [a_fact(number, KEY) for number in range(1, 301)])
    database.die_in(2, dies)
    with pytest.raises(Crash):
        await inbox.drain(KEY, is_released=True)
    database.live()
    assert await effects(database) == list(range(1, done + 1))
    assert await left(database) == list(range(done + 1, 301))
    assert await rows(database, "SELECT state FROM lane") == [("parked",)]
    assert await rows(database, "SELECT producer_sequence FROM position") == [(300,)]
    assert await inbox.drain(KEY, is_released=True) == 300 - done
    assert await effects(database) == list(range(1, 301))


async def test_working_off_stops_at_the_first_that_is_refused_and_goes_on_there(
    inbox: Inbox, database: CrashingDatabase
) -> None:
    facts = [a_fact(1, KEY), a_fact(2, KEY), behind_the_key(3, "late"), a_fact(4, KEY)]
    await park(inbox, database, facts)
    assert await inbox.drain(KEY, is_released=True) == 2
    assert await effects(database) == [1, 2]
    assert await left(database) == [3, 4]
    assert await rows(database, "SELECT state, reason FROM lane") == [("waiting", "TALLY_MISSING")]
    assert await rows(database, "SELECT attempts FROM lane_fact ORDER BY position") == [(1,), (0,)]
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('late', 0, ?)", (False,)))
    assert await inbox.drain(KEY) == 2
    assert await effects(database) == [1, 2, 3, 4]


def inbox_where_the_third(database: CrashingDatabase, changes: toy.Tally) -> Inbox:
    """Its third fact changes this, too."""

    def decide(seen: Seen, command: toy.Add, now: datetime) -> Decision:
        decision = toy.decide_add(seen, command, now)
        if command.business_key.document_number != f"{SLOT}3":
            return decision
        return decision._replace(changed=[*decision.changed, changes])

    def hear(event: OutputStored, meta: EventMeta) -> Do:
        return toy.hear(event, meta)._replace(use_case=replace(toy.add, decide=decide))

    handlers: dict[str, Handler] = {"isthmus.inventory.v1.OutputStored": hear}
    return Inbox(database, toy.STORE, handlers, lambda _facts: None, consumer="toy")


@pytest.mark.parametrize(
    "changes",
    [toy.Tally(KEY, Decimal(10) ** 18), toy.Tally("unknown", Decimal(1))],
    ids=["more than the database holds", "what was not loaded"],
)
async def test_a_fact_that_breaks_its_transaction_holds_none_before_it_leaves_nothing_and_waits(
    database: CrashingDatabase, changes: toy.Tally
) -> None:
    inbox = inbox_where_the_third(database, changes)
    await park(inbox, database, [a_fact(number, KEY) for number in range(1, 5)])
    assert await inbox.drain(KEY, is_released=True) == 2
    assert await effects(database) == [1, 2]
    assert await rows(database, "SELECT amount FROM tallies") == [(2 * 10**6,)]
    assert await left(database) == [3, 4]
    assert await rows(database, "SELECT state, reason FROM lane") == [("waiting", "INTERNAL")]
    assert await rows(database, "SELECT attempts FROM lane_fact ORDER BY position") == [(1,), (0,)]
