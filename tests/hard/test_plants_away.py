"""A plant that is cut off for a month, and one whose stream is full: nothing is lost, it is visible, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from servicekit import clock, outbox
from servicekit.broker import StreamRules
from servicekit.database import Database
from servicekit.door import Door
from servicekit.inbox import Inbox
from servicekit.reader import Reader
from servicekit.relay import Relay
from servicekit.run import end_of
from tests.hard.two import Ruled, between
from tests.servicekit.test_relay_and_reader import SLOT
from tests.support import toy
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.toy import rows

pytestmark = pytest.mark.connected
MONTH = timedelta(days=30)
OTHER = "inventory-brno"
TINY = StreamRules(max_bytes=30_000, max_age=35 * 86400, max_msg_size=10_000, num_replicas=1)


@pytest.fixture(autouse=True)
def _clock_as_it_was() -> Iterator[None]:
    yield
    clock.shift(timedelta())


async def in_order(two: Ruled, count: int) -> None:
    await two.has_heard(count, within=1200 if count > 10_000 else 60)
    said = await rows(two.here, "SELECT event_id FROM outbox ORDER BY sequence")
    causes = [row[0] for row in await rows(two.there, "SELECT envelope FROM outbox ORDER BY sequence")]
    assert len(said) == len(causes) == count
    assert all(said[n][0].encode() in bytes(causes[n]) for n in range(count)), "effects in the order of their causes"


async def a_month_of(two: Ruled, broker: Broker, count: int) -> None:
    """A plant that works while its link is cut, from thirty days ago until now."""
    broker.kill()
    clock.shift(-MONTH)
    for first in range(1, count + 1, 1000):
        await two.say(first, min(count, first + 999))
    clock.shift(timedelta())
    waiting, oldest = await two.here.read(lambda tx: outbox.backlog(tx, SLOT))
    assert waiting == count
    assert oldest is not None
    assert clock.now() - clock.instant(oldest) >= MONTH, "how old what waits is, is visible"
    await two.here.write(lambda tx: outbox.prune(tx, clock.now() - timedelta(days=1)))
    broker.start()
    two.relay(), two.reader()
    await in_order(two, count)
    assert (await two.here.read(lambda tx: outbox.backlog(tx, SLOT)))[0] == 0


@pytest.fixture
async def two(database: Database, door: Door, broker: Broker, tmp_path: Path) -> AsyncIterator[Ruled]:
    async with between(door, database, broker.url, tmp_path) as made:
        yield made


async def test_a_month_without_the_broker_is_told_in_order_when_it_is_back(two: Ruled, broker: Broker) -> None:
    await a_month_of(two, broker, 2000)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_a_month_of_two_million_facts_is_told_in_order(two: Ruled, broker: Broker) -> None:
    await a_month_of(two, broker, 2_000_000)


@pytest.fixture
async def tiny(database: Database, door: Door, broker: Broker, tmp_path: Path) -> AsyncIterator[Ruled]:
    async with between(door, database, broker.url, tmp_path, TINY) as made:
        yield made


def follow_both(two: Ruled) -> None:
    relay = Relay(two.here, two.connect("relay"))
    inbox = Inbox(two.there, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="reader")
    reader = Reader(two.there, two.connect("reader"), inbox, [SLOT, OTHER])
    two.tasks += [asyncio.ensure_future(relay.serve([SLOT, OTHER])), asyncio.ensure_future(reader.serve())]


async def heard_of(two: Ruled, slot: str) -> int:
    found = await rows(two.there, "SELECT producer_sequence FROM position WHERE slot = ?", (slot,))
    return int(found[0][0]) if found else 0


async def test_a_plant_whose_stream_is_full_holds_up_no_other_and_loses_nothing(
    tiny: Ruled, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    follow_both(tiny)
    monkeypatch.setattr(toy, "PLANT", "brno")
    await tiny.say(1, 400)
    told: list[str] = []

    def is_full() -> bool:
        told.append(capsys.readouterr().out)
        return "maximum bytes exceeded" in "".join(told)

    await eventually(is_full)
    monkeypatch.setattr(toy, "PLANT", "aachen")
    for first in range(1001, 1021, 5):
        await tiny.say(first, first + 4)

    async def others_heard() -> bool:
        return await heard_of(tiny, SLOT) == 20

    await eventually(others_heard)
    waiting, _ = await tiny.here.read(lambda tx: outbox.backlog(tx, OTHER))
    assert waiting > 0, "what its stream has no room for waits in the outbox"

    async def is_known_as_told() -> bool:  # that is noted four times a second
        return (await tiny.here.read(lambda tx: outbox.backlog(tx, SLOT)))[0] == 0

    await eventually(is_known_as_told)
    tiny.rules = replace(TINY, max_bytes=10_000_000)
    await end_of(tiny.tasks)
    tiny.tasks.clear()
    follow_both(tiny)  # as after a release that declares more

    async def all_heard() -> bool:
        return await heard_of(tiny, OTHER) == 400

    await eventually(all_heard, within=30)
