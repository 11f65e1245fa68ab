"""What becomes of a fact: effect, repeat, hole, lane; released in order, once."""

from __future__ import annotations

from decimal import Decimal

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from servicekit import clock, lanes, telemetry
from servicekit.database import Database
from servicekit.dispatch import Delivery
from servicekit.door import run_again
from servicekit.facts import time_of
from servicekit.inbox import Inbox
from tests.support import toy
from tests.support.toy import rows

pytestmark = pytest.mark.connected
SLOT = "production-aachen"


def a_fact(number: int, tally_id: str = "new-1", amount: str = "1", slot: str = SLOT) -> Delivery:
    stored = OutputStored(plant_id="aachen", work_order_id=tally_id, lot_id=f"{slot}{number}")
    stored.quantity.value, stored.quantity.unit_code = amount, "C62"
    envelope = Envelope(
        event_id=f"{slot}-{number}",
        plant_id="aachen",
        order_key=tally_id,
        producer_slot=slot,
        producer_epoch=1,
        producer_sequence=number,
    )
    envelope.occur_time.FromDatetime(clock.now())
    envelope.record_time.FromDatetime(clock.now())
    envelope.data.Pack(stored)
    return Delivery(envelope, slot, "stream-1", number)


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database, toy.STORE, toy.HANDLERS, lambda _slots: None, consumer="toy")


