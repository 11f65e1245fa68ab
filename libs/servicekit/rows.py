"""One table's rows as nouns of the domain: the set-based load and save that STYLE asks of a repository, written once.

A service's store names its tables, its columns and the two mappings; the statements for both databases are made here, so
that no repository writes `json_each` and `jsonb_array_elements` by hand.
"""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa

from servicekit.database import Again, Tx
from servicekit.domain import SCALE, DomainError

N = TypeVar("N")
Values = tuple[Any, ...]


def scaled(value: Decimal) -> int:
    """An amount as both databases hold it: an integer of millionths."""
    return int(value.scaleb(SCALE))


@functools.lru_cache(maxsize=8192)  # most amounts of a plant are few: nothing yet, a lot, what is planned
def unscaled(value: int) -> Decimal:
    """The amount of `scaled`."""
    return Decimal(value).scaleb(-SCALE)


def table(name: str, text: str, big: str = "", small: str = "", flags: str = "") -> sa.Table:
    """A table by its column names: text, big integers (amounts, instants, versions), integers and truth values."""
    columns: list[sa.Column[Any]] = [sa.Column(column, sa.Text) for column in text.split()]
    columns += [sa.Column(column, sa.BigInteger) for column in big.split()]
    columns += [sa.Column(column, sa.Integer) for column in small.split()]
    columns += [sa.Column(column, sa.Boolean) for column in flags.split()]
    return sa.Table(name, sa.MetaData(), *columns)


class Key(NamedTuple, Generic[N]):
    """Names one noun to load. `is_shared`: decide only reads it, so others may read it too."""

    rows: Rows[N]
    values: Values
    is_shared: bool = False


class Owned(NamedTuple, Generic[N]):
    """Names all nouns of one owner to load, e.g. the operations of a work order. Load the owner too: it is the lock."""

    rows: Rows[N]
    values: Values


def _values_of(columns: Sequence[str]) -> Callable[[Any], Values]:
    """Reads the attributes that bear the names of these columns; a tuple always."""
    if len(columns) == 1:
        one = operator.attrgetter(columns[0])
        return lambda noun: (one(noun),)
    return operator.attrgetter(*columns) if columns else lambda noun: ()


class Rows(Generic[N]):
    """The rows of one table, as nouns of one type. Key and owner columns are attributes of the noun by the same name."""

    def __init__(
        self,
        table: sa.Table,
        noun: type[N],
        *,
        key: Sequence[str],
        from_row: Callable[[Any], N],
        to_row: Callable[[N], Mapping[str, Any]],
        missing: type[DomainError] | None = None,
        owner: Sequence[str] = (),
        insert_only: bool = False,
    ) -> None:
        self.table, self.noun, self.missing, self.insert_only = table, noun, missing, insert_only
        self.key_columns, self.owner_columns = tuple(key), tuple(owner)
        self.from_row, self.to_row = from_row, to_row
        self.key_of, self.owner_of = _values_of(self.key_columns), _values_of(self.owner_columns)
        self.columns = tuple(column.name for column in table.columns)
        self._numbers = frozenset(column.name for column in table.columns if isinstance(column.type, sa.Integer))
        others = [name for name in self.columns if name not in self.key_columns]
        where = " AND ".join(f"{name} = ?" for name in self.key_columns)
        self._update = f"UPDATE {table.name} SET {', '.join(f'{n} = ?' for n in others)} WHERE {where}"
        self._update_set = (
            f"UPDATE {table.name} AS old SET {', '.join(f'{n} = new.{n}' for n in others)} "
            f"FROM json_populate_recordset(NULL::{table.name}, ?) AS new "
            f"WHERE {' AND '.join(f'old.{n} = new.{n}' for n in self.key_columns)}"
        )
        self._delete = f"DELETE FROM {table.name} WHERE {where}"
        self._update_order = (*others, *self.key_columns)

    def key(self, *values: Any) -> Key[N]:
        """Key of the noun with these key columns, to be read and perhaps changed."""
        return Key(self, values)

    def shared(self, *values: Any) -> Key[N]:
        """Key of a noun that is only read."""
        return Key(self, values, is_shared=True)

    def of(self, *values: Any) -> Owned[N]:
        """All nouns of this owner."""
        return Owned(self, values)

    def load(self, tx: Tx, keys: Iterable[Values], *, is_shared: bool) -> dict[Values, N]:
        """The nouns of these keys that exist, locked, by one statement."""
        found = self._select(tx, self.key_columns, keys, "SHARE" if is_shared else "NO KEY UPDATE")
        return {self.key_of(noun): noun for noun in found}

    def load_owned(self, tx: Tx, owners: Iterable[Values]) -> list[N]:
        """All nouns of these owners, by one statement, in key order."""
        return self._select(tx, self.owner_columns, owners, "NO KEY UPDATE")

    def _select(self, tx: Tx, by: Sequence[str], wanted: Iterable[Values], lock: str) -> list[N]:
        asked = sorted(wanted) if len(by) > 1 else sorted(one for (one,) in wanted)
        among = tx.among(*by, numbers=self._numbers)
        order = ", ".join(self.key_columns)
        sql = f"SELECT {', '.join(self.columns)} FROM {self.table.name} WHERE {among} ORDER BY {order}"
        if not tx.is_sqlite:
            sql += f" FOR {lock} OF {self.table.name}"
        return [self.from_row(row) for row in tx.rows(sql, (json.dumps(asked),))]

    def select(self, tx: Tx, where: str, parameters: Sequence[Any]) -> list[N]:
        """Nouns for a query, unlocked; `where` may end with ORDER BY and LIMIT."""
        sql = f"SELECT {', '.join(self.columns)} FROM {self.table.name} WHERE {where}"
        return [self.from_row(row) for row in tx.rows(sql, parameters)]

    def require(self, tx: Tx, *key: Any) -> N:
        """One noun for a query; its MISSING error if it is absent."""
        found = self.select(tx, " AND ".join(f"{name} = ?" for name in self.key_columns), key)
        if not found:
            assert self.missing is not None
            raise self.missing(**dict(zip(self.key_columns, key, strict=True)))
        return found[0]

    def insert(self, tx: Tx, nouns: Sequence[N]) -> None:
        """Insert new nouns. A key that is there already fails the transaction (Again)."""
        rows = [self.to_row(noun) for noun in nouns]
        tx.insert(self.table.name, ", ".join(self.columns), [[row[name] for name in self.columns] for row in rows])

    def update(self, tx: Tx, nouns: Sequence[N]) -> None:
        """Update nouns that were loaded, and so locked."""
        rows = [self.to_row(noun) for noun in nouns]
        if tx.is_sqlite:
            touched = tx.many(self._update, [[row[name] for name in self._update_order] for row in rows])
        else:
            touched = tx.run(self._update_set, (json.dumps(rows),))
        if touched != len(rows):
            raise Again(f"a row of {self.table.name} vanished")

    def delete(self, tx: Tx, key: Values) -> None:
        tx.run(self._delete, key)
