"""What becomes of a fact, decided once for every service: effect, repeat, lane, or a line that says why it was moot.

A batch of facts is one transaction: positions and lanes locked, rows loaded set-based, decisions in order of arrival,
effects, lanes and positions saved together. Local records of a plant's system take the same way, without a position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from typing import NamedTuple

import structlog

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import clock, counts, dispatch, lanes, position, telemetry
from servicekit.batch import Batch, Work
from servicekit.bounds import Bounds, PlantBacklogFull
from servicekit.database import Database, StoreUnavailable, Tx
from servicekit.dispatch import Delivery, Dispatch
from servicekit.domain import DomainError
from servicekit.door import run_again
from servicekit.facts import Handler, type_of
from servicekit.lanes import LaneFact
from servicekit.outbox import Stored, Told
from servicekit.owners import FREE, Fence
from servicekit.position import Position, Step
from servicekit.use_case import Store

log = structlog.get_logger()
LANE_MOST = 128  # facts of a lane that are worked off in one transaction


class Trial(NamedTuple):
    """What a fact would do: why it would fail, why it would have no effect, types of the facts that would be told."""

    error: Exception | None
    moots: list[str]
    told: list[str]


class _TakenBack(Exception):
    """Ends a trial's transaction without a trace of it."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial


class Taken(NamedTuple):
    """What a batch made of its slots."""

    holes: frozenset[str] = frozenset()  # the next number did not come
    advanced: frozenset[str] = frozenset()
    beyond: frozenset[str] = frozenset()  # we took what the producer does not know any more
    full: frozenset[str] = frozenset()  # their plant takes nothing new until its own facts are told


def _position_after(delivery: Delivery) -> Position:
    envelope = delivery.envelope
    return Position(
        delivery.slot,
        delivery.stream_created,
        delivery.stream_sequence,
        envelope.event_id,
        envelope.producer_epoch,
        envelope.producer_sequence,
    )


