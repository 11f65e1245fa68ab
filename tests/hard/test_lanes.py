"""Two operators at one lane at the same moment: one effect, and both get an answer that makes sense. On both databases."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import lanes, telemetry
from servicekit.database import Database
from servicekit.desk import Desk, TrialImpossible
from servicekit.dispatch import Delivery
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


async def test_two_operators_who_discard_what_a_third_proposed_at_once_discard_one(
    database: Database, inbox: Inbox
) -> None:
    desk = Desk(database, {"toy": inbox})
    for number in range(ROUNDS):
        key = f"order-{number}"
        await parked(database, inbox, key, number * FACTS + 1)
        event_id = a_fact(number * FACTS + 1, key).envelope.event_id
        said = messages.ProposeDiscardRequest(propose_reason="twice", event_id=event_id, **words(key, "kim"))
        await desk.ProposeDiscard(said, None)
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


async def test_nobody_discards_alone_and_a_correction_makes_the_proposal_void(database: Database, inbox: Inbox) -> None:
    desk = Desk(database, {"toy": inbox})
    await parked(database, inbox, "order", 1)
    event_id = a_fact(1, "order").envelope.event_id

    async def propose(operator: str, why: str) -> messages.ProposeDiscardResponse:
        said = words("order", operator)
        return await desk.ProposeDiscard(
            messages.ProposeDiscardRequest(propose_reason=why, event_id=event_id, **said), None
        )

    async def discard(operator: str) -> messages.DiscardLaneFactResponse:
        said = words("order", operator)
        return await desk.DiscardLaneFact(
            messages.DiscardLaneFactRequest(discard_reason="twice", event_id=event_id, **said), None
        )

    with pytest.raises(lanes.SecondPersonNeeded):
        await discard("ann")
    first, again = await propose("ann", "a test order"), await propose("ben", "of mine")
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.fact.proposer_id, again.fact.propose_reason) == ("ann", "a test order")
    for name in ("ann", " Ann"):
        with pytest.raises(lanes.SecondPersonNeeded, match="ann"):
            await discard(name)
    lane = (await desk.ListLanes(messages.ListLanesRequest(), None)).lanes[0]
    assert (lane.proposal_count, lane.fact_count) == (1, FACTS)
    assert lane.last_fact_time.ToNanoseconds() >= lane.since_time.ToNanoseconds() > 0
    assert not (await discard("ben")).replayed
    assert [row[0] for row in await rows(database, "SELECT what FROM audit ORDER BY entry_number")] == [
        "propose",
        "discard",
    ]

    event_id = a_fact(2, "order").envelope.event_id
    content = (await propose("ann", "wrong")).fact.content_json
    correction = messages.CorrectLaneFactRequest(
        content_json=content, correct_reason="right", event_id=event_id, **words("order", "ann")
    )
    corrected = (await desk.CorrectLaneFact(correction, None)).fact
    assert corrected.proposer_id == ""
    event_id = corrected.event_id
    with pytest.raises(lanes.SecondPersonNeeded):
        await discard("ben")


async def test_a_trial_says_what_would_become_of_a_fact_and_leaves_nothing(
    database: Database, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(database, {"toy": inbox})
    await parked(database, inbox, "order", 1)
    place = {"consumer": "toy", "order_key": "order", "event_id": a_fact(2, "order").envelope.event_id}
    before = await toy.snapshot(database)
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(telemetry, "_processor", SimpleSpanProcessor(exporter))
    would = await desk.TryLaneFact(messages.TryLaneFactRequest(**place), None)
    assert (would.reason, list(would.told_fact_types)) == ("", ["isthmus.inventory.v1.OutputStored"])
    await run_again(database, lambda tx: tx.run("UPDATE tallies SET is_closed = ?", (True,)))
    refused = await desk.TryLaneFact(messages.TryLaneFactRequest(**place), None)
    assert (refused.reason, list(refused.told_fact_types)) == ("TALLY_CLOSED", [])
    await run_again(database, lambda tx: tx.run("UPDATE tallies SET is_closed = ?", (False,)))
    with pytest.raises(lanes.CorrectionUnreadable):
        await desk.TryLaneFact(messages.TryLaneFactRequest(content_json="{", **place), None)
    elsewhere = Desk(database, {})
    with pytest.raises(TrialImpossible):
        await elsewhere.TryLaneFact(messages.TryLaneFactRequest(**place), None)
    assert await toy.snapshot(database) == before
    assert not exporter.get_finished_spans(), "no span says that it was done"


async def test_a_trial_of_a_document_that_came_before_with_other_content_says_that_it_has_no_effect(
    database: Database, inbox: Inbox
) -> None:
    """As a release would have it: the second content is kept aside, and the order goes on."""
    first, second = (a_fact(1, "new-1", amount, slot="").envelope for amount in ("1", "7"))
    second.event_id = "again"
    await inbox.take([Delivery(first)])
    trial = await inbox.rehearse(second)
    assert (trial.error, trial.told) == (None, [])
    assert "other content" in trial.moots[0] or "different content" in trial.moots[0], trial.moots
    assert await rows(database, "SELECT 1 FROM conflicts") == []
