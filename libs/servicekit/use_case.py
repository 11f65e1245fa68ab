"""A use case is load, decide, save: the same three steps for one call and for 256 facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar, cast

from google.protobuf.message import Message

from servicekit.database import Tx
from servicekit.domain import BusinessKey
from servicekit.rows import Key, Owned, Rows, Values

C = TypeVar("C")
N = TypeVar("N")


class Fact(NamedTuple):
    """Something that happened, on its way to the outbox. `data` is a message of <domain>_events.proto."""

    data: Message
    plant_id: str
    order_key: str
    subject_id: str
    occur_time: datetime
    business_key: BusinessKey | None = None
    is_late: bool = False
    traceparent: str = ""  # given: the fact belongs to this order's trace, not to its command's


class PlannedPosting(NamedTuple):
    """A change that a foreign system is asked for. `key` is unique, and stands in a field that the partner keeps."""

    partner_id: str
    kind: str
    plant_id: str
    order_key: str
    key: str
    payload: Message


class Decision(NamedTuple):
    """What follows from a command. Nothing of it happens unless all of it does.

    `traceparent` is the trace kept with the order; `moot` says why nothing needed doing.
    """

    changed: Sequence[object] = ()
    removed: Sequence[object] = ()
    facts: Sequence[Fact] = ()
    postings: Sequence[PlannedPosting] = ()
    answer: Message | None = None
    traceparent: str = ""
    moot: str = ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The business fields of a command that make two documents the same, by version. Paths may have dots."""

    version: int
    fields: Mapping[int, tuple[str, ...]]

    @classmethod
    def of(cls, *fields: str) -> Fingerprint:
        """The first version."""
        return cls(1, {1: fields})


@dataclass(frozen=True, slots=True)
class UseCase(Generic[C]):
    """One verb. `loads` is asked again until it wants nothing new; `decide` is pure."""

    name: str
    loads: Callable[[C, Seen], Iterable[Key[Any] | Owned[Any]]]
    decide: Callable[[Seen, C, datetime], Decision]
    fingerprint: Fingerprint | None = None  # given: documents enter here, and claim their business key
    answers: type[Message] | None = None  # the response message that a claim keeps
    is_traced: bool = True  # False for what happens too often to be a step of anybody's order


class Seen:
    """The rows a batch has loaded, as its decisions see and change them."""

    def __init__(self) -> None:
        self.traceparent = ""  # of the command being decided
        self._nouns: dict[tuple[Rows[Any], Values], Any] = {}
        self._owned: dict[tuple[Rows[Any], Values], set[Values]] = {}
        self._whole: set[tuple[Rows[Any], Values]] = set()  # owners of which all nouns are loaded, not only named ones
        self._stored: set[tuple[Rows[Any], Values]] = set()
        self._touched: dict[tuple[Rows[Any], Values], None] = {}

    def get(self, key: Key[N]) -> N | None:
        """The noun, or None if it is absent or not loaded yet."""
        return cast("N | None", self._nouns.get((key.rows, key.values)))

    def one(self, key: Key[N]) -> N:
        """The noun; its own MISSING error if it is absent."""
        noun = self.get(key)
        if noun is None:
            if key.rows.missing is None:
                raise LookupError(f"{key.rows.table.name} {key.values} is absent and has no error of its own")
            raise key.rows.missing(**dict(zip(key.rows.key_columns, key.values, strict=True)))
        return noun

    def all(self, owned: Owned[N]) -> list[N]:
        """The owner's nouns in key order."""
        keys = sorted(self._owned.get((owned.rows, owned.values), ()))
        return [noun for key in keys if (noun := self._nouns.get((owned.rows, key))) is not None]

    def has_all(self, owned: Owned[Any]) -> bool:
        """Whether the owner's nouns are loaded: a batch loads before it decides, and what it makes known may ask for more."""
        return (owned.rows, owned.values) in self._whole

    def load(self, tx: Tx, wanted: Iterable[Key[Any] | Owned[Any]]) -> bool:
        """Load what is not seen yet, one statement a table, tables in name order. False: nothing was new."""
        keys: dict[tuple[Rows[Any], bool], set[Values]] = {}
        owners: dict[Rows[Any], set[Values]] = {}
        for want in wanted:
            if isinstance(want, Owned):
                if (want.rows, want.values) not in self._whole:
                    owners.setdefault(want.rows, set()).add(want.values)
            elif (want.rows, want.values) not in self._nouns:
                keys.setdefault((want.rows, want.is_shared), set()).add(want.values)
        for (rows, is_shared), values in sorted(keys.items(), key=lambda item: item[0][0].table.name):
            self._put_loaded(rows, values, rows.load(tx, values, is_shared=is_shared))
        for rows, values in sorted(owners.items(), key=lambda item: item[0].table.name):
            for owner in values:
                self._whole.add((rows, owner))
                self._owned.setdefault((rows, owner), set())
            self._put_loaded(rows, (), {rows.key_of(noun): noun for noun in rows.load_owned(tx, values)})
        return bool(keys or owners)

    def _put_loaded(self, rows: Rows[Any], asked: Iterable[Values], found: Mapping[Values, Any]) -> None:
        for key in asked:
            self._nouns.setdefault((rows, key), None)
        for key, noun in found.items():
            if (rows, key) not in self._stored:
                self._stored.add((rows, key))
                self._nouns[rows, key] = noun
            if rows.owner_columns:
                self._owned.setdefault((rows, rows.owner_of(noun)), set()).add(key)

    def apply(self, by_type: Mapping[type, Rows[Any]], decision: Decision) -> None:
        """Let the decisions after this one see what it changed."""
        for noun in decision.changed:
            rows = by_type[type(noun)]
            key = rows.key_of(noun)
            if not rows.insert_only and (rows, key) not in self._nouns and not self._is_owned(rows, noun):
                raise LookupError(f"{rows.table.name} {key} is changed without having been loaded")
            self._nouns[rows, key] = noun
            self._touched[rows, key] = None
            if rows.owner_columns:
                self._owned.setdefault((rows, rows.owner_of(noun)), set()).add(key)
        for noun in decision.removed:
            rows = by_type[type(noun)]
            self._nouns[rows, rows.key_of(noun)] = None
            self._touched[rows, rows.key_of(noun)] = None

    def _is_owned(self, rows: Rows[Any], noun: object) -> bool:
        return bool(rows.owner_columns) and (rows, rows.owner_of(noun)) in self._whole

    def save(self, tx: Tx) -> None:
        """Write what was changed, set-based, tables in name order."""
        touched: dict[Rows[Any], list[Values]] = {}
        for rows, key in self._touched:
            touched.setdefault(rows, []).append(key)
        inserts: dict[Rows[Any], list[Any]] = {}
        updates: dict[Rows[Any], list[Any]] = {}
        for rows in sorted(touched, key=lambda rows: rows.table.name):
            for key in sorted(touched[rows]):
                noun = self._nouns[rows, key]
                if noun is None:
                    rows.delete(tx, key)
                else:
                    (updates if (rows, key) in self._stored else inserts).setdefault(rows, []).append(noun)
        for rows, nouns in updates.items():
            rows.update(tx, nouns)
        for rows, nouns in inserts.items():
            rows.insert(tx, nouns)


@dataclass(frozen=True, slots=True)
class Store:
    """A service's tables as its use cases see them."""

    service: str  # e.g. "production"
    rows: Sequence[Rows[Any]]
    by_type: Mapping[type, Rows[Any]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_type", {rows.noun: rows for rows in self.rows})
