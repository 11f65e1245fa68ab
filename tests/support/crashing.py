"""A real database whose process dies at a wanted point: a transaction is cut off, or committed and then forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from servicekit.database import Database, Tx

T = TypeVar("T")
AFTER_COMMIT = 0


class Crash(BaseException):
    """The process is gone. No `except Exception` may survive it, as none survives kill -9."""


class _CutTx(Tx):
    """A transaction that dies before its n-th statement, or before its commit if it has fewer."""

    def __init__(self, connection: sa.Connection, statement: int) -> None:
        super().__init__(connection)
        self._left = statement

    def _run(self, sql: str, parameters: Any, how: Callable[[Any, str, Any], None]) -> Any:
        self._left -= 1
        if self._left <= 0:
            raise Crash
        return super()._run(sql, parameters, how)


class CrashingDatabase(Database):
    """Counts what it commits, and dies where it is told: in the n-th transaction from now, before or after its commit."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.commits = 0
        self._transaction = self._statement = -1

    def die_in(self, transaction: int, statement: int) -> None:
        """Die in the n-th transaction from now before its n-th statement; AFTER_COMMIT: when it is on disk."""
        self._transaction, self._statement = transaction, statement

    def live(self) -> None:
        self._transaction = -1

    async def write(self, work: Callable[[Tx], T]) -> T:
        self._transaction -= 1
        if self._transaction != 0:
            result = await super().write(work)
            self.commits += 1
            return result
        if self._statement == AFTER_COMMIT:
            await super().write(work)
            self.commits += 1
            raise Crash

        def cut(tx: Tx) -> T:
            work(_CutTx(tx._connection, self._statement))
            raise Crash

        return await super().write(cut)
