"""The wall clock jumps an hour, forward or back: nothing is done twice, nothing waits for the clock, nothing is forgotten early."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from servicekit import clock, outbox, relay
from servicekit.database import Database
from servicekit.door import Door, run_again
from servicekit.inbox import Inbox
from tests.hard.two import Ruled, between
from tests.servicekit.test_inbox import a_fact
from tests.servicekit.test_outbox import SLOT, kept, store, told
from tests.servicekit.test_poster import Partner, become, plan, posting_to
from tests.support import toy
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.toy import rows

pytestmark = pytest.mark.connected
HOUR = timedelta(hours=1)
both_ways = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])


@pytest.fixture(autouse=True)
def _clock_as_it_was() -> Iterator[None]:
    yield
    clock.shift(timedelta())


@pytest.fixture
async def two(database: Database, door: Door, broker: Broker, tmp_path: Path) -> AsyncIterator[Ruled]:
    async with between(door, database, broker.url, tmp_path) as made:
        yield made


@both_ways
async def test_facts_are_told_and_heard_at_once_though_the_clock_jumps(
    two: Ruled, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "HEARTBEAT_SECONDS", 1.0)
    two.relay(), two.reader()
    await two.say(1, 20)
    clock.shift(jump)
    await two.say(21, 40)
    await two.has_heard(40)
    clock.shift(timedelta())
    await two.say(41, 60)
    await two.has_heard(60)


@both_ways
async def test_a_posting_without_answer_is_looked_up_in_its_own_time(database: Database, jump: timedelta) -> None:
    """Back: it does not wait for the clock to come round again."""
    partner = Partner(faults=["before draft silence", "before book silence"])
    await plan(database, "k1")
    async with posting_to(database, partner):
        await become(database, k1="unknown")
        clock.shift(jump)
        await become(database, k1="acknowledged")
    assert partner.bookings == ["k1"]


async def test_not_found_is_believed_after_the_settle_time_only_whatever_the_clock_says(database: Database) -> None:
    partner = Partner(settle_time=timedelta(seconds=4), faults=["before draft silence"])
    await plan(database, "k1")
    async with posting_to(database, partner):
        await become(database, k1="unknown")
        begun = clock.monotonic()
        clock.shift(HOUR)
        await become(database, k1="acknowledged")
    assert clock.monotonic() - begun >= 3.5, "sent again while the first could still arrive"


async def test_a_posting_that_was_told_to_wait_goes_on_when_the_clock_went_back(database: Database) -> None:
    partner = Partner(faults=["before draft away"])
    await plan(database, "k1")
    async with posting_to(database, partner):
        await eventually(lambda: not partner.faults)
        clock.shift(-HOUR)
        await become(database, k1="acknowledged")


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database, toy.STORE, toy.HANDLERS, lambda _facts: None, consumer="toy")


async def heals(database: Database, inbox: Inbox, within: float = 15) -> None:
    async def is_empty() -> bool:
        await inbox.retry_due()
        assert await rows(database, "SELECT state FROM lane") == []
        return True

    await eventually(is_empty, within=within)
    assert await rows(database, "SELECT amount FROM tallies") == [(2_000_000,)]


async def test_a_waiting_lane_is_tried_once_more_not_given_up_when_the_clock_leaps_forward(
    database: Database, inbox: Inbox
) -> None:
    await inbox.take([a_fact(1, "late"), a_fact(2, "late")])
    clock.shift(HOUR)
    await inbox.retry_due()
    assert await rows(database, "SELECT state FROM lane") == [("waiting",)]
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('late', 0, ?)", (False,)))
    await heals(database, inbox)


async def test_a_waiting_lane_is_tried_in_its_own_time_when_the_clock_went_back(
    database: Database, inbox: Inbox
) -> None:
    await inbox.take([a_fact(1, "late"), a_fact(2, "late")])
    await run_again(database, lambda tx: tx.run("INSERT INTO tallies VALUES ('late', 0, ?)", (False,)))
    clock.shift(-HOUR)
    await heals(database, inbox, within=3)


@both_ways
async def test_pruning_keeps_what_is_younger_than_its_time_less_the_jump(
    door: Door, database: Database, jump: timedelta
) -> None:
    await told(door, 6)
    now, age = clock.now(), timedelta(days=35)
    await store(database, 3, now - age - 2 * HOUR)
    await store(database, 6, now - age + 3 * HOUR)
    clock.shift(jump)
    await database.write(partial(outbox.prune, before=clock.now() - age))
    assert set(await kept(database)) >= {4, 5, 6}
    await store(database, 6, clock.now())
    assert (await database.read(lambda tx: outbox.producer(tx, SLOT))).stored == 6
