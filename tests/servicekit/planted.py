"""Bugs, planted by patching the kit: each takes one guard away. A harness that lets one of them through is blind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from servicekit import claims, dispatch, lanes, outbox, position
from servicekit.batch import Batch, Work
from servicekit.database import Tx
from servicekit.dispatch import Delivery
from servicekit.door import Door
from servicekit.inbox import Inbox, Taken
from servicekit.position import Step
from tests.servicekit import machine

Patch = pytest.MonkeyPatch


def the_claim_is_not_looked_at(patch: Patch) -> None:
    patch.setattr(claims, "read", lambda tx, wanted: {})
    patch.setattr(claims, "insert", lambda tx, made, now: None)


def a_second_content_is_not_kept(patch: Patch) -> None:
    patch.setattr(claims, "keep_conflicts", lambda tx, conflicts, now: None)


def a_conflict_parks_a_healthy_order(patch: Patch) -> None:
    def decide(batch: Batch, work: Work | Exception) -> Exception | None:
        if isinstance(work, Exception):
            return work
        batch.decide(work)
        return work.error

    patch.setattr(dispatch, "decide", decide)


def the_position_is_saved_before_the_effect(patch: Patch) -> None:
    take = Inbox.take

    async def early(self: Inbox, deliveries: Sequence[Delivery]) -> Taken:
        def save(tx: Tx) -> Any:
            seen = Inbox._fresh(self, tx, deliveries)
            position.save(tx, self.consumer, seen[1])
            return seen

        seen = await self._database.write(save)
        self._fresh = lambda tx, deliveries: seen  # type: ignore[method-assign]
        return await take(self, deliveries)

    patch.setattr(Inbox, "take", early)


def a_hole_is_passed_over(patch: Patch) -> None:
    judge = position.judge
    patch.setattr(position, "judge", lambda *seen: Step.NEXT if judge(*seen) is Step.HOLE else judge(*seen))


def a_repeat_takes_effect_again(patch: Patch) -> None:
    judge = position.judge
    patch.setattr(position, "judge", lambda *seen: Step.NEXT if judge(*seen) is Step.REPEAT else judge(*seen))


def a_follower_passes_its_parked_head(patch: Patch) -> None:
    lock = lanes.lock

    def blind(tx: Tx, consumer: str, keys: Any) -> Any:
        return {} if sys._getframe(1).f_code.co_name == "_batch" else lock(tx, consumer, keys)

    patch.setattr(lanes, "lock", blind)


def what_a_person_settled_comes_back(patch: Patch) -> None:
    """A corrected head is applied again when the original comes again; so is what was discarded."""
    settled = lanes.settled

    def forgetful(tx: Tx, consumer: str, event_ids: Any) -> set[str]:
        decided = {row[0] for row in tx.rows("SELECT event_id FROM fact_outcome")}
        return settled(tx, consumer, event_ids) - decided

    patch.setattr(lanes, "settled", forgetful)


def what_was_worked_off_leaves_its_lane_later(patch: Patch) -> None:
    """In the next transaction only: a crash between the two leaves it there, done."""
    advance = Inbox._advance

    async def in_two(self: Inbox, order_key: str, is_released: bool, most: int) -> int:
        dropped: list[tuple[Any, ...]] = []
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(lanes, "drop", lambda tx, *what: dropped.append(what))
            done = await advance(self, order_key, is_released, most)
        for what in dropped:
            await self._database.write(lambda tx, what=what: lanes.drop(tx, *what))
        return done

    patch.setattr(Inbox, "_advance", in_two)


def facts_are_told_before_the_commit(patch: Patch) -> None:
    commit, save = Door._commit, Batch.save

    async def early(self: Door, works: list[Work], *, is_shared: bool) -> None:
        def tell(batch: Batch) -> list[outbox.Stored]:
            facts = save(batch)
            self._told(facts)
            return facts

        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Batch, "save", tell)
            await commit(self, works, is_shared=is_shared)

    patch.setattr(Door, "_commit", early)


def numbers_are_counted_in_memory(patch: Patch) -> None:
    """A transaction that was cut off has used its numbers up: they are missing for ever."""
    counted: dict[str, int] = {}
    empty = machine._empty

    def count(tx: Tx, slot: str, wanted: int) -> tuple[int, int]:
        counted[slot] = counted.get(slot, 0) + wanted
        tx.run("INSERT INTO producer (slot) VALUES (?) ON CONFLICT (slot) DO NOTHING", (slot,))
        tx.run("UPDATE producer SET last_sequence = ? WHERE slot = ?", (counted[slot], slot))
        return 1, counted[slot]

    def begin(tx: Tx, *nouns: Any) -> None:
        counted.clear()
        empty(tx, *nouns)

    patch.setattr(outbox, "_take_numbers", count)
    patch.setattr(machine, "_empty", begin)


BUGS: Sequence[Callable[[Patch], None]] = (
    the_claim_is_not_looked_at,
    a_second_content_is_not_kept,
    a_conflict_parks_a_healthy_order,
    the_position_is_saved_before_the_effect,
    a_hole_is_passed_over,
    a_repeat_takes_effect_again,
    a_follower_passes_its_parked_head,
    what_a_person_settled_comes_back,
    what_was_worked_off_leaves_its_lane_later,
    facts_are_told_before_the_commit,
    numbers_are_counted_in_memory,
)
