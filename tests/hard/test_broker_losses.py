"""What a broker can lose, and that everything is told again from the outboxes with no hand moved (promises P4 and P9).

The whole store, a message in the middle met by a new reader, and a stream made anew: tests/servicekit/test_relay_and_reader.py.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.js.api import StreamState

from servicekit import clock, relay
from servicekit.broker import FAULTS
from servicekit.database import Database
from servicekit.door import Door
from tests.hard.two import Ruled, between
from tests.servicekit.test_relay_and_reader import SLOT, Two, stop
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.toy import rows

pytestmark = pytest.mark.connected
SEEN_WITHIN = 60.0  # seconds in which P9 wants a hole seen


@pytest.fixture
async def two(database: Database, door: Door, broker: Broker, tmp_path: Path) -> AsyncIterator[Ruled]:
    async with between(door, database, broker.url, tmp_path) as made:
        yield made


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "HEARTBEAT_SECONDS", 1.0)


async def state(two: Two) -> StreamState:
    """How the stream stands, as soon as the broker can be asked."""

    async def ask() -> StreamState:
        try:
            return (await two.connections[0].stream(SLOT)).state
        except FAULTS as fault:
            raise AssertionError(str(fault)) from fault

    return await eventually(ask)


async def stored(two: Two, count: int) -> None:
    async def holds() -> bool:
        assert (await state(two)).messages >= count
        return True

    await eventually(holds)


async def each_once(two: Two, count: int) -> None:
    """Heard in the order of the outbox, each once."""
    await two.has_heard(count, within=60)
    said = [row[0] for row in await rows(two.here, "SELECT sequence FROM outbox ORDER BY sequence")]
    assert said == list(range(1, count + 1))
    heard = [row[0] for row in await rows(two.there, "SELECT sequence FROM outbox ORDER BY sequence")]
    assert heard == said


def put_back(broker: Broker, copy: Path) -> None:
    """The broker comes back with an older copy of its store: what it acknowledged since is gone."""
    broker.kill()
    broker.wipe()
    shutil.copytree(copy, broker.home / "js")
    broker.start()


@pytest.mark.parametrize(
    "has_heard", [pytest.param(True, id="heard", marks=pytest.mark.long), pytest.param(False, id="not-heard")]
)
async def test_a_lost_tail_is_told_again(
    two: Ruled, broker: Broker, tmp_path: Path, quick_beats: None, *, has_heard: bool
) -> None:
    two.relay()
    reader = two.reader()
    await two.say(1, 30)
    await two.has_heard(30)
    broker.kill()
    shutil.copytree(broker.home / "js", tmp_path / "copy")
    broker.start()
    if not has_heard:
        await stop(reader)
    await two.say(31, 60)
    if has_heard:
        await two.has_heard(60)
    else:
        await stored(two, 60)
    put_back(broker, tmp_path / "copy")
    await two.say(61, 80)
    if not has_heard:
        two.reader()
    await each_once(two, 80)


async def test_a_store_lost_before_anybody_heard_is_told_from_the_first_fact(
    two: Ruled, broker: Broker, quick_beats: None
) -> None:
    two.relay()
    await two.say(1, 40)
    await stored(two, 40)
    broker.kill()
    broker.wipe()
    broker.start()
    two.reader()
    await each_once(two, 40)


async def test_losses_of_every_kind_under_load_lose_and_double_nothing(
    two: Ruled, broker: Broker, quick_beats: None
) -> None:
    two.relay(), two.reader()
    dice = random.Random(2)
    said = 0
    for loss in ("store", "message", "stream", "purge", "message"):
        await two.say(said + 1, said + 25)
        said += 25
        await stored(two, 1)
        found = await state(two)
        js = await two.connections[0].jetstream()
        if loss == "store":
            broker.kill()
            broker.wipe()
            broker.start()
        elif loss == "stream":
            await js.delete_stream(SLOT)
        elif loss == "purge":
            await js.purge_stream(SLOT)
        else:
            await js.delete_msg(SLOT, dice.randint(found.first_seq, found.last_seq))
    await two.say(said + 1, said + 5)
    await each_once(two, said + 5)


async def _hole_at(two: Two, number: int, count: int) -> None:
    two.relay()
    await two.say(1, count)
    await stored(two, count)
    await (await two.connections[0].jetstream()).delete_msg(SLOT, await _place_of(two, number))


async def _place_of(two: Two, number: int) -> int:
    """Where the stream holds the fact with this number; heartbeats stand between."""
    ((event_id,),) = await rows(two.here, "SELECT event_id FROM outbox WHERE sequence = ?", (number,))
    connection = two.connections[0]
    for place in range(1, (await state(two)).last_seq + 1):
        message = await connection.message(SLOT, place)
        if message is not None and event_id.encode() in (message.data or b""):
            return place
    raise AssertionError("the stream does not hold it")


async def test_a_hole_is_alarmed_and_filled_within_a_minute(two: Ruled, capsys: pytest.CaptureFixture[str]) -> None:
    await _hole_at(two, 15, 30)
    begun = clock.monotonic()
    two.reader()
    await each_once(two, 30)
    assert clock.monotonic() - begun < SEEN_WITHIN
    assert "hole in a producer's sequence" in capsys.readouterr().out


async def test_the_last_fact_lost_is_seen_by_the_next_heartbeat_though_nothing_follows_it(
    two: Ruled, quick_beats: None, capsys: pytest.CaptureFixture[str]
) -> None:
    await _hole_at(two, 30, 30)
    two.reader()
    await each_once(two, 30)
    assert "hole in a producer's sequence" in capsys.readouterr().out


@pytest.mark.long
async def test_the_last_fact_lost_is_seen_within_a_minute_at_the_shipped_pace(two: Ruled) -> None:
    await _hole_at(two, 30, 30)
    begun = clock.monotonic()
    two.reader()
    await each_once(two, 30)
    assert clock.monotonic() - begun < SEEN_WITHIN


async def test_a_hole_whose_producer_was_away_is_filled_when_it_comes_back(
    two: Ruled, quick_beats: None, capsys: pytest.CaptureFixture[str]
) -> None:
    await _hole_at(two, 15, 30)
    await stop(two.tasks[0])
    two.reader()
    told: list[str] = []

    def is_alarmed() -> bool:
        told.append(capsys.readouterr().out)
        return "hole in a producer's sequence" in "".join(told)

    await eventually(is_alarmed, within=30)
    assert await two.heard() == 14, "nothing behind the hole"
    two.relay()
    await each_once(two, 30)
