"""An ERP that commits and loses the answer, that is down for an hour, that refuses one posting: real processes, both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from isthmus.gateway.v1.erp_postings_pb2 import AnnounceReceipt
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import clock, lanes, poster, posting_table
from servicekit.database import Database
from servicekit.desk import Desk
from servicekit.domain import BusinessKey
from servicekit.door import run_again
from servicekit.facts import key_message
from servicekit.owners import Fence
from servicekit.poster import BREAKS_AFTER, PARTNER_LIMIT, Poster, lane_of
from servicekit.postings import PostingOutcome
from servicekit.use_case import Decision, PlannedPosting, Seen, UseCase
from tests.hard.erp import Erp, HttpKind
from tests.support import toy
from tests.support.eventually import eventually
from tests.support.toy import rows

pytestmark = pytest.mark.connected
KEY = key_message(BusinessKey("desk", "test", "1"))
PAUSE = 3.0  # seconds that a partner is left alone for


def decide_outcome(seen: Seen, command: PostingOutcome, at: datetime) -> Decision:
    return Decision(moot=command.state)


OUTCOME = UseCase(name="outcome", loads=lambda c, seen: [], decide=decide_outcome)


@pytest.fixture
async def erp(tmp_path: Path) -> AsyncIterator[Erp]:
    made = Erp(tmp_path)
    await made.start()
    yield made
    made.kill()


@asynccontextmanager
async def posting_to(database: Database, *erps: Erp) -> AsyncIterator[dict[str, HttpKind]]:
    kinds = {erp.name: HttpKind(erp.url) for erp in erps}
    by_partner = {(name, "post"): kind for name, kind in kinds.items()}
    task = asyncio.ensure_future(
        Poster(database, toy.STORE, by_partner, OUTCOME, lambda _facts: None, Fence(epoch=1)).serve()
    )
    yield kinds
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for kind in kinds.values():
        await kind.close()


async def plan(database: Database, keys: list[str], partner: str = "erp") -> None:
    """Keys are "order.number": the postings of an order are to be booked in the order they were planned."""
    planned = [
        (PlannedPosting(partner, "post", "aachen", key.split(".")[0], key, AnnounceReceipt(lot_id=key)), "")
        for key in keys
    ]
    await run_again(database, lambda tx: posting_table.insert(tx, planned, clock.now()))


async def all_acknowledged(database: Database, count: int, partner: str = "erp") -> None:
    async def done() -> bool:
        sql = "SELECT state, COUNT(*) FROM posting WHERE partner_id = ? GROUP BY state"
        assert dict(await rows(database, sql, (partner,))) == {"acknowledged": count}
        return True

    await eventually(done, within=60)


def in_order(bookings: list[str]) -> bool:
    """The postings of each order, in the order they were planned."""
    numbers: dict[str, list[int]] = {}
    for key in bookings:
        numbers.setdefault(key.split(".")[0], []).append(int(key.split(".")[1]))
    return all(found == sorted(found) for found in numbers.values())


@pytest.mark.parametrize("step", ["draft", "book"])
async def test_a_posting_whose_answer_was_lost_is_found_and_posted_once(
    database: Database, erp: Erp, step: str
) -> None:
    erp.faults(drop=[f"{step} order.1"])
    await plan(database, ["order.1", "order.2"])
    async with posting_to(database, erp):
        await all_acknowledged(database, 2)
    assert erp.books()["bookings"] == ["order.1", "order.2"]
    assert erp.books()["drafts"] == ["order.1", "order.2"]


async def test_an_erp_killed_with_requests_in_flight_has_every_posting_once(database: Database, erp: Erp) -> None:
    erp.faults(slow=0.1)
    keys = [f"o{order}.{number}" for number in range(1, 4) for order in range(10)]
    await plan(database, keys)
    async with posting_to(database, erp):
        await eventually(lambda: len(erp.books()["bookings"]) >= 5)
        erp.kill()
        await erp.start()
        await all_acknowledged(database, len(keys))
    booked = erp.books()["bookings"]
    assert sorted(booked) == sorted(erp.books()["drafts"]) == sorted(keys)
    assert in_order(booked)


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Erp]:
    made = Erp(tmp_path, "other")
    await made.start()
    yield made
    made.kill()


async def test_an_erp_that_is_down_for_an_hour_is_left_alone_and_then_gets_everything_in_order(
    database: Database, erp: Erp, other: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poster, "BACKOFF", (PAUSE,) * 7)
    keys = [f"o{order}.{number}" for number in range(1, 3) for order in range(40)]
    erp.kill()
    await plan(database, keys)
    async with posting_to(database, erp, other) as kinds:
        begun = clock.monotonic()
        await eventually(lambda: kinds["erp"].asked >= BREAKS_AFTER)
        clock.shift(timedelta(hours=1))  # every posting is due by its own clock
        await plan(database, [f"o{order}.1" for order in range(20)], partner="other")
        await all_acknowledged(database, 20, partner="other")  # by then all 40 orders could have been tried again
        most = BREAKS_AFTER + PARTNER_LIMIT  # those on their way when the circuit opened
        most += 1 + int((clock.monotonic() - begun) / PAUSE)
        assert kinds["erp"].asked <= most, "after a pause one is sent to see, not all"
        await erp.start()
        await all_acknowledged(database, len(keys))
    booked = erp.books()["bookings"]
    assert sorted(booked) == sorted(keys)
    assert in_order(booked)


@pytest.fixture(autouse=True)
def _clock_as_it_was() -> Iterator[None]:
    yield
    clock.shift(timedelta())


async def test_no_more_than_its_limit_of_requests_reach_an_erp_at_once(database: Database, erp: Erp) -> None:
    erp.faults(slow=0.05)
    keys = [f"o{order}.1" for order in range(30)]
    await plan(database, keys)
    async with posting_to(database, erp):
        await all_acknowledged(database, len(keys))
    assert erp.books()["peak"] == PARTNER_LIMIT


async def test_an_erp_that_is_down_holds_up_no_other(database: Database, erp: Erp, tmp_path: Path) -> None:
    away = Erp(tmp_path, "away")
    await plan(database, [f"o{order}.1" for order in range(200)], partner="away")
    await plan(database, [f"o{order}.1" for order in range(20)])
    async with posting_to(database, away, erp):
        await all_acknowledged(database, 20)


async def test_a_posting_refused_by_its_erp_holds_its_order_only_and_goes_on_when_it_is_corrected(
    database: Database, erp: Erp
) -> None:
    erp.faults(refuse=["book bad.1"])
    await plan(database, ["bad.1", "bad.2", "good.1", "bad.3", "good.2"])
    async with posting_to(database, erp):

        async def others_done() -> bool:
            found = dict(await rows(database, "SELECT posting_key, state FROM posting"))
            others = {"bad.2": "planned", "bad.3": "planned", "good.1": "acknowledged", "good.2": "acknowledged"}
            assert found == {"bad.1": "refused", **others}
            return True

        await eventually(others_done)
        desk = Desk(database, {})
        consumer = lane_of("erp")
        await _correct(desk, database, consumer)
        await others_done()
        erp.faults(refuse=[])
        release = messages.ReleaseLaneRequest(
            business_key=KEY, consumer=consumer, order_key="bad", release_reason="opened", operator_id="ann"
        )
        assert (await desk.ReleaseLane(release, None)).released_count == 1
        await all_acknowledged(database, 5)
    assert [key for key in erp.books()["bookings"] if key.startswith("bad")] == ["bad.1", "bad.2", "bad.3"]
    ((payload,),) = await rows(database, "SELECT payload FROM posting WHERE posting_key = 'bad.1'")
    assert AnnounceReceipt.FromString(bytes(payload)).lot_id == "LOT-OF-ANN"
    assert await rows(database, "SELECT 1 FROM lane") == []


async def _correct(desk: Desk, database: Database, consumer: str) -> None:
    fact = (await database.read(lambda tx: lanes.facts(tx, consumer, "bad")))[0]
    correct = messages.CorrectLaneFactRequest(
        business_key=KEY,
        consumer=consumer,
        order_key="bad",
        event_id=fact.event_id,
        content_json=toy.json_of(AnnounceReceipt(lot_id="LOT-OF-ANN")),
        correct_reason="wrong lot",
        operator_id="ann",
    )
    assert not (await desk.CorrectLaneFact(correct, None)).replayed
