"""Who works on a plant: one process of all that share a database, by PostgreSQL's own locks; SQLite has one process anyway.

A session of its own holds an advisory lock for each place. Losing that session is losing the places, and the next owner
raises the place's epoch, which every transaction of an owner reads and locks first: one that was frozen books nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psycopg
import sqlalchemy as sa
import structlog

from servicekit.database import Again, Database, Tx
from servicekit.domain import DomainError, Kind
from servicekit.door import run_again

log = structlog.get_logger()
BEAT_SECONDS = 1.0  # between two looks at who is there; each is a statement, so the session is never idle for long
PAUSE_SECONDS = 1.0
STOP_SECONDS = 10.0
FROZEN_SECONDS = 5  # no client of ours pauses so long within a transaction
SESSION = {
    "idle_session_timeout": "10s",  # of a process that is frozen: its locks must not be held for ever
    "statement_timeout": "5s",
    "tcp_user_timeout": "10000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


class OwnerLost(DomainError):
    """Another process owns this place now. Nothing was done."""

    reason, kind = "OWNER_LOST", Kind.AWAY


@dataclass(frozen=True, slots=True)
class Fence:
    """What an owner holds up in each of its transactions."""

    place: str = ""
    epoch: int = 0

    def check(self, tx: Tx) -> None:
        """The first statement: locks the owner's row against a successor until this transaction ends. Raises OwnerLost."""
        if tx.is_sqlite or not self.place:
            return
        rows = tx.rows("SELECT owner_epoch FROM owner WHERE scope = ? FOR SHARE", (self.place,))
        if not rows or rows[0][0] != self.epoch:
            raise OwnerLost(place=self.place, owner_epoch=self.epoch)


FREE = Fence()  # a person's hand, or the only process there is
Work = Callable[[Fence], Coroutine[Any, Any, None]]  # what the owner of a place does, until cancelled


def raise_epoch(tx: Tx, place: str) -> int:
    tx.run("INSERT INTO owner (scope, owner_epoch) VALUES (?, 0) ON CONFLICT (scope) DO NOTHING", (place,))
    rows = tx.rows("UPDATE owner SET owner_epoch = owner_epoch + 1 WHERE scope = ? RETURNING owner_epoch", (place,))
    return int(rows[0][0])


class Session:
    """The connection that holds the locks. Synchronous: each call is one short statement or two, run on a thread."""

    def __init__(self, url: sa.URL, service: str) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._members, self._places = _class_of(service, "members"), _class_of(service, "places")
        self._connection = psycopg.connect(address, autocommit=True, options=options, connect_timeout=5)
        self._connection.execute(
            "SELECT pg_advisory_lock(%s, pg_backend_pid())",
            (self._members,),
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def members(self) -> int:
        """Processes that share this database, ourselves included."""
        row = self._connection.execute(
            "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint = %s AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())",
            (self._members,),
        ).fetchone()
        return int(row[0]) if row else 1

    def end_frozen(self) -> int:
        """End transactions whose client has said nothing for a while: it is frozen, and holds rows that others need.

        The server's own timeout sees only clients between two statements, not one that stopped within a row of them.
        """
        rows = self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND usename = current_user AND wait_event = 'ClientRead' AND xact_start IS NOT NULL "
            "AND state_change < now() - make_interval(secs => %s)",
            (FROZEN_SECONDS,),
        ).fetchall()
        return len(rows)

    def take(self, place: str) -> bool:
        found = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s, %s)", (self._places, _number(place))
        ).fetchone()
        return bool(found and found[0])

    def give(self, place: str) -> None:
        self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", (self._places, _number(place)))


class Owners:
    """Runs the work of the places that are ours, and of no other."""

    def __init__(self, database: Database, service: str, works: Mapping[str, Work]) -> None:
        self._database, self._service, self._works = database, service, works
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Run until cancelled. What fails in a place's work fails here."""
        while True:
            try:
                await (self._work_alone() if self._database.is_sqlite else self._share())
            except (psycopg.Error, Again, DomainError) as fault:
                log.warning("owner session lost", service=self._service, fault=str(fault).strip())
            await asyncio.sleep(PAUSE_SECONDS)

    async def _work_alone(self) -> None:
        try:
            for place in self._works:
                await self._begin(place)
            await asyncio.gather(*self._tasks.values())
        finally:
            await self._stop(*self._tasks)

    async def _share(self) -> None:
        with await asyncio.to_thread(Session, self._database.url, self._service) as session:
            try:
                while True:
                    await self._look(session)
                    await asyncio.sleep(BEAT_SECONDS)
            finally:
                await self._stop(*self._tasks)  # before the session gives them to others

    async def _look(self, session: Session) -> None:
        """Give back what is more than our share, take what is free of it, and see that all of it is at work."""
        if frozen := await asyncio.to_thread(session.end_frozen):
            log.warning("transactions of a frozen process ended", service=self._service, count=frozen)
        most = -(-len(self._works) // max(1, await asyncio.to_thread(session.members)))
        for place in list(self._tasks)[most:]:
            await self._stop(place)
            await asyncio.to_thread(session.give, place)
        for place in [place for place in self._works if place not in self._tasks]:
            if len(self._tasks) < most and await asyncio.to_thread(session.take, place):
                try:
                    await self._begin(place)
                except (Again, DomainError) as fault:  # the one before has not ended its last transaction
                    log.warning("place not begun", service=self._service, place=place, fault=str(fault))
                    await asyncio.to_thread(session.give, place)
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def _begin(self, place: str) -> None:
        epoch = await run_again(self._database, lambda tx: raise_epoch(tx, place))
        self._tasks[place] = asyncio.create_task(self._works[place](Fence(place, epoch)), name=f"owner of {place}")
        log.info("owner", service=self._service, place=place, owner_epoch=epoch)

    async def _stop(self, *places: str) -> None:
        tasks = [self._tasks.pop(place) for place in places]
        for task in tasks:
            task.cancel()
        if tasks and (await asyncio.wait(tasks, timeout=STOP_SECONDS))[1]:
            raise RuntimeError(
                f"work on {', '.join(places)} does not stop: only a new process is sure not to go on with it"
            )


def _class_of(service: str, what: str) -> int:
    return _number(f"isthmus.{service}.{what}")


def _number(text: str) -> int:
    """31 bits, so that it is the same number signed and unsigned."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
