"""What came in is what became of it: done, said before, moot, refused, discarded or in a lane; and a loss shows."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import clock, counts, outbox, position
from servicekit.database import Database
from servicekit.desk import Desk
from servicekit.dispatch import Delivery
from servicekit.domain import BusinessKey
from servicekit.door import run_again
from servicekit.facts import key_message
from servicekit.inbox import Inbox
from servicekit.position import Step
from tests.servicekit.test_inbox import SLOT, a_fact
from tests.support import toy

pytestmark = pytest.mark.connected


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="toy")


async def standing(database: Database) -> tuple[dict[str, int], int, int]:
    """Counted by outcome, in lanes, unaccounted."""
    found = await database.read(counts.standing)
    (one,) = found
    return dict(one.counted), one.waiting + one.parked, counts.unaccounted(found)["toy"]


async def shut(database: Database, key: str, *, is_closed: bool = True) -> None:
    sql = "INSERT INTO tallies VALUES (?, 0, ?) ON CONFLICT (tally_id) DO UPDATE SET is_closed = excluded.is_closed"
    await run_again(database, lambda tx: tx.run(sql, (key, is_closed)))


async def test_every_fact_is_counted_by_what_became_of_it(inbox: Inbox, database: Database) -> None:
    await shut(database, "shut")
    not_ours = a_fact(3)
    not_ours.envelope.restated_for = "somebody else"
    await inbox.take([a_fact(1), a_fact(2), not_ours, a_fact(4, "shut"), a_fact(5, "shut"), a_fact(6)])
    await inbox.take([a_fact(6), a_fact(9)])  # heard before; behind a hole: neither comes in
    assert await standing(database) == ({"in": 6, "done": 3, "moot": 1, "parked": 2}, 2, 0)

    local = Delivery(a_fact(20, "new-local").envelope)
    local.envelope.producer_slot = ""
    await inbox.take([local])
    await inbox.take([local])
    other = Delivery(a_fact(20, "new-local", "7").envelope)
    other.envelope.producer_slot = ""
    other.envelope.event_id = "again"
    await inbox.take([other])  # the same document with another content
    counted, _, lost = await standing(database)
    assert (counted["in"], counted["done"], counted["repeat"], counted["refused"], lost) == (9, 4, 1, 1, 0)


async def test_what_leaves_a_lane_is_counted_then(inbox: Inbox, database: Database) -> None:
    await shut(database, "shut")
    await inbox.take([a_fact(1, "shut"), a_fact(2, "shut"), a_fact(3, "shut")])
    desk, place = Desk(database, {"toy": inbox}), {"consumer": "toy", "order_key": "shut"}
    said = {**place, "event_id": f"{SLOT}-2", "business_key": key_message(BusinessKey("desk", "test", "1"))}
    await desk.ProposeDiscard(messages.ProposeDiscardRequest(propose_reason="r", operator_id="kim", **said), None)
    await desk.DiscardLaneFact(messages.DiscardLaneFactRequest(discard_reason="r", operator_id="ann", **said), None)
    assert await standing(database) == ({"in": 3, "discarded": 1, "parked": 2}, 2, 0)
    await desk.TryLaneFact(messages.TryLaneFactRequest(event_id=f"{SLOT}-1", **place), None)
    await inbox.drain("shut", is_released=True)
    assert (await standing(database))[1:] == (2, 0)
    await shut(database, "shut", is_closed=False)
    await inbox.drain("shut", is_released=True)
    assert await standing(database) == ({"in": 3, "discarded": 1, "done": 2}, 0, 0)


async def test_a_fact_that_vanishes_from_a_lane_is_missed(inbox: Inbox, database: Database) -> None:
    await shut(database, "shut")
    await inbox.take([a_fact(1, "shut"), a_fact(2, "shut")])
    await run_again(database, lambda tx: tx.run("DELETE FROM lane_fact WHERE position = 2"))
    assert (await standing(database))[2] == 1


async def test_facts_that_are_passed_over_are_missed(
    inbox: Inbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inbox.take([a_fact(1)])
    monkeypatch.setattr(position, "judge", lambda *seen: Step.NEXT)
    await inbox.take([a_fact(5)])
    assert await standing(database) == ({"in": 5, "done": 2}, 0, 3)


async def test_a_fact_that_takes_effect_and_stays_in_its_lane_is_one_too_many(inbox: Inbox, database: Database) -> None:
    await shut(database, "shut")
    await inbox.take([a_fact(1, "shut"), a_fact(2, "shut")])
    kept = await toy.rows(database, "SELECT * FROM lane_fact")
    lane = await toy.rows(database, "SELECT * FROM lane")
    await shut(database, "shut", is_closed=False)
    await inbox.drain("shut", is_released=True)
    for table, rows in (("lane", lane), ("lane_fact", kept)):
        marks = ", ".join("?" * len(rows[0]))
        await run_again(
            database,
            lambda tx, table=table, rows=rows, marks=marks: tx.many(f"INSERT INTO {table} VALUES ({marks})", rows),
        )  # type: ignore[misc]
    assert (await standing(database))[2] == -2


async def test_readers_and_hands_at_once_count_every_fact(inbox: Inbox, database: Database) -> None:
    keys = [f"order-{n}" for n in range(8)]
    for key in keys:
        await shut(database, key)
    facts = [a_fact(n + 1, keys[n % 8]) for n in range(160)]
    await inbox.take(facts[:80])
    for key in keys:
        await shut(database, key, is_closed=False)
    drains = [inbox.drain(key, is_released=True) for key in keys]
    takes = [inbox.take([fact]) for fact in facts[80:90]]
    await asyncio.gather(*drains, *takes)
    counted, left, lost = await standing(database)
    assert (counted["in"], counted.get("done", 0) + left, lost) == (counted["in"], counted["in"], 0)
    assert 80 < counted["in"] <= 90


async def test_a_fact_that_vanishes_from_the_outbox_is_missed(inbox: Inbox, database: Database) -> None:
    await inbox.take([a_fact(number) for number in range(1, 6)])
    assert await database.read(counts.untold) == 0
    slot = "inventory-aachen"
    await run_again(database, lambda tx: outbox.mark_stored(tx, slot, 2, clock.now()))
    assert await database.read(counts.untold) == 0
    await run_again(database, lambda tx: tx.run("DELETE FROM outbox WHERE slot = ? AND sequence = 1", (slot,)))
    assert await database.read(counts.untold) == 0, "the stream has it"
    await run_again(database, lambda tx: tx.run("DELETE FROM outbox WHERE slot = ? AND sequence = 4", (slot,)))
    assert await database.read(counts.untold) == 1


async def test_the_desk_lists_what_was_counted_page_by_page_and_shows_what_was_told(
    inbox: Inbox, database: Database
) -> None:
    await inbox.take([a_fact(1), a_fact(2)])
    desk, request = Desk(database, {"toy": inbox}), messages.ListFactCountsRequest(page_size=1)
    await run_again(database, lambda tx: counts.add(tx, "another", Counter({("brno", counts.IN): 1})))
    found = []
    for _ in range(2):
        page = await desk.ListFactCounts(request, None)
        found += [(one.consumer, one.plant_id, one.in_count, one.done_count) for one in page.fact_counts]
        request.page_token = page.next_page_token
    assert (found, request.page_token) == ([("another", "brno", 1, 0), ("toy", "aachen", 2, 2)], "")
    wanted = messages.GetToldFactRequest(producer_slot="inventory-aachen", producer_sequence=2)
    told = await desk.GetToldFact(wanted, None)
    assert (told.fact_type, Envelope.FromString(told.envelope).event_id) == (
        "isthmus.inventory.v1.OutputStored",
        told.event_id,
    )
    assert f'"lotId": "{SLOT}2"' in told.content_json
    wanted.producer_sequence = 3
    with pytest.raises(outbox.FactMissing):
        await desk.GetToldFact(wanted, None)
