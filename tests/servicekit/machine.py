"""The kit between two services, driven by Hypothesis: documents enter, facts are told, heard, parked and put right, and
the process dies at any statement. Beside it runs the model; after each step both must stand alike.

Only the broker is played: a list of messages for each slot, which may be told twice, cut at its tail, or read from anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import audit, clock, counts, outbox
from servicekit.database import Tx
from servicekit.desk import Desk
from servicekit.dispatch import Delivery
from servicekit.domain import BusinessKey, BusinessKeyConflict, DomainError, Quantity
from servicekit.door import Door
from servicekit.facts import key_message
from servicekit.inbox import Inbox
from servicekit.relay import Fresh
from servicekit.use_case import Store
from tests.servicekit.model import WAITING, Hearing, Said, Saying
from tests.servicekit.standing import same_as_heard, same_as_said, settled_once
from tests.support import toy
from tests.support.crashing import AFTER_COMMIT, Crash, CrashingDatabase

T = TypeVar("T")
STORES = {"inventory-aachen": toy.STORE, "production-aachen": Store("production", toy.STORE.rows)}
SLOTS = tuple(STORES)
HEARER = Store("operations", toy.STORE.rows)
CONSUMER = "hearer"
PAST_EVERY_PAUSE = timedelta(seconds=61)
KEY = key_message(BusinessKey("desk", "test", "1"))

# Where the process dies: (n-th transaction, before its n-th statement); mostly it does not.
crashes = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.integers(1, 3), st.sampled_from([AFTER_COMMIT, AFTER_COMMIT, 99, 1, 2, 3, 4, 5, 6, 7, 8, 10])),
)
slots = st.sampled_from(SLOTS)
tallies = st.sampled_from(["new-1", "new-2", "late", "shut"])
calls = st.tuples(slots, st.integers(1, 12), tallies, st.integers(1, 2))
ALL, NONE = -1, -2  # in place of the index of a missing message: all from the first one; none is missing
offsets = st.sampled_from([0, 0, 0, -2, 1])
cuts = st.tuples(slots, offsets, st.integers(1, 6), st.sampled_from([NONE, NONE, NONE, 0, 1, 2, ALL]))
RECORDS = ("new-1", "late", "shut", "shut")  # few, so that the same comes again and again
records = st.tuples(st.integers(0, 3), st.sampled_from([1, 1, 1, 2]))


class Kit(RuleBasedStateMachine):
    """Rules are what may happen; `said_by` and `heard_by` are the databases of the two services, `loop` runs them."""

    said_by: ClassVar[CrashingDatabase]
    heard_by: ClassVar[CrashingDatabase]
    loop: ClassVar[asyncio.AbstractEventLoop]

    @initialize()
    def begin(self) -> None:
        self.saying, self.hearing = Saying(), Hearing()
        self.saying.tallies.amounts = {"late": 0, "shut": 0}
        self.hearing.tallies.amounts, self.hearing.tallies.closed = {"shut": 0}, {"shut"}
        for database, nouns in ((self.said_by, self.saying.tallies), (self.heard_by, self.hearing.tallies)):
            self.do(database.write(lambda tx, nouns=nouns: _empty(tx, nouns.amounts, nouns.closed)))
        self.wire: dict[str, list[bytes]] = {slot: [] for slot in SLOTS}
        self.lots: dict[str, str] = {}  # event id -> lot, of all that was ever made
        self.sayer_starts()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # --- the service where documents enter

    def sayer_starts(self) -> None:
        """A new process knows nothing: the relay goes on behind what its stream ends with."""
        self.fresh = {slot: Fresh() for slot in SLOTS}
        self.told = {slot: _said(slot, wire[-1]).sequence if wire else 0 for slot, wire in self.wire.items()}

    def _hand_over(self, facts: Sequence[outbox.Stored], *, is_quick: bool) -> None:
        for fact in facts:
            self.fresh[fact.slot].put([fact])
        for slot in {fact.slot for fact in facts} if is_quick else ():
            self._tell(slot, self.fresh[slot].after(self.told[slot], 1) or [])

    @rule(
        commands=st.lists(calls, min_size=1, max_size=6), crash=crashes, is_quick=st.sampled_from([True, True, False])
    )
    def call(self, commands: list[tuple[str, int, str, int]], crash: Any, *, is_quick: bool) -> None:
        """Calls of one moment share a commit; nobody is answered before it. The relay may be quick to tell."""
        wanted = deepcopy(self.saying)
        slot = commands[0][0]
        expected = [wanted.call(slot, str(n), tally, amount) for _, n, tally, amount in commands]
        before = self.said_by.commits
        if crash:
            self.said_by.die_in(1, crash[1])
        try:
            answers = self.do(_calls(self.said_by, STORES[slot], commands, partial(self._hand_over, is_quick=is_quick)))
            assert answers == expected
        except Crash:
            self.sayer_starts()
        finally:
            self.said_by.live()
        if self.said_by.commits > before:
            self.saying = wanted

    @rule(tally_id=st.sampled_from(["late", "shut"]))
    def close_where_documents_enter(self, tally_id: str) -> None:
        """So that refusals happen there; shutting and opening by turns."""
        closed = self.saying.tallies.closed
        closed ^= {tally_id}
        is_closed = tally_id in closed
        sql = "UPDATE tallies SET is_closed = ? WHERE tally_id = ?"
        self.do(self.said_by.write(lambda tx: tx.run(sql, (is_closed, tally_id))))

    @rule(slot=slots)
    def tell(self, slot: str) -> None:
        """The relay: what was handed over in memory, else what the table holds, behind what it told last."""
        facts = self.fresh[slot].after(self.told[slot], 1) or self.do(
            self.said_by.read(lambda tx: outbox.after(tx, slot, self.told[slot], 256))
        )
        self._tell(slot, facts)

    def _tell(self, slot: str, facts: Sequence[outbox.Stored]) -> None:
        for fact in facts:
            self.wire[slot].append(fact.payload())
            self.told[slot] = fact.sequence

    @rule(slot=slots, back=st.integers(1, 5))
    def tell_again(self, slot: str, back: int) -> None:
        """A reader asked for a repeat, or the answer to a publish was lost."""
        self.told[slot] = max(0, self.told[slot] - back)
        self.tell(slot)

    @rule(slot=slots, lost=st.integers(1, 5))
    def the_stream_loses_its_tail(self, slot: str, lost: int) -> None:
        del self.wire[slot][-lost:]
        self.sayer_starts()

    # --- the service that hears

    def inbox(self) -> Inbox:
        """A new one each time: it keeps nothing in memory that it would need."""
        return Inbox(self.heard_by, HEARER, toy.HANDLERS, lambda _facts: None, consumer=CONSUMER)

    def _cut(self, cut: tuple[str, int, int, int]) -> list[Delivery]:
        """A stretch of a stream, about where we stand, perhaps with one message missing; or all from the first."""
        slot, offset, count, missing = cut
        wire = self.wire[slot]
        if missing == ALL:
            return [_delivery(slot, data) for data in wire]
        at = max(0, self.hearing.positions.get(slot, 0) + offset)
        found = [data for data in wire if _said(slot, data).sequence > at][:count]
        return [_delivery(slot, data) for index, data in enumerate(found) if index != missing]

    @rule(first=cuts, second=st.none() | cuts, local=st.lists(records, max_size=2), crash=crashes)
    def deliver(self, first: Any, second: Any, local: list[tuple[int, int]], crash: Any) -> None:
        """What has arrived: of one or two slots, and records of the plant's own system."""
        records_now = [_record(*record) for record in local]
        self._take(self._cut(first) + records_now + (self._cut(second) if second else []), crash)

    @rule(crash=crashes)
    def the_plants_records_are_read_again(self, crash: Any) -> None:
        """All of them, as after a restart of the connector."""
        self._take([_record(number, 1) for number in range(len(RECORDS))], crash)

    def _take(self, deliveries: list[Delivery], crash: Any) -> None:
        facts = [_said(d.slot, d.envelope.SerializeToString()) for d in deliveries]
        self.lots.update((fact.event_id, fact.lot_id) for fact in facts)
        wanted = deepcopy(self.hearing)
        holes = wanted.take(facts)
        before = self.heard_by.commits
        taken = self._on_hearer(self.inbox().take(deliveries), (1, crash[1]) if crash else None)
        if taken is not None and len(deliveries) == len({d.envelope.event_id for d in deliveries}):
            assert set(taken.holes) == holes
        if self.heard_by.commits > before:
            self.hearing = wanted

    def _on_hearer(self, work: Coroutine[Any, Any, T], crash: tuple[int, int] | None) -> T | None:
        """The answer; None if the process died."""
        if crash:
            self.heard_by.die_in(*crash)
        try:
            return self.do(work)
        except Crash:
            return None
        finally:
            self.heard_by.live()

    @rule(tally_id=st.sampled_from(["late", "shut"]), is_open=st.booleans())
    def the_plant_changes(self, tally_id: str, is_open: bool) -> None:
        """What facts were waiting for comes; what stood in the way goes, or comes back."""
        nouns = self.hearing.tallies
        nouns.amounts.setdefault(tally_id, 0)
        nouns.closed -= {tally_id}
        nouns.closed |= set() if is_open else {tally_id}
        sql = "INSERT INTO tallies VALUES (?, 0, ?) ON CONFLICT (tally_id) DO UPDATE SET is_closed = excluded.is_closed"
        self.do(self.heard_by.write(lambda tx: tx.run(sql, (tally_id, not is_open))))

    @rule()
    def pauses_end(self) -> None:
        """Every waiting lane is tried."""
        clock.shift(clock._offset + PAST_EVERY_PAUSE)
        waiting = [key for key, lane in self.hearing.lanes.items() if lane.state == WAITING]
        self.do(self.inbox().retry_due())
        for key in waiting:
            self._model_drain(key, 10**6, is_released=False)

    @rule(pick=st.integers(0, 9), crash=crashes)
    def retry(self, pick: int, crash: Any) -> None:
        self._drain(pick, crash, is_released=False)

    @rule(pick=st.integers(0, 9), crash=crashes)
    def release(self, pick: int, crash: Any) -> None:
        self._drain(pick, crash, is_released=True)

    def _drain(self, pick: int, crash: Any, *, is_released: bool) -> None:
        if not self.hearing.lanes:
            return
        keys = sorted(self.hearing.lanes)
        key, before = keys[pick % len(keys)], self.heard_by.commits
        if not is_released:
            self._on_hearer(self.inbox().drain(key), crash)
            self._model_drain(key, self.heard_by.commits - before, is_released=False)
            return
        request = messages.ReleaseLaneRequest(
            business_key=KEY, consumer=CONSUMER, order_key=key, release_reason="r", operator_id="o"
        )
        self._on_hearer(self.desk().ReleaseLane(request, None), crash)
        self._model_drain(key, self.heard_by.commits - before - 1, is_released=True)

    def _model_drain(self, key: str, commits: int, *, is_released: bool) -> None:
        for _ in range(commits):
            if not self.hearing.advance(key, is_released=is_released):
                return
            is_released = True

    # --- a person at the desk

    def desk(self) -> Desk:
        return Desk(self.heard_by, {CONSUMER: self.inbox()})

    def _pick(self, pick: int) -> tuple[str, Said] | None:
        found = [(key, fact) for key, lane in sorted(self.hearing.lanes.items()) for fact, _ in lane.facts]
        return found[pick % len(found)] if found else None

    @rule(pick=st.integers(0, 9), tally_id=tallies, amount=st.integers(1, 2), crash=crashes)
    def correct(self, pick: int, tally_id: str, amount: int, crash: Any) -> None:
        found = self._pick(pick)
        if found is None:
            return
        key, fact = found
        stored = OutputStored(plant_id=toy.PLANT, work_order_id=tally_id, lot_id=f"{fact.lot_id}'")
        stored.quantity.value, stored.quantity.unit_code = str(amount), "C62"
        request = messages.CorrectLaneFactRequest(
            business_key=KEY,
            consumer=CONSUMER,
            order_key=key,
            event_id=fact.event_id,
            content_json=toy.json_of(stored),
            correct_reason="r",
            operator_id="o",
        )
        before = self.heard_by.commits
        self._on_hearer(self.desk().CorrectLaneFact(request, None), (1, crash[1]) if crash else None)
        if self.heard_by.commits > before:
            answer = self.do(self.desk().CorrectLaneFact(request, None))
            assert answer.replayed
            event_id = answer.fact.event_id
            renewed = fact._replace(event_id=event_id, tally_id=tally_id, amount=amount, lot_id=stored.lot_id)
            self.hearing.correct(key, fact.event_id, renewed)
            self.lots[event_id] = stored.lot_id

    @rule(pick=st.integers(0, 9), crash=crashes)
    def discard(self, pick: int, crash: Any) -> None:
        found = self._pick(pick)
        if found is None:
            return
        key, fact = found
        said = {"business_key": KEY, "consumer": CONSUMER, "order_key": key, "event_id": fact.event_id}
        proposal = messages.ProposeDiscardRequest(propose_reason="r", operator_id="o", **said)
        self._on_hearer(self.desk().ProposeDiscard(proposal, None), None)
        request = messages.DiscardLaneFactRequest(discard_reason="r", operator_id="p", **said)
        before = self.heard_by.commits
        self._on_hearer(self.desk().DiscardLaneFact(request, None), (1, crash[1]) if crash else None)
        if self.heard_by.commits > before:
            self.hearing.discard(key, fact.event_id)

    # --- what must hold

    @invariant()
    def both_stand_alike(self) -> None:
        if hasattr(self, "lots"):
            ends = [_said(slot, wire[-1]) for slot, wire in self.wire.items() if wire]
            self.do(self.said_by.read(lambda tx: same_as_said(tx, self.saying, ends)))
            self.do(self.heard_by.read(lambda tx: same_as_heard(tx, self.hearing, CONSUMER)))
            standing = self.do(self.heard_by.read(counts.standing))
            assert not any(counts.unaccounted(standing).values()), f"what came in is not what became of it: {standing}"

    def teardown(self) -> None:
        """Everything heals; then each document that was accepted must have had its one effect."""
        if not hasattr(self, "lots"):
            return
        for tally_id in ("late", "shut"):
            self.the_plant_changes(tally_id, is_open=True)
        for slot in SLOTS:
            self.sayer_starts()
            self.tell(slot)
            self.deliver((slot, 0, 0, ALL), None, [], None)
        for key in sorted(self.hearing.lanes):
            self._drain(sorted(self.hearing.lanes).index(key), None, is_released=True)
        self.both_stand_alike()
        said = {slot: [_said(slot, data) for data in wire] for slot, wire in self.wire.items()}
        self.do(self.heard_by.read(lambda tx: settled_once(tx, said, self.lots, CONSUMER)))
        clock.shift(timedelta())