async def amounts(database: Database) -> dict[str, int]:
    return {key: value // 10**6 for key, value in await rows(database, "SELECT tally_id, amount FROM tallies")}


async def test_a_fact_that_comes_again_is_skipped(inbox: Inbox, database: Database) -> None:
    await inbox.take([a_fact(1), a_fact(2)])
    taken = await inbox.take([a_fact(1), a_fact(2), a_fact(3)])
    assert taken.holes == frozenset()
    assert await amounts(database) == {"new-1": 3}


async def test_nothing_behind_a_hole_is_taken(inbox: Inbox, database: Database) -> None:
    taken = await inbox.take([a_fact(1), a_fact(3), a_fact(4)])
    assert taken.holes == {SLOT}
    assert await amounts(database) == {"new-1": 1}
    taken = await inbox.take([a_fact(2), a_fact(3), a_fact(4)])
    assert taken.holes == frozenset()
    assert await amounts(database) == {"new-1": 4}


async def test_a_hole_in_one_slot_does_not_stop_another(inbox: Inbox, database: Database) -> None:
    await inbox.take([a_fact(1), a_fact(1, slot="gateway-aachen"), a_fact(3), a_fact(2, slot="gateway-aachen")])
    assert await amounts(database) == {"new-1": 3}


async def test_a_first_sight_in_the_middle_of_a_slot_is_a_hole(inbox: Inbox, database: Database) -> None:
    assert (await inbox.take([a_fact(7)])).holes == {SLOT}
    assert await amounts(database) == {}


async def test_what_waiting_cannot_heal_parks_its_key_and_followers_only(inbox: Inbox, database: Database) -> None:
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('closed', 0, ?)", (True,)))
    await inbox.take([a_fact(1, "closed"), a_fact(2, "new-1"), a_fact(3, "closed"), a_fact(4, "new-1")])
    assert await amounts(database) == {"closed": 0, "new-1": 2}
    assert await rows(database, "SELECT order_key, state, reason FROM lane") == [("closed", "parked", "TALLY_CLOSED")]
    assert len(await rows(database, "SELECT 1 FROM lane_fact")) == 2


async def test_parking_is_a_failed_span_in_the_trace_of_its_fact(
    inbox: Inbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(telemetry, "_processor", SimpleSpanProcessor(exporter))
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('closed', 0, ?)", (True,)))
    fact = a_fact(1, "closed")
    fact.envelope.traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    await inbox.take([fact, a_fact(2, "unknown")])
    (span,) = [span for span in exporter.get_finished_spans() if not span.status.is_ok]
    assert (span.name, span.status.description) == ("park OutputStored", "TALLY_CLOSED")
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == "a" * 32


async def test_a_released_lane_goes_on_in_order_and_once(inbox: Inbox, database: Database) -> None:
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('closed', 0, ?)", (True,)))
    await inbox.take([a_fact(1, "closed"), a_fact(2, "closed", "10")])
    assert await inbox.drain("closed", is_released=True) == 0
    await run_again(database, lambda tx: tx.run("UPDATE tallies SET is_closed = ?", (False,)))
    assert await inbox.drain("closed", is_released=True) == 2
    assert await inbox.drain("closed", is_released=True) == 0
    await inbox.take([a_fact(1, "closed"), a_fact(2, "closed", "10")])
    assert await amounts(database) == {"closed": 11}
    assert await rows(database, "SELECT * FROM lane") == []


async def test_a_missing_noun_waits_and_heals(inbox: Inbox, database: Database) -> None:
    await inbox.take([a_fact(1, "late"), a_fact(2, "late")])
    assert await rows(database, "SELECT state, reason FROM lane") == [("waiting", "TALLY_MISSING")]
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('late', 0, ?)", (False,)))
    await run_again(database, lambda tx: tx.run("UPDATE lane SET next_attempt_time = 0"))
    await inbox.retry_due()
    assert await amounts(database) == {"late": 2}
    assert await rows(database, "SELECT * FROM lane_fact") == []


async def test_a_new_fact_never_overtakes_its_lane(inbox: Inbox, database: Database) -> None:
    await inbox.take([a_fact(1, "late")])
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('late', 0, ?)", (False,)))
    await inbox.take([a_fact(2, "late")])
    assert await amounts(database) == {"late": 0}
    assert [row[0] for row in await rows(database, "SELECT event_id FROM lane_fact ORDER BY position")] == [
        f"{SLOT}-1",
        f"{SLOT}-2",
    ]


async def test_a_discarded_fact_takes_no_effect_when_it_comes_again(inbox: Inbox, database: Database) -> None:
    local = Delivery(a_fact(1, "late").envelope)
    await inbox.take([local])

    def discard(tx: object) -> None:
        lanes.propose_discard(tx, "toy", f"{SLOT}-1", "kim", "a test")  # type: ignore[arg-type]
        fact = lanes.head(tx, "toy", "late")  # type: ignore[arg-type]
        assert fact is not None
        lanes.discard(tx, "toy", "late", fact, "ann")  # type: ignore[arg-type]

    await run_again(database, discard)
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('late', 0, ?)", (False,)))
    await inbox.take([local])
    assert await amounts(database) == {"late": 0}


async def test_a_corrected_fact_stands_for_the_original_ever_after(inbox: Inbox, database: Database) -> None:
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('closed', 0, ?)", (True,)))
    original = Delivery(a_fact(1, "closed", "1").envelope)
    await inbox.take([original])

    def correct(tx: object) -> None:
        fact = lanes.head(tx, "toy", "closed")  # type: ignore[arg-type]
        assert fact is not None
        content = '{"workOrderId": "new-9", "lotId": "x", "quantity": {"value": "5", "unitCode": "C62"}}'
        lanes.supersede(tx, "toy", fact, lanes.corrected(fact, content))  # type: ignore[arg-type]

    await run_again(database, correct)
    assert await inbox.drain("closed", is_released=True) == 1
    await inbox.take([original])
    assert await amounts(database) == {"closed": 0, "new-9": 5}


async def test_unreadable_content_is_parked_with_its_bytes(inbox: Inbox, database: Database) -> None:
    broken = a_fact(1)
    broken.envelope.data.value = b"\xff\xff\xff"
    await inbox.take([broken])
    ((state, reason),) = await rows(database, "SELECT state, reason FROM lane")
    assert (state, reason) == ("parked", "MESSAGE_UNREADABLE")
    ((kept,),) = await rows(database, "SELECT envelope FROM lane_fact")
    assert Envelope.FromString(bytes(kept)).data.value == b"\xff\xff\xff"


async def test_a_fact_of_another_plant_than_its_slot_is_parked(inbox: Inbox, database: Database) -> None:
    wrong = a_fact(1)
    wrong.envelope.plant_id = "brno"
    await inbox.take([wrong])
    assert await rows(database, "SELECT reason FROM lane") == [("FACT_MISADDRESSED",)]
    assert await amounts(database) == {}


async def test_a_newer_version_of_a_known_fact_waits_for_the_upgrade(inbox: Inbox, database: Database) -> None:
    newer = a_fact(1)
    newer.envelope.data.type_url = newer.envelope.data.type_url.replace(".v1.", ".v2.")
    await inbox.take([newer])
    assert await rows(database, "SELECT state, reason FROM lane") == [("waiting", "FACT_VERSION_UNKNOWN")]


async def test_the_position_moves_with_the_effect(inbox: Inbox, database: Database) -> None:
    await inbox.take([a_fact(1), a_fact(2)])
    assert await rows(database, "SELECT slot, producer_sequence, event_id FROM position") == [(SLOT, 2, f"{SLOT}-2")]
    assert time_of(a_fact(1).envelope.occur_time).tzinfo is not None
    assert Decimal(1)
