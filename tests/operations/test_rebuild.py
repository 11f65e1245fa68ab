"""Operations that lost its store hears everything again from the streams, and tells the same."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.production.v1.production_events_pb2 import OperationConfirmed
from servicekit.database import Database
from tests.bench import work
from tests.operations.told import ask
from tests.support.eventually import eventually
from tests.support.running import Hub

pytestmark = pytest.mark.connected
FACTS, ORDERS = 600, 20
TOLD = "SELECT event_id, work_order_id, plant_id, occur_time, record_time, text, said_by, fact_type, sequence FROM timeline_entries"
NUMBERS = "SELECT number, work_order_id FROM order_numbers"
COUNTED = "SELECT outcome, facts FROM fact_count WHERE consumer = 'operations'"


def a_fact(number: int) -> Envelope:
    """Confirmations of a few orders, in turn."""
    envelope, said = work.a_confirmation(number), OperationConfirmed()
    envelope.data.Unpack(said)
    said.confirmation.work_order_id = envelope.order_key = envelope.subject_id = f"aachen-{number % ORDERS}"
    envelope.data.Pack(said)
    return envelope


def seen(url: str) -> list[list[tuple[object, ...]]]:
    database = Database(url)
    try:
        return [sorted(map(tuple, ask(database, sql))) for sql in (TOLD, NUMBERS, COUNTED)]
    finally:
        database.close()


def heard(url: str) -> list[list[tuple[object, ...]]]:
    """Everything that was told, when all of it was."""
    kept: list[list[list[tuple[object, ...]]]] = []

    async def is_all() -> bool:
        kept[:] = [await asyncio.to_thread(seen, url)]
        return len(kept[0][0]) == FACTS

    asyncio.run(eventually(is_all, within=60))
    return kept[0]


def test_a_store_that_is_lost_is_told_again_from_the_streams(
    request: pytest.FixtureRequest, hub: Hub, database_url: str
) -> None:
    hub.broker.start()
    try:
        asyncio.run(work.fill(hub.broker.url, FACTS, a_fact, work.SUBJECT_CONFIRMED))
        hub.start("operations")
        hub.wait_ready("operations")
        first = heard(database_url)
        hub.kill("operations")
        fresh = f"sqlite:///{hub.home / 'again.db'}"
        if not database_url.startswith("sqlite"):
            fresh = request.getfixturevalue("postgres").fresh()
        hub.urls["operations"] = fresh
        hub.start("operations")
        hub.wait_ready("operations")
        again = heard(fresh)
    finally:
        hub.stop()
    assert len(first[0]) == FACTS
    assert {row[1] for row in first[0]} == {f"aachen-{n}" for n in range(ORDERS)}
    assert again == first