def _empty(tx: Tx, amounts: dict[str, int], closed: set[str]) -> None:
    tables = (
        "tallies claims conflicts producer outbox position lane lane_fact fact_outcome fact_count audit stored_mark"
    )
    for table in tables.split():
        tx.run(f"DELETE FROM {table}")
    tx.run("UPDATE audit_head SET entry_number = 0, chain_hash = ?", (audit.NO_HASH,))
    tx.many("INSERT INTO tallies VALUES (?, ?, ?)", [(key, n * 10**6, key in closed) for key, n in amounts.items()])


async def _calls(
    database: CrashingDatabase, store: Store, commands: list[tuple[str, int, str, int]], told: Any
) -> list[tuple[str, int]]:
    """The calls of one moment through a new door, and what each caller was told."""
    door = Door(database, store, told)
    asked = [asyncio.ensure_future(_call(door, str(n), tally, amount)) for _, n, tally, amount in commands]
    serving = asyncio.ensure_future(door.serve())
    everyone = asyncio.gather(*asked)
    await asyncio.wait([serving, everyone], return_when=asyncio.FIRST_COMPLETED)
    if everyone.done():
        serving.cancel()
        return everyone.result()
    everyone.cancel()
    await asyncio.gather(everyone, return_exceptions=True)
    return await serving  # the process died


