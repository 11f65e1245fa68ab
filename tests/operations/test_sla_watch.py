"""Interfaces from the fact that is heard to the breach that is said, on both databases, with a clock that is moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from isthmus.edge.v1.edge_events_pb2 import WorkOrderAccepted
from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.operations.v1 import interface_pb2, operations_service_pb2
from isthmus.production.v1.production_events_pb2 import WorkOrderReleased
from servicekit import clock, migrate, telemetry
from servicekit.database import Database
from servicekit.dispatch import Delivery
from servicekit.door import Door
from servicekit.facts import unpack
from servicekit.inbox import Inbox
from services.operations import __main__ as operations
from services.operations import event_handlers, queries, sla_queries
from services.operations.interfaces import Interfaces
from services.operations.settings import Settings
from services.operations.sla_watch import SlaWatch
from services.operations.store import STORE
from tests.support.toy import rows

pytestmark = pytest.mark.connected
PLANTS = ("aachen", "brno")
SECOND = timedelta(seconds=1)
BREACHED, OK = interface_pb2.INTERFACE_STATE_BREACHED, interface_pb2.INTERFACE_STATE_OK


class Desk:
    """Operations without its process: what it hears, looks at and answers."""

    def __init__(self, database: Database, door: Door) -> None:
        self.database, self.door = database, door
        self.interfaces = Interfaces.load(Settings.model_fields["interfaces_file"].default)
        self._numbers: dict[str, int] = {}
        self.restart()

    def restart(self) -> None:
        def hears_all(content: Any, meta: Any) -> Any:
            return event_handlers.record_entry(self.interfaces, content, meta)

        self.inbox = Inbox(self.database, STORE, {}, lambda _slots: None, hears_all=hears_all)
        self.watch = SlaWatch(self.database, self.door, self.interfaces, PLANTS)

    async def hear(self, service: str, content: Message, order: str = "aachen-1") -> Delivery:
        slot = f"{service}-aachen"
        number = self._numbers[slot] = self._numbers.get(slot, 0) + 1
        envelope = Envelope(event_id=f"{slot}-{number}", plant_id="aachen", order_key=order, producer_slot=slot)
        envelope.producer_epoch, envelope.producer_sequence = 1, number
        envelope.occur_time.FromDatetime(clock.now())
        envelope.record_time.FromDatetime(clock.now())
        envelope.data.Pack(content)
        delivery = Delivery(envelope, slot, f"{slot}-1", number)
        await self.inbox.take([delivery])
        return delivery

    async def look_after(self, seconds: int) -> None:
        clock.shift(clock._offset + seconds * SECOND)
        await self.watch.look()

    async def said(self) -> list[Any]:
        found = await rows(self.database, "SELECT envelope FROM outbox ORDER BY sequence")
        return [unpack(Envelope.FromString(bytes(envelope)).data) for (envelope,) in found]

    async def missing(self, order: str = "aachen-1") -> list[operations_service_pb2.MissingStep]:
        known = {one.interface_id: one for one in self.interfaces.all}
        request = operations_service_pb2.GetTimelineRequest(work_order_id=order)
        told = await self.database.read(lambda tx: queries.get_timeline(tx, request, known))
        return list(told.missing_steps)

    async def interface(self, interface_id: str, plant_id: str = "aachen") -> interface_pb2.Interface:
        request = operations_service_pb2.ListInterfacesRequest(plant_id=plant_id)
        return {one.interface_id: one for one in (await self.listed(request)).interfaces}[interface_id]

    async def listed(self, request: Any) -> operations_service_pb2.ListInterfacesResponse:
        every = [(plant_id, one) for plant_id in PLANTS for one in self.interfaces.all]
        return await self.database.read(lambda tx: sla_queries.list_interfaces(tx, request, every))


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    database = Database(database_url)
    migrate.migrate(database.engines[0], "operations", Path(operations.__file__).parent / "migrations")
    door = Door(database, STORE, lambda _slots: None)
    serving = asyncio.ensure_future(door.serve()) if database.is_sqlite else None
    yield Desk(database, door)
    if serving is not None:
        serving.cancel()
    database.close()


@pytest.fixture(autouse=True)
def time() -> Iterator[None]:
    yield
    clock.shift(timedelta())


def released(order: str = "aachen-1") -> WorkOrderReleased:
    fact = WorkOrderReleased()
    fact.work_order.work_order_id = order
    return fact


def accepted(order: str = "aachen-1") -> WorkOrderAccepted:
    return WorkOrderAccepted(work_order_id=order, mes_order_number=f"FA-{order}", accepted_step="release")


async def test_a_breach_is_said_once_and_its_recovery_once(desk: Desk) -> None:
    await desk.hear("production", released())
    for seconds in (0, 61, 11, 5, 3600):
        await desk.look_after(seconds)
    (breach,) = await desk.said()
    assert (breach.DESCRIPTOR.name, breach.interface_id, breach.plant_id) == ("SlaBreached", "mes-acceptance", "aachen")
    assert (breach.oldest_work_order_id, breach.open_count) == ("aachen-1", 1)
    shown = await desk.interface("mes-acceptance")
    assert (shown.state, shown.open_count, shown.oldest_work_order_id) == (BREACHED, 1, "aachen-1")
    assert shown.since_time == breach.since_time
    assert shown.since_time.ToMicroseconds() - shown.oldest_open_time.ToMicroseconds() == 60_000_000
    await desk.hear("edge_bridge", accepted())
    for seconds in (0, 3600):
        await desk.look_after(seconds)
    _, recovery = await desk.said()
    assert (recovery.DESCRIPTOR.name, recovery.open_count) == ("SlaRecovered", 0)
    assert recovery.since_time == breach.since_time
    shown = await desk.interface("mes-acceptance")
    assert (shown.state, shown.open_count, shown.oldest_work_order_id) == (OK, 0, "")
    assert shown.HasField("last_good_time")


async def test_a_breach_and_its_recovery_are_spans_by_which_they_are_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(telemetry, "_processor", SimpleSpanProcessor(exporter))
    await desk.hear("production", released())
    for seconds in (0, 61, 11, 60):
        await desk.look_after(seconds)
    await desk.hear("edge_bridge", accepted())
    await desk.look_after(0)
    told = [(span.name, (span.attributes or {})["isthmus.order.key"]) for span in exporter.get_finished_spans()]
    assert told == [(name, "sla:aachen:mes-acceptance") for name in ("breach sla", "recover sla")]


async def test_an_order_s_timeline_names_what_is_missing_and_since_when(desk: Desk) -> None:
    begun = clock.now()
    await desk.hear("production", released())
    await desk.hear("production", released("aachen-2"), "aachen-2")
    (missing,) = await desk.missing()
    assert (missing.interface_id, missing.to_step) == ("mes-acceptance", "isthmus.edge.v1.WorkOrderAccepted")
    assert abs(missing.since_time.ToDatetime(UTC) - begun) < 10 * SECOND
    assert (missing.limit_duration.ToTimedelta(), missing.is_beyond_limit) == (60 * SECOND, False)
    await desk.look_after(61)
    assert [step.is_beyond_limit for step in await desk.missing()] == [True]
    await desk.hear("edge_bridge", accepted())
    assert await desk.missing() == []


async def test_an_interface_can_be_breached_again(desk: Desk) -> None:
    for order in ("aachen-1", "aachen-2"):
        await desk.hear("production", released(order), order)
        for seconds in (61, 11):
            await desk.look_after(seconds)
        await desk.hear("edge_bridge", accepted(order), order)
        await desk.look_after(0)
    names = [fact.DESCRIPTOR.name for fact in await desk.said()]
    assert names == ["SlaBreached", "SlaRecovered"] * 2


async def test_what_is_over_before_the_debounce_is_not_said(desk: Desk) -> None:
    await desk.hear("production", released())
    await desk.look_after(3600)
    await desk.hear("edge_bridge", accepted())
    await desk.look_after(60)
    assert await desk.said() == []


async def test_an_end_that_is_heard_before_its_start_leaves_no_clock_running(desk: Desk) -> None:
    await desk.hear("edge_bridge", accepted())
    await desk.hear("production", released())
    for seconds in (3600, 60):
        await desk.look_after(seconds)
    assert await desk.said() == []
    assert (await desk.interface("mes-acceptance")).open_count == 0


async def test_a_start_that_comes_again_after_its_end_starts_nothing(desk: Desk) -> None:
    again = await desk.hear("production", released())
    await desk.hear("edge_bridge", accepted())
    await desk.inbox.take([again])
    assert (await desk.interface("mes-acceptance")).open_count == 0


async def test_a_restart_says_no_breach_again_and_still_says_its_recovery(desk: Desk) -> None:
    await desk.hear("production", released())
    for seconds in (61, 11):
        await desk.look_after(seconds)
    desk.restart()
    for seconds in (0, 60):
        await desk.look_after(seconds)
    await desk.hear("edge_bridge", accepted())
    await desk.look_after(0)
    assert [fact.DESCRIPTOR.name for fact in await desk.said()] == ["SlaBreached", "SlaRecovered"]


async def test_two_watches_that_see_the_same_say_it_once(desk: Desk) -> None:
    other = SlaWatch(desk.database, desk.door, desk.interfaces, PLANTS)
    await desk.hear("production", released())
    for seconds in (61, 11):
        clock.shift(clock._offset + seconds * SECOND)
        await asyncio.gather(desk.watch.look(), other.look())
    assert [fact.DESCRIPTOR.name for fact in await desk.said()] == ["SlaBreached"]


async def test_the_oldest_of_those_that_wait_is_shown_and_the_list_is_paged_by_plant_and_interface(desk: Desk) -> None:
    for order in ("aachen-2", "aachen-1"):
        await desk.hear("production", released(order), order)
        clock.shift(clock._offset + SECOND)
    shown = await desk.interface("mes-acceptance")
    assert (shown.open_count, shown.oldest_work_order_id) == (2, "aachen-2")
    request, seen = operations_service_pb2.ListInterfacesRequest(page_size=3), []
    while True:
        page = await desk.listed(request)
        assert len(page.interfaces) <= 3
        seen += [(one.plant_id, one.interface_id) for one in page.interfaces]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == sorted((plant, one.interface_id) for plant in PLANTS for one in desk.interfaces.all)


async def test_clocks_that_stopped_long_ago_are_forgotten_and_those_that_run_are_not(desk: Desk) -> None:
    await desk.hear("production", released())
    await desk.hear("edge_bridge", accepted())
    await desk.hear("production", released("aachen-2"), "aachen-2")
    later = clock.now() + 8 * 24 * 3600 * SECOND
    await desk.database.write(lambda tx: sla_queries.prune(tx, later))
    left = await rows(desk.database, "SELECT work_id, interface_id FROM sla_clocks WHERE close_time = 0")
    assert left == [("aachen-2", "mes-acceptance")]
    assert await rows(desk.database, "SELECT work_id FROM sla_clocks WHERE close_time > 0") == []


async def test_an_interface_says_how_often_it_was_good_in_the_last_hour(desk: Desk) -> None:
    for order in ("aachen-1", "aachen-2"):
        await desk.hear("production", released(order), order)
        await desk.hear("edge_bridge", accepted(order), order)
    assert (await desk.interface("mes-acceptance")).hour_count == 2
    clock.shift(clock._offset + 3601 * SECOND)
    assert (await desk.interface("mes-acceptance")).hour_count == 0