class Inbox:
    """Takes facts for one consumer."""

    def __init__(
        self,
        database: Database,
        store: Store,
        handlers: Mapping[str, Handler],
        told: Told,
        *,
        consumer: str = "",
        hears_all: Handler | None = None,
        fence: Fence = FREE,
        bounds: Bounds | None = None,
    ) -> None:
        self._database, self._store, self._told = database, store, told
        self.consumer = consumer or store.service
        self._dispatch = Dispatch(self.consumer, handlers, hears_all)
        self.fence, self._bounds = fence, bounds or Bounds()

    def of_owner(self, fence: Fence) -> Inbox:
        """The same, as the owner of a place works it: nothing takes effect once another process owns that."""
        owned = copy(self)
        owned.fence = fence
        return owned

    async def take(self, deliveries: Sequence[Delivery]) -> Taken:
        """Handle facts in order of arrival. Of a slot with a hole nothing but the missing number is taken.

        Raises StoreUnavailable when the whole service can't work; then nothing was done and the same may be tried again.
        """
        try:
            taken, told = await run_again(self._database, lambda tx: self._batch(tx, deliveries))
        except (StoreUnavailable, DomainError):
            raise
        except Exception as error:
            if len(deliveries) > 1:
                each = [await self.take([delivery]) for delivery in deliveries]
                return Taken(*(frozenset().union(*parts) for parts in zip(*each, strict=True)))
            log.exception("fact failed its transaction", event_id=deliveries[0].envelope.event_id)
            failed = error
            taken, told = await run_again(self._database, lambda tx: self._park(tx, deliveries[0], failed))
        self._told(told)
        return taken

    def _batch(self, tx: Tx, deliveries: Sequence[Delivery]) -> tuple[Taken, list[Stored]]:
        now = clock.now()
        self.fence.check(tx)
        self._bounds.look(tx)
        fresh, positions, taken, count = self._fresh(tx, deliveries)
        if not fresh:
            return taken, []
        open_lanes = set(lanes.lock(tx, self.consumer, [d.envelope.order_key for d in fresh]))
        settled = lanes.settled(tx, self.consumer, [d.envelope.event_id for d in fresh])
        works = [(d.envelope, self._dispatch.work_of(d)) for d in fresh if d.envelope.event_id not in settled]
        batch = Batch(tx, self._store, now)
        batch.load([w for e, w in works if isinstance(w, Work) and e.order_key not in open_lanes])
        for envelope, work in works:
            if work is None:
                count[envelope.plant_id, counts.MOOT] += 1
            elif envelope.order_key in open_lanes:
                lanes.append(tx, self.consumer, envelope, None, now)
            elif (error := dispatch.decide(batch, work)) is not None:
                lane = lanes.append(tx, self.consumer, envelope, error, now)
                open_lanes.add(envelope.order_key)
                self._say_lane(lane.state, envelope, error)
            else:
                count[envelope.plant_id, dispatch.became(work)] += 1
        for delivery in fresh:
            if delivery.envelope.event_id in settled:
                count[delivery.envelope.plant_id, counts.REPEAT] += 1
        position.save(tx, self.consumer, positions)
        counts.add(tx, self.consumer, count)
        return taken, batch.save()

    def _fresh(
        self, tx: Tx, deliveries: Sequence[Delivery]
    ) -> tuple[list[Delivery], list[Position], Taken, counts.Counts]:
        """Those that are next in their slot, the positions after them, what that makes of the slots, and how many came in."""
        positions = position.load(tx, self.consumer, {d.slot for d in deliveries if d.slot})
        last = {slot: (at.producer_epoch, at.producer_sequence) for slot, at in positions.items()}
        fresh: list[Delivery] = []
        holes: set[str] = set()
        beyond: set[str] = set()
        full: set[str] = set()
        advanced: dict[str, Delivery] = {}
        for delivery in deliveries:
            envelope, slot = delivery.envelope, delivery.slot
            if self._bounds.is_full(self._store.service, envelope.plant_id):
                if not slot:
                    raise PlantBacklogFull(plant_id=envelope.plant_id)
                full.add(slot)
                continue
            if not slot:
                fresh.append(delivery)
                continue
            number = (envelope.producer_epoch, envelope.producer_sequence)
            step = position.judge(last.get(slot), *number, delivery.said)
            if step is Step.HOLE:
                holes.add(slot)
            elif step is Step.BEYOND:
                beyond.add(slot)
            if step is not Step.NEXT:
                continue
            holes.discard(slot)
            advanced[slot] = delivery
            last[slot] = number
            fresh.append(delivery)
        moved = [_position_after(advanced[slot]) for slot in sorted(advanced)]
        taken = Taken(frozenset(holes), frozenset(advanced), frozenset(beyond), frozenset(full))
        came = counts.arrived(positions, moved, [(d.slot, d.envelope.plant_id) for d in fresh])
        return fresh, moved, taken, came

    def _park(self, tx: Tx, delivery: Delivery, error: Exception) -> tuple[Taken, list[Stored]]:
        self.fence.check(tx)
        fresh, positions, taken, count = self._fresh(tx, [delivery])
        for one in fresh:
            lane = lanes.append(tx, self.consumer, one.envelope, error, clock.now())
            self._say_lane(lane.state, one.envelope, error)
        position.save(tx, self.consumer, positions)
        counts.add(tx, self.consumer, count)
        return taken, []

    def _say_lane(self, state: str, envelope: Envelope, error: Exception) -> None:
        say = log.error if state == lanes.PARKED else log.warning
        say(
            f"fact {state}",
            consumer=self.consumer,
            order_key=envelope.order_key,
            event_id=envelope.event_id,
            fact_type=type_of(envelope.data),
            reason=lanes.reason_of(error),
            text=str(error)[:500],
        )
        if state == lanes.PARKED:
            name = type_of(envelope.data).rsplit(".", 1)[-1]
            reason, key = lanes.reason_of(error), envelope.order_key
            telemetry.record_failure(f"park {name}", envelope.traceparent, reason, order_key=key, reason=reason)

    async def rehearse(self, envelope: Envelope) -> Trial:
        """What this fact would do now at the head of its lane.

        Everything is saved as it would be, so that the database has its say, and taken back.
        """

        def transaction(tx: Tx) -> None:
            self.fence.check(tx)
            batch = Batch(tx, self._store, clock.now(), is_trial=True)
            work = self._dispatch.work_of(Delivery(envelope))
            error = work if isinstance(work, Exception) else None
            if isinstance(work, Work):
                batch.load([work])
                batch.decide(work)
                error = work.error
            told = batch.save() if error is None else []
            types = [type_of(Envelope.FromString(one.envelope).data) for one in told]
            if isinstance(work, Work) and dispatch.is_second_content(work):
                raise _TakenBack(Trial(None, [str(error)], []))
            raise _TakenBack(Trial(error, batch.moots, types))

        try:
            await run_again(self._database, transaction)
        except _TakenBack as taken_back:
            return taken_back.trial
        except (StoreUnavailable, DomainError):
            raise
        except Exception as error:  # as in `take`: what breaks its transaction alone has failed
            return Trial(error, [], [])
        raise AssertionError("a trial always takes back what it did")

    async def retry_due(self, plants: Sequence[str] | None = None) -> None:
        """Try the heads of waiting lanes whose time has come, of these plants or all."""
        for key in await self._database.read(lambda tx: lanes.due(tx, self.consumer, clock.now(), plants)):
            await self.drain(key)

    async def drain(self, order_key: str, *, is_released: bool = False) -> int:
        """Work a lane off from its head, many facts a transaction, until it is empty or the head fails. Facts done.

        A transaction that breaks is done again fact by fact; one that breaks it alone has failed, as in `take`.
        """
        done, most = 0, LANE_MOST
        while True:
            try:
                count = await self._advance(order_key, is_released or done > 0, most)
            except (StoreUnavailable, DomainError):
                raise
            except Exception as error:
                if most == 1:
                    log.exception("fact failed its transaction", consumer=self.consumer, order_key=order_key)
                    await self._fail_head(order_key, is_released or done > 0, error)
                    return done
                most = 1
                continue
            if not count:
                return done
            done += count

    async def _advance(self, order_key: str, is_released: bool, most: int) -> int:
        """One transaction: the facts of a lane before the first that fails, which is tried next, as the head. Facts done."""

        def transaction(tx: Tx) -> tuple[int, list[Stored]]:
            if not self._is_to_work(tx, order_key, is_released):
                return 0, []
            waiting = lanes.facts(tx, self.consumer, order_key, most)
            batch, done, count, error = self._decide(tx, waiting)
            if done and error is not None and not isinstance(error, DomainError):
                batch, done, count, _ = self._decide(
                    tx, waiting[:done]
                )  # a bug may have left half a change in the batch
            elif error is not None and not done:
                self._fail(tx, order_key, waiting[0], error)
                return 0, []
            lanes.drop(tx, self.consumer, order_key, [fact.event_id for fact in waiting[:done]])
            counts.add(tx, self.consumer, count)
            return done, batch.save()

        done, told = await run_again(self._database, transaction)
        self._told(told)
        return done

    def _is_to_work(self, tx: Tx, order_key: str, is_released: bool) -> bool:
        """Whether there is a lane, locked now, and nobody must release it first."""
        self.fence.check(tx)
        lane = lanes.lock(tx, self.consumer, [order_key]).get(order_key)
        return lane is not None and (lane.state != lanes.PARKED or is_released)

    def _decide(self, tx: Tx, facts: Sequence[LaneFact]) -> tuple[Batch, int, counts.Counts, Exception | None]:
        """Decide facts of a lane in order: the batch to save, how many are done with and what became of them, and the next
        one's error.
        """
        envelopes = [fact.read() for fact in facts]
        works = [self._dispatch.work_of(Delivery(envelope)) for envelope in envelopes]
        batch = Batch(tx, self._store, clock.now())
        batch.load([work for work in works if isinstance(work, Work)])
        count: counts.Counts = Counter()
        for done, (envelope, work) in enumerate(zip(envelopes, works, strict=True)):
            if work is not None and (error := dispatch.decide(batch, work)) is not None:
                return batch, done, count, error
            count[envelope.plant_id, dispatch.became(work)] += 1
        return batch, len(works), count, None

    def _fail(self, tx: Tx, order_key: str, head: LaneFact, error: Exception) -> None:
        state = lanes.fail(tx, self.consumer, order_key, head, error, clock.now())
        self._say_lane(state, head.read(), error)

    async def _fail_head(self, order_key: str, is_released: bool, error: Exception) -> None:
        def transaction(tx: Tx) -> None:
            if self._is_to_work(tx, order_key, is_released):
                for head in lanes.facts(tx, self.consumer, order_key, 1):
                    self._fail(tx, order_key, head, error)

        await run_again(self._database, transaction)