async def _call(door: Door, number: str, tally_id: str, amount: int) -> tuple[str, int]:
    command = toy.Add(BusinessKey("mes", "output", number), tally_id, Quantity(Decimal(amount), "C62"))
    try:
        answer = await door.run(toy.add, command)
    except BusinessKeyConflict:
        return "conflict", 0
    except DomainError:
        return "refused", 0
    return ("replayed" if answer.replayed else "accepted"), int(Decimal(answer.stock.quantity.value))


def _said(slot: str, data: bytes) -> Said:
    envelope = Envelope.FromString(data)
    stored = OutputStored()
    envelope.data.Unpack(stored)
    amount = int(Decimal(stored.quantity.value))
    sequence = envelope.producer_sequence
    return Said(envelope.event_id, slot, sequence, envelope.order_key, stored.work_order_id, amount, stored.lot_id)


def _delivery(slot: str, data: bytes) -> Delivery:
    return Delivery(Envelope.FromString(data), slot, "made-1", 1)


def _record(number: int, amount: int) -> Delivery:
    """A record of the plant's own system: no number, its document's name is what guards it."""
    tally_id = RECORDS[number]
    stored = OutputStored(plant_id=toy.PLANT, work_order_id=tally_id, lot_id=f"local-{number}")
    stored.quantity.value, stored.quantity.unit_code = str(amount), "C62"
    event_id = f"local-{number}-{tally_id}-{amount}"
    envelope = Envelope(event_id=event_id, plant_id=toy.PLANT, order_key=tally_id)
    envelope.data.Pack(stored)
    return Delivery(envelope)
