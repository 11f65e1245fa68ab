"""The loop that makes postings true: each foreign step has its own committed row, and unknown is looked up, never resent blindly.

planned -> drafting -> drafted -> booking -> acknowledged
              |                      |   -> refused   its lane waits for a person; followers of the order stay behind
              +----------------------+   -> unknown   look: booked, drafted, or after two looks planned again
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog
from google.protobuf import symbol_database

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import clock, foreign, lanes, posting_table
from servicekit.batch import Batch, Work
from servicekit.database import Database, Tx
from servicekit.domain import DomainError, Kind
from servicekit.door import run_again
from servicekit.facts import TYPE_PREFIX
from servicekit.outbox import Stored, Told
from servicekit.owners import Fence
from servicekit.posting_table import PostingRow
from servicekit.postings import Away, Found, NoAnswer, NotYet, Posting, PostingKind, PostingOutcome, Refused
from servicekit.use_case import Store, UseCase

log = structlog.get_logger()
T = TypeVar("T")
PARTNER_LIMIT = 4  # requests to one partner at once
HEADS_MOST = 64  # postings taken from the table at once
POLL_SECONDS = 0.2
BACKOFF = (0.5, 1, 2, 4, 8, 15, 30)  # seconds, the last one again and again
BREAKS_AFTER = 5  # failures in a row that open a partner's circuit
NOT_YET_MOST = 40  # tries before "not yet" becomes a refusal
LOOKS = 2  # looks that must find nothing before a posting is sent again


class PostingRefused(DomainError):
    """The partner refused the posting."""

    reason, kind = "POSTING_REFUSED", Kind.PRECONDITION


def lane_of(partner_id: str) -> str:
    """The consumer under which a partner's refused postings stand in lanes."""
    return f"postings:{partner_id}"


@dataclass(slots=True)
class Circuit:
    """Open after failures in a row: the partner is left alone for a while, then tried with one request at a time."""

    failures: int = 0
    closed_again: float = 0.0
    is_tried: bool = False

    def is_open(self) -> bool:
        return self.failures >= BREAKS_AFTER and (self.is_tried or clock.monotonic() < self.closed_again)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """While one posting is out to see whether the partner is back, no other goes."""
        is_try = self.failures >= BREAKS_AFTER
        self.is_tried |= is_try
        try:
            yield
        finally:
            self.is_tried &= not is_try

    def failed(self) -> None:
        if self.failures >= BREAKS_AFTER and not self.is_tried:
            return  # it was on its way already when the circuit opened
        self.failures += 1
        if self.failures >= BREAKS_AFTER:
            pause = BACKOFF[min(self.failures - BREAKS_AFTER + 2, len(BACKOFF) - 1)]
            self.closed_again = clock.monotonic() + pause

    def worked(self) -> None:
        self.failures = 0


