"""Planted bugs: what the guards of the kit stand against, each taken away alone, in this process only.

A bug is what a hasty colleague would have written; the harness must tell it from the outside.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from nats.aio.client import Client
from sqlalchemy import event

from servicekit import claims, database, lanes, marks, position, poster
from servicekit.batch import Batch
from servicekit.inbox import Inbox
from servicekit.poster import Poster
from servicekit.posting_table import PostingRow
from servicekit.relay import Relay

TRIES_OF_ONE = 2  # a draft and its booking
PUBLISHED_WITHIN = 1.0  # seconds that a publisher ahead of its commit waits for the broker


def no_claim() -> None:
    """The business key is neither read nor taken."""
    claims.read = lambda tx, wanted: {}
    claims.insert = lambda tx, made, now: None


def position_before_commit() -> None:
    """The position is committed first, then the effects."""
    before: contextvars.ContextVar[Mapping[str, Any] | None] = contextvars.ContextVar("before", default=None)
    take, load, save = Inbox.take, position.load, position.save

    async def hasty(self: Inbox, deliveries: Sequence[Any]) -> Any:
        if not any(delivery.slot for delivery in deliveries) or before.get() is not None:
            return await take(self, deliveries)

        def move(tx: Any) -> Mapping[str, Any]:
            at = load(tx, self.consumer, {d.slot for d in deliveries if d.slot})
            save(tx, self.consumer, self._fresh(tx, deliveries)[1])
            return at

        token = before.set(await self._database.write(move))
        try:
            return await take(self, deliveries)
        finally:
            before.reset(token)

    def remembered(tx: Any, consumer: str, slots: Iterable[str]) -> Any:
        known = before.get()
        return load(tx, consumer, slots) if known is None else dict(known)

    Inbox.take = hasty
    position.load = remembered
    position.save = lambda tx, consumer, moved: save(tx, consumer, moved) if before.get() is None else None


def publish_before_commit() -> None:
    """A transaction hands its facts to the broker, waits until it has them, and commits then."""
    relays: list[tuple[Relay, asyncio.AbstractEventLoop]] = []
    published: dict[str, int] = {}
    serve, publish, save = Relay.serve, Relay._publish, Batch.save
    marks.MARK_SECONDS = 5.0  # each mark would wait behind the transaction that waits for the relay

    async def known(self: Relay, slots: Sequence[str]) -> None:
        relays.append((self, asyncio.get_running_loop()))
        await serve(self, slots)

    async def noting(self: Relay, slot: str, facts: Sequence[Any], last_sequence: int) -> int:
        result = await publish(self, slot, facts, last_sequence)
        published[slot] = facts[-1].sequence
        return result

    def hasty(self: Batch) -> Any:
        stored = save(self)
        if stored and relays:
            ours, loop = relays[0]
            loop.call_soon_threadsafe(ours.told, stored)
            deadline = time.monotonic() + PUBLISHED_WITHIN
            while published.get(stored[-1].slot, 0) < stored[-1].sequence and time.monotonic() < deadline:
                time.sleep(0.005)
        return stored

    Relay.serve, Relay._publish = known, noting
    Batch.save = hasty


def no_fence() -> None:
    """Messages are published without the sequence that the stream is expected to end with."""
    publish = Client.publish

    async def hasty(self: Client, subject: str, payload: bytes = b"", reply: str = "", headers: Any = None) -> None:
        kept = {name: value for name, value in (headers or {}).items() if name != "Nats-Expected-Last-Sequence"}
        await publish(self, subject, payload, reply, kept or None)

    Client.publish = hasty


def no_order() -> None:
    """Facts of a batch are worked on as they please: the last first."""
    fresh = Inbox._fresh

    def hasty(self: Inbox, tx: Any, deliveries: Sequence[Any]) -> Any:
        found, moved, taken = fresh(self, tx, deliveries)
        return found[::-1], moved, taken

    Inbox._fresh = hasty


def pass_parked_head() -> None:
    """Whoever comes behind a parked fact of its key is not held back."""
    is_asked: contextvars.ContextVar[list[bool] | None] = contextvars.ContextVar("is_asked", default=None)
    batch, lock = Inbox._batch, lanes.lock

    def asking(self: Inbox, tx: Any, deliveries: Sequence[Any]) -> Any:
        token = is_asked.set([True])
        try:
            return batch(self, tx, deliveries)
        finally:
            is_asked.reset(token)

    def hasty(tx: Any, consumer: str, keys: Iterable[str]) -> Any:
        first = is_asked.get()
        if first:
            first.clear()  # the question of the batch; those behind it are of `append`
            return {}
        return lock(tx, consumer, keys)

    Inbox._batch = asking
    lanes.lock = hasty


def corrected_head_again() -> None:
    """A head that was corrected takes effect, and is taken out of its lane only the second time."""
    drop = lanes.drop
    seen: set[str] = set()

    def hasty(tx: Any, consumer: str, order_key: str, event_ids: Sequence[str]) -> None:
        kept = {
            event_id
            for event_id in event_ids
            if event_id not in seen and tx.rows("SELECT 1 FROM fact_outcome WHERE superseded_by = ?", (event_id,))
        }
        seen.update(kept)
        drop(tx, consumer, order_key, [event_id for event_id in event_ids if event_id not in kept])

    lanes.drop = hasty


def resend_unknown() -> None:
    """A posting without an answer is sent again, as a new document; nobody looks whether the first one arrived."""
    posting = poster._posting

    async def hasty(self: Poster, row: PostingRow, kind: Any) -> PostingRow | None:
        return await self._move(row, row.now("planned", looks=0, next_attempt_time=0))

    def renamed(row: PostingRow) -> Any:
        made = posting(row)
        return made if row.attempts <= TRIES_OF_ONE else dataclasses.replace(made, key=f"{made.key}-{row.attempts}")

    Poster._look = hasty
    poster._posting = renamed


def synchronous_off() -> None:
    """A commit does not wait for the disk."""
    make = database._sqlite_engine

    def hasty(url: sa.URL, begin: str, size: int) -> sa.Engine:
        engine = make(url, begin, size)

        @event.listens_for(engine, "connect")
        def quick(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        return engine

    database._sqlite_engine = hasty


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        no_claim,
        position_before_commit,
        publish_before_commit,
        no_fence,
        no_order,
        pass_parked_head,
        corrected_head_again,
        resend_unknown,
        synchronous_off,
    )
}


def plant(names: Iterable[str]) -> None:
    for name in names:
        BUGS[name]()
