"""Databases as the kit uses them: short transactions of driver SQL on SQLite's one writer thread or a small PostgreSQL pool.

Synchronous connections on threads of our own: measured at 0.93 of the bare driver, where an asynchronous SQLite driver
gave 0.03, for every statement there is a thread hop. SQL is written once, with `?` for parameters.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sqlite3
import time
from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event, exc

from servicekit import telemetry
from servicekit.domain import DomainError, Kind

T = TypeVar("T")
SQLITE_OLDEST = (3, 38, 0)  # first with the ->> operator that set-based statements use
POSTGRES_WRITERS = 8
READERS = 4


class StoreUnavailable(DomainError):
    """The database is not there, or lost the transaction; nothing was done."""

    reason, kind = "STORE_UNAVAILABLE", Kind.AWAY


class LockTimeout(DomainError):
    """Another transaction holds the same rows for too long; nothing was done."""

    reason, kind = "LOCK_TIMEOUT", Kind.CONFLICT


class Again(Exception):
    """The transaction met another one (lost update, deadlock, key taken meanwhile): do the same again at once."""


@functools.lru_cache(maxsize=2048)
def _postgres_marks(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


@functools.lru_cache(maxsize=2048)
def _row_type(names: tuple[str, ...]) -> Callable[[Iterable[Any]], Any]:
    made: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
    return cast("Callable[[Iterable[Any]], Any]", made._make)


def _once(cursor: Any, sql: str, parameters: Any) -> None:
    cursor.execute(sql, parameters)


def _for_each(cursor: Any, sql: str, rows: Any) -> None:
    cursor.executemany(sql, rows)


def _copy(cursor: Any, sql: str, rows: Any) -> None:
    with cursor.copy(sql) as copy:
        for row in rows:
            copy.write_row(row)


class Tx:
    """One open transaction. Statements go to the driver itself: SQLAlchemy's own road took four fifths of a small one's time."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection
        self.is_sqlite = connection.dialect.name == "sqlite"

    def among(self, *columns: str, numbers: Collection[str] = ()) -> str:
        """That the column is one of a JSON list's values, which is the parameter; of several columns, of its lists.

        `numbers`: those of the columns that hold integers; the others hold text.
        """
        is_one = len(columns) == 1
        picked = ["value"] if is_one else [f"value->>{index}" for index in range(len(columns))]
        if self.is_sqlite:
            source = "json_each(?)"
        else:
            elements = "jsonb_array_elements_text" if is_one else "jsonb_array_elements"
            source = f"{elements}(CAST(? AS jsonb)) AS wanted(value)"
            picked = [
                f"CAST({one} AS BIGINT)" if column in numbers else one
                for column, one in zip(columns, picked, strict=True)
            ]
        return f"({', '.join(columns)}) IN (SELECT {', '.join(picked)} FROM {source})"

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """The rows of a SELECT or RETURNING: tuples, with attributes by column name."""
        cursor = self._run(sql, tuple(parameters), _once)
        return list(map(_row_type(tuple(column[0] for column in cursor.description)), cursor.fetchall()))

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement; the number of rows it touched."""
        return int(self._run(sql, tuple(parameters), _once).rowcount)

    def many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        """Run one statement for each tuple; the number of rows touched in all."""
        if not parameters:
            return 0
        if len(parameters) == 1:  # PostgreSQL's driver makes twice as much of many
            return self.run(sql, parameters[0])
        return int(self._run(sql, parameters, _for_each).rowcount)

    def insert(self, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows by the database's cheapest way. A key that is there already fails the transaction (Again)."""
        if rows and self.is_sqlite:
            self.many(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' for _ in rows[0])})", rows)
        elif rows:
            self._run(f"COPY {table} ({columns}) FROM STDIN", rows, _copy)

    def _run(self, sql: str, parameters: Any, how: Callable[[Any, str, Any], None]) -> Any:
        begun_ns, cursor = time.time_ns(), self._driver.cursor()
        try:
            how(cursor, sql if self.is_sqlite else _postgres_marks(sql), parameters)
        finally:
            self.check_open()
            telemetry.record_statement(self._connection.dialect.name, sql, begun_ns)
        return cursor

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part that can fail alone: what it wrote is undone, the rest of the transaction stands. Raises as `write`."""
        try:
            with self._connection.begin_nested():
                yield
        except self._connection.dialect.loaded_dbapi.Error as error:
            raise _told(error, self._connection.dialect.loaded_dbapi) from error

    def check_open(self) -> None:
        # SQLite rolls the whole transaction back on a full disk; the next statement would commit by itself.
        if self.is_sqlite and not self._driver.in_transaction:
            raise StoreUnavailable(cause="the transaction was rolled back by the database")


class Database:
    """One service's database: `write` on the writer, `read` beside it."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        writers = 1 if self.is_sqlite else POSTGRES_WRITERS
        self._writer = _engine(self.url, writers, is_writer=True)
        self._reader = _engine(self.url, READERS, is_writer=False)
        self._write_threads = ThreadPoolExecutor(writers, thread_name_prefix="writer")
        self._read_threads = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    @property
    def engines(self) -> tuple[sa.Engine, sa.Engine]:
        """Writer and reader engine, for tracing and migrations."""
        return self._writer, self._reader

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction and commit. Raises Again, LockTimeout or StoreUnavailable; else as `work`."""
        return await self._on(self._write_threads, self._writer, work)

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a snapshot, beside the writer."""
        return await self._on(self._read_threads, self._reader, work)

    async def _on(self, threads: ThreadPoolExecutor, engine: sa.Engine, work: Callable[[Tx], T]) -> T:
        context = contextvars.copy_context()
        task = functools.partial(context.run, _transaction, engine, work)
        future = asyncio.get_running_loop().run_in_executor(threads, task)
        return await asyncio.shield(future)  # a caller that gives up must not leave a half-done transaction

    def close(self) -> None:
        self._write_threads.shutdown(wait=True)
        self._read_threads.shutdown(wait=True)
        self._writer.dispose()
        self._reader.dispose()


def _transaction(engine: sa.Engine, work: Callable[[Tx], T]) -> T:
    driver = engine.dialect.loaded_dbapi
    try:
        with engine.begin() as connection:
            tx = Tx(connection)
            result = work(tx)
            tx.check_open()
        return result
    except exc.DBAPIError as error:  # of begin, commit or rollback
        raise _told(error.orig or error, driver) from error
    except driver.Error as error:
        raise _told(error, driver) from error


def _told(error: BaseException, driver: Any) -> BaseException:
    state = getattr(error, "sqlstate", None)
    if isinstance(error, driver.IntegrityError) or state in ("40001", "40P01"):
        return Again(str(error))
    if state == "55P03":
        return LockTimeout()
    if isinstance(error, driver.OperationalError | driver.InterfaceError):
        return StoreUnavailable(cause=str(error))
    return error


def _engine(url: sa.URL, size: int, *, is_writer: bool) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, "BEGIN IMMEDIATE" if is_writer else "BEGIN", size)
    settings = {
        "lock_timeout": "2s",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "10s",
        "synchronous_commit": "on",
        "timezone": "UTC",
    }
    if is_writer:
        # It finds rows by their keys. A plan made while a table was empty would read the whole of it, until it is analysed.
        # What must be read whole all the same looks so dear then that PostgreSQL would compile it, which takes 0.1 s.
        settings |= {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"options": options, "connect_timeout": 5},
    )


def _sqlite_engine(url: sa.URL, begin: str, size: int) -> sa.Engine:
    if sqlite3.sqlite_version_info < SQLITE_OLDEST:
        raise StoreUnavailable(cause=f"SQLite {sqlite3.sqlite_version} is older than 3.38")
    engine = sa.create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        poolclass=sa.pool.QueuePool,
        connect_args={"check_same_thread": False, "timeout": 5, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def _durable(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin by itself; see _begin
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
