"""A plant whose facts can't be told stops at its bound; other plants, and what was taken before, go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from isthmus.inventory.v1.inventory_service_pb2 import ConfirmReceiptResponse
from servicekit import bounds, clock, outbox
from servicekit.bounds import Bounds, PlantBacklogFull
from servicekit.database import Database
from servicekit.domain import BusinessKey
from servicekit.door import Door
from servicekit.inbox import Inbox
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from tests.servicekit.test_inbox import a_fact
from tests.support import toy
from tests.support.toy import rows, snapshot

pytestmark = pytest.mark.connected
BOUND, BODY = 50_000, 1000


@dataclass(frozen=True)
class Say:
    business_key: BusinessKey
    plant_id: str


def decide(seen: Seen, command: Say, now: datetime) -> Decision:
    """Say a fact of about BODY bytes for a plant."""
    data = OutputStored(plant_id=command.plant_id, lot_id="x" * BODY)
    fact = Fact(data, command.plant_id, "order", "order", now, command.business_key)
    return Decision(facts=[fact], answer=ConfirmReceiptResponse())


say = UseCase("say", lambda c, seen: [], decide, fingerprint=Fingerprint.of("plant_id"), answers=ConfirmReceiptResponse)


def a_say(number: int, plant_id: str = "aachen") -> Say:
    return Say(BusinessKey("mes", "say", f"{plant_id}-{number}"), plant_id)


@pytest.fixture
async def door(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(bounds, "LOOK_SECONDS", 0)
    made = Door(database, toy.STORE, lambda _told: None, Bounds(BOUND))
    serving = asyncio.ensure_future(made.serve()) if database.is_sqlite else None
    yield made
    if serving is not None:
        serving.cancel()


async def taken_until_full(door: Door) -> int:
    for number in range(200):
        try:
            await door.run(say, a_say(number))
        except PlantBacklogFull:
            return number
    raise AssertionError("never full")


async def test_a_plant_stops_at_its_bound_and_others_go_on(door: Door, database: Database) -> None:
    taken = await taken_until_full(door)
    assert BOUND // (BODY * 2) < taken <= BOUND // BODY + 1
    before = await snapshot(database)
    with pytest.raises(PlantBacklogFull) as full:
        await door.run(say, a_say(taken))
    assert full.value.facts == {"plant_id": "aachen"}
    assert (await door.run(say, a_say(0))).replayed, "what was taken before is answered"
    assert await snapshot(database) == before
    assert not (await door.run(say, a_say(0, "brno"))).replayed


async def test_a_plant_goes_on_when_its_stream_has_its_facts(door: Door, database: Database) -> None:
    taken = await taken_until_full(door)
    await database.write(lambda tx: outbox.mark_stored(tx, "inventory-aachen", taken, clock.now()))
    assert not (await door.run(say, a_say(taken))).replayed


async def test_what_waits_is_measured_by_slot(door: Door, database: Database) -> None:
    for number in range(20):
        await door.run(say, a_say(number, "aachen" if number % 4 else "brno"))
    waiting = dict(await database.read(bounds.waiting_bytes))
    sizes = dict(await rows(database, "SELECT slot, SUM(LENGTH(envelope)) FROM outbox GROUP BY slot"))
    assert waiting.keys() == sizes.keys()
    assert all(abs(waiting[slot] - int(sizes[slot])) < 20 for slot in sizes)


async def test_readers_of_a_full_plant_pause_and_those_of_others_go_on(door: Door, database: Database) -> None:
    taken = await taken_until_full(door)
    inbox = Inbox(database, toy.STORE, toy.HANDLERS, lambda _told: None, consumer="reader", bounds=Bounds(BOUND))
    other = a_fact(1, "new-2", slot="production-brno")
    other.envelope.plant_id = "brno"
    before = len(await rows(database, "SELECT 1 FROM outbox"))
    did = await inbox.take([a_fact(1), other, a_fact(2)])
    assert (did.full, did.advanced, did.holes) == ({"production-aachen"}, {"production-brno"}, set())
    assert len(await rows(database, "SELECT 1 FROM outbox")) == before + 1
    await database.write(lambda tx: outbox.mark_stored(tx, "inventory-aachen", taken + 1, clock.now()))
    assert (await inbox.take([a_fact(1), a_fact(2)])).advanced == {"production-aachen"}
