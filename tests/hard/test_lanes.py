"""Two operators at one lane at the same moment: one effect, and both get an answer that makes sense. On both databases."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import lanes
from servicekit.database import Database
from servicekit.desk import Desk
from servicekit.domain import BusinessKey
from servicekit.door import run_again
from servicekit.facts import key_message
from servicekit.inbox import Inbox
from tests.servicekit.test_inbox import a_fact
from tests.support import toy
from tests.support.toy import rows

pytestmark = pytest.mark.connected
ROUNDS, FACTS = 20, 3


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="toy")


async def parked(database: Database, inbox: Inbox, key: str, first: int) -> None:
    """A lane with facts that would take effect now."""
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES (?, 0, ?)", (key, True)))
    await inbox.take([a_fact(first + n, key) for n in range(FACTS)])
    await run_again(database, lambda tx: tx.run("UPDATE tallies SET is_closed = ?", (False,)))


def words(key: str, operator: str) -> dict[str, object]:
    number = key_message(BusinessKey("desk", "test", f"{key}-{operator}"))
    return {"business_key": number, "consumer": "toy", "order_key": key, "operator_id": operator}


async def test_two_operators_who_release_a_lane_at_once_have_one_effect(database: Database, inbox: Inbox) -> None:
    desks = {name: Desk(database, {"toy": inbox}) for name in ("ann", "ben")}
    for number in range(ROUNDS):
        key = f"order-{number}"
        await parked(database, inbox, key, number * FACTS + 1)
        requests = [messages.ReleaseLaneRequest(release_reason="opened", **words(key, name)) for name in desks]
        answers = await asyncio.gather(
            *(desk.ReleaseLane(request, None) for desk, request in zip(desks.values(), requests, strict=True)),
            return_exceptions=True,
        )
        released = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert sum(answer.released_count for answer in released) == FACTS
        assert all(isinstance(answer, lanes.LaneMissing) for answer in answers if isinstance(answer, BaseException))
        assert not any(answer.HasField("lane") for answer in released), "nothing is left in it"
    assert await rows(database, "SELECT amount FROM tallies") == [(FACTS * 10**6,)] * ROUNDS
    said = await rows(database, "SELECT order_key, envelope FROM outbox ORDER BY sequence")
    assert len(said) == ROUNDS * FACTS


async def test_two_operators_who_discard_the_same_fact_at_once_discard_one(database: Database, inbox: Inbox) -> None:
    desk = Desk(database, {"toy": inbox})
    for number in range(ROUNDS):
        key = f"order-{number}"
        await parked(database, inbox, key, number * FACTS + 1)
        event_id = a_fact(number * FACTS + 1, key).envelope.event_id
        requests = [
            messages.DiscardLaneFactRequest(discard_reason="twice", event_id=event_id, **words(key, name))
            for name in ("ann", "ben")
        ]
        answers = await asyncio.gather(*(desk.DiscardLaneFact(request, None) for request in requests))
        assert sorted(answer.replayed for answer in answers) == [False, True]
        assert len(await rows(database, "SELECT 1 FROM lane_fact WHERE order_key = ?", (key,))) == FACTS - 1


async def test_of_two_corrections_of_one_fact_the_second_is_told_that_it_was_too_late(
    database: Database, inbox: Inbox
) -> None:
    desk = Desk(database, {"toy": inbox})
    await parked(database, inbox, "order", 1)

    def correction(operator: str, amount: str) -> messages.CorrectLaneFactRequest:
        stored = OutputStored(plant_id=toy.PLANT, work_order_id="order", lot_id="L")
        stored.quantity.value, stored.quantity.unit_code = amount, "C62"
        event_id = a_fact(1, "order").envelope.event_id
        content = toy.json_of(stored)
        return messages.CorrectLaneFactRequest(
            content_json=content, correct_reason="counted", event_id=event_id, **words("order", operator)
        )

    answers = await asyncio.gather(
        desk.CorrectLaneFact(correction("ann", "5"), None),
        desk.CorrectLaneFact(correction("ben", "7"), None),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["CorrectLaneFactResponse", "LaneChanged"]
    first = correction("ann", "5") if not isinstance(answers[0], BaseException) else correction("ben", "7")
    assert (await desk.CorrectLaneFact(first, None)).replayed, "the same again is a repeat"