class Poster:
    """Works off the postings of one service. `kinds` by (partner id, kind)."""

    def __init__(
        self,
        database: Database,
        store: Store,
        kinds: Mapping[tuple[str, str], PostingKind],
        outcome: UseCase[PostingOutcome],
        told: Told,
        fence: Fence,
    ) -> None:
        self._database, self._store, self._kinds, self._outcome = database, store, kinds, outcome
        self._told, self._fence = told, fence
        self._limits: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PARTNER_LIMIT))
        self._circuits: dict[str, Circuit] = defaultdict(Circuit)
        self._flying: dict[str, str] = {}  # posting id -> partner id
        self._silent_since: dict[str, float] = {}  # posting id -> monotonic time at which no answer had come
        self._requests: dict[str, foreign.Requests] = {}  # by posting id: all asked since it was planned or released
        longest = max([timedelta(seconds=BACKOFF[-1]), *(kind.settle_time for kind in kinds.values())])
        self._longest_pause = (longest + timedelta(seconds=1)) // timedelta(microseconds=1)

    async def serve(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    due = await self._database.read(partial(self._due, engaged=self._engaged()))
                except DomainError as fault:
                    log.warning("postings pause", fault=str(fault))
                    due = []
                for row in due:
                    if row.posting_id not in self._flying:
                        self._flying[row.posting_id] = row.partner_id
                        group.create_task(self._fly(row), name=f"posting {row.posting_id}")
                await asyncio.sleep(POLL_SECONDS)

    def _due(self, tx: Tx, engaged: list[str]) -> list[PostingRow]:
        at = clock.micros(clock.now())
        return posting_table.heads(tx, at, at + self._longest_pause, HEADS_MOST, engaged)

    def _engaged(self) -> list[str]:
        """Partners that can be given nothing more now: what waits for them must not hide what waits for others."""
        flying = Counter(self._flying.values())
        away = {partner for partner, circuit in self._circuits.items() if circuit.is_open()}
        return sorted(away | {partner for partner, count in flying.items() if count > PARTNER_LIMIT})

    async def _fly(self, row: PostingRow) -> None:
        circuit = self._circuits[row.partner_id]
        try:
            async with self._limits[row.partner_id]:
                if circuit.is_open():  # it opened while we waited for our turn
                    return
                with circuit.passing(), foreign.noting(self._requests.setdefault(row.posting_id, [])):
                    step: PostingRow | None = row
                    while step is not None:
                        step = await self._step(step)
        except DomainError as fault:
            log.warning("posting pauses", posting_id=row.posting_id, fault=str(fault))
        except Exception:  # a bug in what follows from a posting must not stop the other postings
            log.exception("posting failed", posting_id=row.posting_id, kind=row.kind)
        finally:
            del self._flying[row.posting_id]

    async def _step(self, row: PostingRow) -> PostingRow | None:
        """One foreign step. Returns the row to go on with now, or None."""
        if row.state in ("drafting", "booking"):  # sent, by this or an earlier owner, with no outcome on record
            return await self._move(row, row.now("unknown", next_attempt_time=0))
        kind = self._kinds.get((row.partner_id, row.kind))
        if kind is None:  # it stands until the partner is configured
            later = clock.micros(clock.now() + timedelta(seconds=BACKOFF[-1]))
            text = f"this service has no partner {row.partner_id} for {row.kind}"
            return await self._move(row, row.now(row.state, next_attempt_time=later, text=text), go_on=False)
        if row.state == "unknown":
            return await self._try(row, self._look(row, kind), kind)
        sending = "drafting" if row.state == "planned" else "booking"
        sent = row.now(
            sending, owner_epoch=self._fence.epoch, sent_time=clock.micros(clock.now()), attempts=row.attempts + 1
        )
        moved = await self._move(row, sent)
        if moved is None:
            return None
        return await self._try(
            moved, self._draft(moved, kind) if sending == "drafting" else self._book(moved, kind), kind
        )

    async def _draft(self, row: PostingRow, kind: PostingKind) -> PostingRow | None:
        foreign_id = await kind.draft(_posting(row))
        return await self._move(row, row.now("drafted", foreign_id=foreign_id, looks=0))

    async def _book(self, row: PostingRow, kind: PostingKind) -> PostingRow | None:
        posting = _posting(row)
        await kind.book(posting, row.foreign_id)
        try:
            found = await kind.read(posting, row.foreign_id)
        except (Away, NotYet) as gap:  # of the reading: the booking was sent, and is looked for before it is sent again
            raise NoAnswer(str(gap)) from gap
        if not found.is_booked:
            raise Refused("NOT_BOOKED", "the state read back is not booked")
        return await self._acknowledge(row, found)

    async def _look(self, row: PostingRow, kind: PostingKind) -> PostingRow | None:
        found = await kind.find(_posting(row))
        if found is not None and found.is_booked:
            return await self._acknowledge(row, found)
        if found is not None:
            return await self._move(row, row.now("drafted", foreign_id=found.foreign_id, looks=0))
        now = clock.micros(clock.now())
        sent = min(row.sent_time, now)  # the wall clock went back: what is left is counted from here
        left = self._unsettled(row.posting_id, now - sent, kind)
        if row.looks + 1 >= LOOKS and left <= 0:
            return await self._move(row, row.now("planned", looks=0, next_attempt_time=0))
        again = now + max(left, 1_000_000)
        looked = row.now("unknown", looks=row.looks + 1, next_attempt_time=again, sent_time=sent)
        return await self._move(row, looked, go_on=False)

    def _unsettled(self, posting_id: str, elapsed: int, kind: PostingKind) -> int:
        """Microseconds in which what was sent may still arrive. A wall clock that leaps ahead does not shorten them."""
        silent = self._silent_since.get(posting_id)
        if silent is not None:
            elapsed = min(elapsed, int((clock.monotonic() - silent) * 1_000_000))
        return kind.settle_time // timedelta(microseconds=1) - elapsed

    async def _try(self, row: PostingRow, step: Awaitable[PostingRow | None], kind: PostingKind) -> PostingRow | None:
        circuit, requests = self._circuits[row.partner_id], self._requests.get(row.posting_id, [])
        asked = len(requests)
        try:
            async with asyncio.timeout(kind.settle_time.total_seconds() * 0.45):
                result = await step
        except Refused as refusal:
            circuit.worked()
            return await self._refuse(row, refusal)
        except Away as away:
            circuit.failed()
            del requests[asked:]  # it reached nobody
            return await self._wait(row, _before(row.state), str(away))
        except NotYet as early:
            circuit.worked()
            del requests[asked:]
            if row.attempts >= NOT_YET_MOST:
                return await self._refuse(row, Refused("NOT_YET", str(early)))
            return await self._wait(row, _before(row.state), str(early))
        except (NoAnswer, TimeoutError) as silence:
            circuit.failed()
            return await self._wait(row, "unknown", str(silence) or "no answer in time")
        except DomainError:
            raise
        except Exception as bug:  # whatever it was, the other side may have done it
            log.exception("posting step failed", posting_id=row.posting_id, kind=row.kind)
            return await self._wait(row, "unknown", f"{type(bug).__name__}: {bug}")
        circuit.worked()
        return result

    async def _wait(self, row: PostingRow, state: str, text: str) -> PostingRow | None:
        pause = BACKOFF[min(row.attempts, len(BACKOFF) - 1)]
        later = clock.micros(clock.now() + timedelta(seconds=pause))
        waiting = row.now(
            state, next_attempt_time=later, text=text[:2000], attempts=row.attempts + (row.state == state)
        )
        if state == "unknown" and row.state != "unknown":
            self._silent_since[row.posting_id] = clock.monotonic()
            return await self._conclude(row, waiting, {})
        return await self._move(row, waiting, go_on=False)

    async def _acknowledge(self, row: PostingRow, found: Found) -> PostingRow | None:
        return await self._conclude(
            row, row.now("acknowledged", foreign_id=found.foreign_id, reason="", text=""), found.answer
        )

    async def _refuse(self, row: PostingRow, refusal: Refused) -> PostingRow | None:
        refused = row.now("refused", reason=refusal.reason, text=refusal.text[:2000])
        log.error("posting refused", posting_id=row.posting_id, kind=row.kind, reason=refusal.reason, text=refusal.text)
        return await self._conclude(row, refused, {})

    async def _move(self, row: PostingRow, to: PostingRow, *, go_on: bool = True) -> PostingRow | None:
        if to.state != "unknown":
            self._silent_since.pop(row.posting_id, None)

        def transaction(tx: Tx) -> bool:
            self._fence.check(tx)
            return posting_table.update(tx, to, row.state)

        moved = await run_again(self._database, transaction)
        return to if moved and go_on else None

    async def _conclude(self, row: PostingRow, to: PostingRow, answer: Mapping[str, str]) -> PostingRow | None:
        """The new state and what follows from it, in one transaction."""

        if to.state != "unknown":
            self._silent_since.pop(row.posting_id, None)
        requests = self._requests.get(row.posting_id, [])
        sent = foreign.asked_of(to.partner_id, to.key, requests)

        def transaction(tx: Tx) -> list[Stored]:
            self._fence.check(tx)
            if not posting_table.update(tx, to, row.state):
                return []
            if to.state == "refused":
                error = PostingRefused(partner=to.partner_id, reason=to.reason, text=to.text)
                lanes.append(tx, lane_of(to.partner_id), envelope_of(to), error, clock.now())
            outcome = PostingOutcome(_posting(to), to.state, to.foreign_id, answer, to.reason, to.text, sent)
            work = Work(
                self._outcome,
                outcome,
                False,
                cause=f"{to.posting_id}:{to.state}:{to.attempts}",
                traceparent=to.traceparent,
            )
            batch = Batch(tx, self._store, clock.now())
            batch.load([work])
            batch.decide(work)
            if work.error is not None:
                raise work.error
            return batch.save()

        self._told(await run_again(self._database, transaction))
        if to.state != "unknown":
            self._requests.pop(row.posting_id, None)
        return None


def _before(state: str) -> str:
    """Where a step that did nothing leaves a posting; one that was only looked for is as unknown as before."""
    return {"drafting": "planned", "booking": "drafted", "unknown": "unknown"}[state]


def _posting(row: PostingRow) -> Posting:
    payload = symbol_database.Default().GetSymbol(row.payload_type).FromString(row.payload)
    return Posting(row.posting_id, row.plant_id, row.partner_id, row.kind, row.order_key, row.key, payload)


def envelope_of(row: PostingRow) -> Envelope:
    """A posting as it stands in a lane: shown, corrected and released like a fact."""
    envelope = Envelope(
        event_id=row.posting_id,
        plant_id=row.plant_id,
        order_key=row.order_key,
        subject_id=row.posting_id,
        traceparent=row.traceparent,
        correlation_id=row.order_key,
    )
    envelope.occur_time.FromDatetime(clock.instant(row.plan_time))
    envelope.record_time.FromDatetime(clock.instant(row.change_time))
    envelope.data.type_url, envelope.data.value = TYPE_PREFIX + row.payload_type, row.payload
    return envelope


def release(tx: Tx, consumer: str, order_key: str) -> int:
    """Send the refused posting at the head of a lane again, with the content that it has in the lane now."""
    head = lanes.head(tx, consumer, order_key)
    if head is None:
        return 0
    envelope = head.read()
    row = posting_table.read(tx, envelope.subject_id)
    if row is not None and row.state == "refused":
        again = row.now("planned", payload=envelope.data.value, attempts=0, looks=0, next_attempt_time=0)
        posting_table.update(tx, again, "refused")
    lanes.drop(tx, consumer, order_key, [head.event_id])
    return 1


def discard(tx: Tx, fact: lanes.LaneFact) -> None:
    """Give a refused posting up: those behind it go on."""
    row = posting_table.read(tx, fact.read().subject_id)
    if row is not None and row.state == "refused":
        posting_table.update(tx, row.now("discarded"), "refused")
