"""The door for calls: it owns the transaction, claims the business key, shares commits, and answers after the commit only.

Volume comes in messages of many documents: each message is one set-based batch in one transaction, on both databases.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from google.protobuf.message import Message

from servicekit import clock, telemetry
from servicekit.batch import Batch, Work
from servicekit.bounds import Bounds
from servicekit.database import Again, Database, LockTimeout, Tx
from servicekit.domain import DomainError
from servicekit.errors import Overloaded, check_form
from servicekit.outbox import Stored, Told
from servicekit.use_case import Store, UseCase

log = structlog.get_logger()
T = TypeVar("T")
Outcome = Message | Exception | None  # of one document among many: its answer, or why it was refused
SHARED_COMMIT_MOST = 64  # documents of several callers that share one commit
SHARED_ALONE_MOST = 256  # the same where nobody else can hold rows, or be kept waiting for ours: on SQLite's one writer
SHARED_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '100ms'"  # rows that another transaction holds stop one caller, not 64
WAITING_MOST = 2000  # calls that wait for the writer; more are refused early
MESSAGES_MOST = 8  # messages of many documents at the door at once; the streams behind them are not read on
ATTEMPTS = 20  # of the same batch when it meets another transaction


async def run_again(database: Database, work: Callable[[Tx], T]) -> T:
    """Run a transaction; when it meets another one, the same again at once."""
    for _ in range(ATTEMPTS):
        try:
            return await database.write(work)
        except Again as met:
            last = met
    raise last


@dataclass(slots=True)
class Unit:
    """What one caller asked for at once: saved whole or not at all. `error` says why not."""

    works: list[Work]
    error: Exception | None = None
    is_shared: bool = False  # its error met a batch of several callers


class Door:
    """Runs commands against a service's store."""

    def __init__(self, database: Database, store: Store, told: Told, bounds: Bounds | None = None) -> None:
        self._database, self._store, self._told = database, store, told
        self._bounds = bounds or Bounds()
        self._shared_most = SHARED_ALONE_MOST if database.is_sqlite else SHARED_COMMIT_MOST
        self._waiting: deque[tuple[Unit, asyncio.Future[None]]] = deque()
        self._arrived = asyncio.Event()
        self._committing: asyncio.Future[None] | None = None
        self._messages = asyncio.Semaphore(MESSAGES_MOST)

    async def run(self, use_case: UseCase[Any], command: Any) -> Any:
        """Load, decide, save. Returns the decision's answer, with `replayed` set if it is the first answer again.

        Raises the decision's DomainError, or StoreUnavailable, LockTimeout, Overloaded; then nothing was done.
        """
        work = _work(use_case, command)
        await self._save(Unit([work]))
        return _answer(work)

    async def run_all(self, use_case: UseCase[Any], commands: Sequence[Any]) -> list[Outcome]:
        """As `run_each`, for commands of our own making."""
        works = [_work(use_case, command) for command in commands]
        await self._save(Unit(works))
        return [_outcome(work) for work in works]

    async def run_each(
        self, use_case: UseCase[Any], documents: Sequence[Message], command_of: Callable[[Any], Any]
    ) -> list[Outcome]:
        """Many documents as one batch in one transaction, decided in their order. Returns an outcome for each.

        A refused document changes nothing and harms no other. Raises StoreUnavailable, LockTimeout or Overloaded; then
        none of them was done. A caller that gives up leaves all of them done or none.
        """
        async with self._messages:
            works: list[Work | DomainError] = [_work_of(use_case, document, command_of) for document in documents]
            await self._save(Unit([work for work in works if isinstance(work, Work)]))
            return [_outcome(work) if isinstance(work, Work) else work for work in works]

    async def _save(self, unit: Unit) -> None:
        if not unit.works:
            return
        await self._share_commit(unit)
        if isinstance(unit.error, LockTimeout) and unit.is_shared:  # of somebody's rows: not the others' matter
            unit.error, unit.is_shared = None, False
            await asyncio.shield(self._commit_split([unit]))
        if unit.error is not None:
            raise unit.error

    async def _share_commit(self, unit: Unit) -> None:
        if len(self._waiting) >= WAITING_MOST:
            raise Overloaded
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, done))
        self._arrived.set()
        if not self._database.is_sqlite and (self._committing is None or self._committing.done()):
            self._committing = asyncio.ensure_future(self._commit_waiting())
        await done  # a caller that gives up cancels this, not the commit

    async def serve(self) -> None:
        """Commit what has arrived, together; runs until cancelled (SQLite only)."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._commit_waiting()

    async def _commit_waiting(self) -> None:
        """Commit until nobody waits, one batch after another: two of them at once would hold each other's rows."""
        while self._waiting:
            batch = self._next_batch()
            await self._commit_split([unit for unit, _ in batch])
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    def _next_batch(self) -> list[tuple[Unit, asyncio.Future[None]]]:
        batch = [self._waiting.popleft()]
        commands = len(batch[0][0].works)
        while self._waiting and commands + len(self._waiting[0][0].works) <= self._shared_most:
            batch.append(self._waiting.popleft())
            commands += len(batch[-1][0].works)
        return batch

    async def _commit_split(self, units: list[Unit]) -> None:
        """A batch that fails as a whole is done one by one, so that the one at fault fails alone."""
        try:
            await self._commit([work for unit in units for work in unit.works], is_shared=len(units) > 1)
        except Exception as error:
            if isinstance(error, DomainError):  # of the database, not of a document
                for unit in units:
                    unit.error, unit.is_shared = error, len(units) > 1
            elif len(units) > 1:
                for unit in units:
                    await self._commit_split([unit])
            elif len(units[0].works) > 1:
                await self._commit_apart(units[0])
            else:
                units[0].error = error

    async def _commit(self, works: list[Work], *, is_shared: bool) -> None:
        def transaction(tx: Tx) -> list[Stored]:
            if is_shared and not tx.is_sqlite:
                tx.run(SHARED_LOCK_TIMEOUT)
            return self._batch(tx, works)

        self._told(await run_again(self._database, transaction))

    async def _commit_apart(self, unit: Unit) -> None:
        """Still one transaction, each document a part of it that fails alone."""

        def transaction(tx: Tx) -> list[Stored]:
            told: list[Stored] = []
            for work in unit.works:
                try:
                    with tx.part():
                        told += self._batch(tx, [work])
                except DomainError:
                    raise
                except Exception as fault:
                    log.exception("document failed", use_case=work.use_case.name)
                    work.error = fault
            return told

        try:
            self._told(await run_again(self._database, transaction))
        except Exception as error:
            unit.error = error

    def _batch(self, tx: Tx, works: list[Work]) -> list[Stored]:
        for work in works:
            work.error = work.answer = None
            work.is_replayed = False
        self._bounds.look(tx)
        batch = Batch(tx, self._store, clock.now(), self._bounds)
        batch.load(works)
        for work in works:
            batch.decide(work)
        return batch.save()


def _work(use_case: UseCase[Any], command: Any) -> Work:
    is_document = use_case.fingerprint is not None
    return Work(use_case, command, is_document=is_document, traceparent=telemetry.current_traceparent())


def _work_of(use_case: UseCase[Any], document: Message, command_of: Callable[[Any], Any]) -> Work | DomainError:
    try:
        check_form(document)
        return _work(use_case, command_of(document))
    except DomainError as refusal:
        return refusal


def _answer(work: Work) -> Message | None:
    if work.error is not None:
        raise work.error
    if work.answer is not None and "replayed" in work.answer.DESCRIPTOR.fields_by_name:
        work.answer.replayed = work.is_replayed  # type: ignore[attr-defined]
    return work.answer


def _outcome(work: Work) -> Outcome:
    return work.error if work.error is not None else _answer(work)
