"""Postings: booked once whatever the other side answers, unknown looked up, refusals parked for a person, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from isthmus.gateway.v1.erp_postings_pb2 import AnnounceReceipt
from servicekit import foreign, lanes, poster, posting_table
from servicekit.clock import now
from servicekit.database import Database, Tx
from servicekit.door import run_again
from servicekit.owners import Fence
from servicekit.poster import Poster, lane_of
from servicekit.postings import Away, Found, NoAnswer, NotYet, Posting, PostingOutcome, Refused
from servicekit.use_case import Decision, PlannedPosting, Seen, UseCase
from tests.support import toy
from tests.support.eventually import eventually
from tests.support.toy import rows

pytestmark = pytest.mark.connected


@dataclass
class Partner:
    """A foreign system with drafts and bookings, and a script of what goes wrong, step by step."""

    settle_time: timedelta = timedelta(seconds=0.4)
    faults: list[str] = field(default_factory=list)
    drafts: dict[str, str] = field(default_factory=dict)
    bookings: list[str] = field(default_factory=list)
    lookups: int = 0

    async def _fault(self, step: str, *, is_done: bool) -> None:
        wanted = f"{'after' if is_done else 'before'} {step}"
        if self.faults and self.faults[0].startswith(wanted):
            fault = self.faults.pop(0).removeprefix(wanted).strip()
            if fault == "silence":
                raise NoAnswer("the connection was lost")
            if fault == "hang":
                await asyncio.sleep(30)
            raise {"away": Away("refused"), "not yet": NotYet("no stock"), "no": Refused("NO", "never")}[fault]

    async def find(self, posting: Posting) -> Found | None:
        self.lookups += 1
        await self._fault("find", is_done=False)
        if posting.key not in self.drafts:
            return None
        return Found(self.drafts[posting.key], posting.key in self.bookings)

    async def draft(self, posting: Posting) -> str:
        foreign.note("draft", {"reference": posting.key})
        await self._fault("draft", is_done=False)
        self.drafts.setdefault(posting.key, f"D{len(self.drafts) + 1}")
        await self._fault("draft", is_done=True)
        return self.drafts[posting.key]

    async def book(self, posting: Posting, foreign_id: str) -> None:
        foreign.note("book", {"number": foreign_id})
        await self._fault("book", is_done=False)
        self.bookings.append(posting.key)
        await self._fault("book", is_done=True)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        return Found(foreign_id, posting.key in self.bookings)


def decide_outcome(seen: Seen, command: PostingOutcome, at: datetime) -> Decision:
    asked = [f"{request.name} {request.value}" for request in command.sent.fields] if command.sent is not None else []
    CONCLUDED.append((command.posting.key, command.state, asked))
    return Decision(moot=command.state)


CONCLUDED: list[tuple[str, str, list[str]]] = []
OUTCOME = UseCase(name="outcome", loads=lambda c, seen: [], decide=decide_outcome)


async def plan(database: Database, *keys: str, order_key: str = "order-1") -> None:
    payload = AnnounceReceipt(lot_id="L")
    planned = [(PlannedPosting("erp", "post", "aachen", order_key, key, payload), "") for key in keys]
    await run_again(database, lambda tx: posting_table.insert(tx, planned, now()))


@asynccontextmanager
async def posting_to(database: Database, partner: Partner, epoch: int = 1) -> AsyncIterator[Poster]:
    made = Poster(database, toy.STORE, {("erp", "post"): partner}, OUTCOME, lambda _slots: None, Fence(epoch=epoch))
    task = asyncio.ensure_future(made.serve())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def become(database: Database, **wanted: str) -> None:
    async def states() -> bool:
        found = dict(await rows(database, "SELECT posting_key, state FROM posting"))
        assert found == wanted
        return True

    await eventually(states, within=20)


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["before draft away"],
        ["before draft silence"],
        ["after draft silence"],
        ["before book silence"],
        ["after book silence"],
        ["after book hang"],
        ["before draft not yet", "before book away", "after book silence"],
    ],
)
async def test_a_posting_is_booked_once_whatever_goes_wrong(database: Database, faults: list[str]) -> None:
    partner = Partner(faults=list(faults))
    await plan(database, "k1")
    async with posting_to(database, partner):
        await become(database, k1="acknowledged")
    assert partner.bookings == ["k1"]
    assert partner.faults == []


async def test_a_look_that_comes_too_early_leaves_a_posting_unknown_and_is_no_bug(database: Database) -> None:
    partner = Partner(faults=["after book silence", "before find not yet", "before find away"])
    await plan(database, "k1")
    with capture_logs() as logged:
        async with posting_to(database, partner):
            await become(database, k1="acknowledged")
    assert (partner.bookings, partner.faults) == (["k1"], [])
    assert "posting failed" not in [line["event"] for line in logged]


async def test_no_answer_is_looked_up_before_anything_is_sent_again(database: Database) -> None:
    partner = Partner(faults=["after book silence"])
    await plan(database, "k1")
    async with posting_to(database, partner):
        await become(database, k1="acknowledged")
    assert partner.lookups >= 1


DRAFT, BOOK = 'draft {"reference": "k1"}', 'book {"number": "D1"}'


@pytest.mark.parametrize(
    ("faults", "concluded"),
    [
        ([], [("acknowledged", [DRAFT, BOOK])]),
        (["after book silence"], [("unknown", [DRAFT, BOOK]), ("acknowledged", [DRAFT, BOOK])]),
        (["before draft away"], [("acknowledged", [DRAFT, BOOK])]),
        (["before book not yet"], [("acknowledged", [DRAFT, BOOK])]),
        (["before book no"], [("refused", [DRAFT, BOOK]), ("acknowledged", [DRAFT, BOOK])]),
    ],
)
async def test_an_outcome_knows_what_the_partner_was_asked(
    database: Database, faults: list[str], concluded: list[tuple[str, list[str]]]
) -> None:
    CONCLUDED.clear()
    partner, is_refused = Partner(faults=list(faults)), "before book no" in faults
    await plan(database, "k1")
    async with posting_to(database, partner):
        if is_refused:
            await become(database, k1="refused")
            await run_again(database, lambda tx: poster.release(tx, lane_of("erp"), "order-1"))
        await become(database, k1="acknowledged")
    assert [("k1", *each) for each in concluded] == CONCLUDED


async def test_what_an_earlier_owner_sent_is_unknown_until_it_is_looked_up(database: Database) -> None:
    partner = Partner(drafts={"k1": "D1"}, bookings=["k1"])
    await plan(database, "k1")
    await run_again(database, lambda tx: tx.run("UPDATE posting SET state = 'booking', foreign_id = 'D1'"))
    async with posting_to(database, partner, epoch=2):
        await become(database, k1="acknowledged")
    assert partner.bookings == ["k1"]
    assert CONCLUDED[-1] == ("k1", "acknowledged", []), "what was asked by a process that died, nobody knows"


async def test_a_refused_posting_parks_its_order_and_no_other(database: Database) -> None:
    partner = Partner(faults=["before draft no"])
    await plan(database, "k1", "k2")
    async with posting_to(database, partner):
        await become(database, k1="refused", k2="planned")
        await plan(database, "x1", order_key="order-2")
        await become(database, k1="refused", k2="planned", x1="acknowledged")
        assert await rows(database, "SELECT consumer, state FROM lane") == [(lane_of("erp"), lanes.PARKED)]
        await run_again(database, lambda tx: poster.release(tx, lane_of("erp"), "order-1"))
        await become(database, k1="acknowledged", k2="acknowledged", x1="acknowledged")
    assert [key for key in partner.bookings if key.startswith("k")] == ["k1", "k2"]


async def test_a_discarded_posting_lets_its_followers_go(database: Database) -> None:
    partner = Partner(faults=["before draft no"])
    await plan(database, "k1", "k2")
    async with posting_to(database, partner):
        await become(database, k1="refused", k2="planned")

        def give_up(tx: Tx) -> None:
            head = lanes.head(tx, lane_of("erp"), "order-1")
            assert head is not None
            lanes.propose_discard(tx, lane_of("erp"), head.event_id, "kim", "a test")
            fact = lanes.fact_in(tx, lane_of("erp"), "order-1", head.event_id)
            lanes.discard(tx, lane_of("erp"), "order-1", fact, "ann")
            poster.discard(tx, fact)

        await run_again(database, give_up)
        await become(database, k1="discarded", k2="acknowledged")
    assert partner.bookings == ["k2"]


async def test_the_same_key_is_planned_once(database: Database) -> None:
    partner = Partner()
    await plan(database, "k1")
    await plan(database, "k1")
    async with posting_to(database, partner):
        await become(database, k1="acknowledged")
    assert partner.bookings == ["k1"]
