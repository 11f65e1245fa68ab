"""Claims: a document enters the suite once. Same key and content: the first answer. Other content: a conflict, kept and shown."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from servicekit import clock
from servicekit.database import Tx
from servicekit.domain import BusinessKey, plain
from servicekit.use_case import Fingerprint

Id = tuple[str, str, str, str, str]  # command and business key, in words: see ID


@dataclass(frozen=True, slots=True)
class Claim:
    """One document, taken: what it said and what was answered."""

    command: str
    key_hash: bytes
    business_key: BusinessKey
    fingerprint_version: int
    content: str
    answer: bytes

    @property
    def id(self) -> Id:
        return id_of(self.command, self.business_key)


def id_of(command: str, key: BusinessKey) -> Id:
    """What a document is claimed by."""
    return command, key.source_system, key.document_type, key.document_number, key.line


def key_hash(key: BusinessKey) -> bytes:
    """16 bytes that name the document to the facts it causes; parts are separated so that no two keys run together."""
    parts = (key.source_system, key.document_type, key.document_number, key.line)
    return hashlib.sha256("\x1f".join(parts).encode()).digest()[:16]


def content(fingerprint: Fingerprint, command: object, version: int | None = None) -> str:
    """The command's business fields, normalised and readable: equal texts are the same document."""
    said: dict[str, Any] = {}
    for path in fingerprint.fields[version or fingerprint.version]:
        value = _normal(_walk(command, path))
        if value not in NOTHING:
            said[path] = value
    return _text_of(said)


_text_of = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
NOTHING: tuple[Any, ...] = (None, "", [], {})  # absent and default are the same


def _walk(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def _normal(value: Any) -> Any:
    kind = type(value)
    known = _NORMAL_OF.get(kind)
    if known is None:
        known = _NORMAL_OF[kind] = _normal_of(value)
    return known(value)


def _normal_of(value: Any) -> Callable[[Any], Any]:
    """How values of this type are made normal; asked once a type, for every document has a dozen of them."""
    if isinstance(value, Decimal):
        return lambda v: plain(v) if v else None
    if isinstance(value, datetime):
        return lambda v: clock.micros(v) // 1000
    if isinstance(value, timedelta):
        return lambda v: plain(Decimal(v // timedelta(microseconds=1)).scaleb(-6)) if v else None
    if isinstance(value, enum.Enum):
        return lambda v: _normal(v.value)
    if isinstance(value, date):
        return lambda v: v.isoformat()
    if dataclasses.is_dataclass(value):
        names = tuple(field.name for field in dataclasses.fields(value))
        return lambda v: {name: part for name in names if (part := _normal(getattr(v, name))) not in NOTHING}
    if isinstance(value, Mapping):
        return lambda v: {str(name): _normal(part) for name, part in sorted(v.items())}
    if isinstance(value, list | tuple):
        return lambda v: sorted((_normal(part) for part in v), key=lambda part: json.dumps(part, sort_keys=True))
    return (lambda v: v or None) if isinstance(value, str | int | bool) else (lambda v: v)


_NORMAL_OF: dict[type, Callable[[Any], Any]] = {}


ID = "command", "source_system", "document_type", "document_number", "document_line"
NAMES = ", ".join(ID)
COLUMNS = f"claim_id, key_hash, {NAMES}, fingerprint_version, content, answer, claim_time"


def read(tx: Tx, wanted: Iterable[Id]) -> dict[Id, Claim]:
    """The claims that stand already; one statement."""
    ids = sorted(set(wanted))
    if not ids:
        return {}
    rows = tx.rows(
        f"SELECT {NAMES}, key_hash, fingerprint_version, content, answer FROM claims WHERE {tx.among(*ID)}",
        (json.dumps(ids),),
    )
    return {
        tuple(row[:5]): Claim(row[0], bytes(row[5]), BusinessKey(*row[1:5]), row[6], row[7], bytes(row[8]))
        for row in rows
    }


def times(tx: Tx, wanted: Iterable[tuple[str, BusinessKey]]) -> dict[tuple[str, BusinessKey], datetime]:
    """When documents were taken, by command and key; those that were not are left out."""
    ids = sorted({id_of(command, key) for command, key in wanted})
    rows = tx.rows(f"SELECT {NAMES}, claim_time FROM claims WHERE {tx.among(*ID)}", (json.dumps(ids),))
    return {(row[0], BusinessKey(*row[1:5])): clock.instant(row[5]) for row in rows}


def insert(tx: Tx, claims: Sequence[Claim], now: datetime) -> None:
    """Take the keys. One that was taken meanwhile fails the transaction (Again)."""
    tx.insert(
        "claims",
        COLUMNS,
        [
            (
                f"{claim.command}:{claim.key_hash.hex()}",  # what a release before finds it by
                claim.key_hash,
                *claim.id,
                claim.fingerprint_version,
                claim.content,
                claim.answer,
                clock.micros(now),
            )
            for claim in claims
        ],
    )


def prune(tx: Tx, before: datetime, most: int = 1000) -> int:
    """Forget a few documents that were claimed before this time."""
    return tx.run(
        f"DELETE FROM claims WHERE ({NAMES}) IN (SELECT {NAMES} FROM claims WHERE claim_time < ? "
        "ORDER BY claim_time LIMIT ?)",
        (clock.micros(before), most),
    )


def keep_conflicts(tx: Tx, conflicts: Sequence[tuple[Claim, str]], now: datetime) -> None:
    """Keep both contents for a person; the same second content is kept once."""
    for claim, second in conflicts:
        digest = hashlib.sha256(f"{claim.command}:{claim.key_hash.hex()}:{second}".encode()).hexdigest()[:32]
        key = claim.business_key
        tx.run(
            "INSERT INTO conflicts (conflict_id, command, source_system, document_type, document_number, "
            "document_line, first_content, second_content, found_time) VALUES (?,?,?,?,?,?,?,?,?) "
            "ON CONFLICT (conflict_id) DO NOTHING",
            (
                digest,
                claim.command,
                key.source_system,
                key.document_type,
                key.document_number,
                key.line,
                claim.content,
                second,
                clock.micros(now),
            ),
        )
