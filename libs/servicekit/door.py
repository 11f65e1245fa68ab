"""The door for calls: it owns the transaction, claims the business key, shares commits, and answers after the commit only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from google.protobuf.message import Message

from servicekit import clock, telemetry
from servicekit.batch import Batch, Work
from servicekit.database import Again, Database, StoreUnavailable, Tx
from servicekit.domain import DomainError, Kind
from servicekit.outbox import Stored, Told
from servicekit.use_case import Store, UseCase

log = structlog.get_logger()
T = TypeVar("T")
SHARED_COMMIT_MOST = 64  # calls that share one commit on SQLite
WAITING_MOST = 2000  # calls that wait for the writer; more are refused early
ATTEMPTS = 20  # of the same batch when it meets another transaction


class Overloaded(DomainError):
    """More work waits than can be done in time."""

    reason, kind = "OVERLOADED", Kind.BUSY


async def run_again(database: Database, work: Callable[[Tx], T]) -> T:
    """Run a transaction; when it meets another one, the same again at once."""
    for _ in range(ATTEMPTS):
        try:
            return await database.write(work)
        except Again as met:
            last = met
    raise last


class Door:
    """Runs commands against a service's store."""

    def __init__(self, database: Database, store: Store, told: Told) -> None:
        self._database, self._store, self._told = database, store, told
        self._waiting: list[tuple[Work, asyncio.Future[Work]]] = []
        self._arrived = asyncio.Event()

    async def run(self, use_case: UseCase[Any], command: Any) -> Any:
        """Load, decide, save. Returns the decision's answer, with `replayed` set if it is the first answer again.

        Raises the decision's DomainError, or StoreUnavailable, LockTimeout, Overloaded; then nothing was done.
        """
        work = Work(
            use_case,
            command,
            is_document=use_case.fingerprint is not None,
            traceparent=telemetry.current_traceparent(),
        )
        if self._database.is_sqlite:
            await self._share_commit(work)
        else:
            await asyncio.shield(self._commit([work]))
        return self._answer(work)

    async def _share_commit(self, work: Work) -> None:
        if len(self._waiting) >= WAITING_MOST:
            raise Overloaded
        done: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        self._arrived.set()
        await asyncio.shield(done)

    async def serve(self) -> None:
        """Commit what has arrived, together; runs until cancelled (SQLite only)."""
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:SHARED_COMMIT_MOST], self._waiting[SHARED_COMMIT_MOST:]
            if not self._waiting:
                self._arrived.clear()
            await self._commit_split([work for work, _ in batch])
            for work, done in batch:
                if not done.done():
                    done.set_result(work)

    async def _commit_split(self, works: list[Work]) -> None:
        """A batch that fails as a whole is done one by one, so that the one at fault fails alone."""
        try:
            await self._commit(works)
        except Exception as error:
            if len(works) == 1 or isinstance(error, StoreUnavailable):
                for work in works:
                    work.error = error
                return
            for work in works:
                await self._commit_split([work])

    async def _commit(self, works: list[Work]) -> None:
        def transaction(tx: Tx) -> list[Stored]:
            for work in works:
                work.error = work.answer = None
                work.is_replayed = False
            batch = Batch(tx, self._store, clock.now())
            batch.load(works)
            for work in works:
                batch.decide(work)
            return batch.save()

        self._told(await run_again(self._database, transaction))

    def _answer(self, work: Work) -> Message | None:
        if work.error is not None:
            raise work.error
        if work.answer is not None and "replayed" in work.answer.DESCRIPTOR.fields_by_name:
            work.answer.replayed = work.is_replayed  # type: ignore[attr-defined]
        return work.answer
