"""Claims: a document enters the suite once. Same key and content: the first answer. Other content: a conflict, kept and shown."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from servicekit import clock
from servicekit.database import Tx
from servicekit.domain import BusinessKey, plain
from servicekit.use_case import Fingerprint


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
    def id(self) -> tuple[str, bytes]:
        return self.command, self.key_hash


def key_hash(key: BusinessKey) -> bytes:
    """16 bytes that name the document; the parts are separated so that no two keys run together."""
    parts = (key.source_system, key.document_type, key.document_number, key.line)
    return hashlib.sha256("\x1f".join(parts).encode()).digest()[:16]


def content(fingerprint: Fingerprint, command: object, version: int | None = None) -> str:
    """The command's business fields, normalised and readable: equal texts are the same document."""
    paths = fingerprint.fields[version or fingerprint.version]
    said = {path: value for path in paths if (value := _normal(_walk(command, path))) not in (None, "", [], {})}
    return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _walk(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def _normal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value) if value else None
    if isinstance(value, datetime):
        return clock.micros(value) // 1000
    if isinstance(value, timedelta):
        return plain(Decimal(value // timedelta(microseconds=1)).scaleb(-6)) if value else None
    if isinstance(value, enum.Enum):
        return _normal(value.value)
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {f.name: _normal(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {name: part for name, part in named.items() if part not in (None, "", [], {})}
    if isinstance(value, Mapping):
        return {str(name): _normal(part) for name, part in sorted(value.items())}
    if isinstance(value, list | tuple):
        return sorted((_normal(part) for part in value), key=lambda part: json.dumps(part, sort_keys=True))
    return value or None if isinstance(value, str | int | bool) else value


def read(tx: Tx, wanted: Iterable[tuple[str, bytes]]) -> dict[tuple[str, bytes], Claim]:
    """The claims that stand already, by command and key hash; one statement."""
    ids = sorted({f"{command}:{digest.hex()}" for command, digest in wanted})
    if not ids:
        return {}
    source = "json_each(?)" if tx.is_sqlite else "jsonb_array_elements_text(CAST(? AS jsonb)) AS wanted(value)"
    rows = tx.rows(
        "SELECT command, key_hash, source_system, document_type, document_number, document_line, "
        f"fingerprint_version, content, answer FROM claims WHERE claim_id IN (SELECT value FROM {source})",
        (json.dumps(ids),),
    )
    found = [
        Claim(row[0], bytes(row[1]), BusinessKey(row[2], row[3], row[4], row[5]), row[6], row[7], bytes(row[8]))
        for row in rows
    ]
    return {claim.id: claim for claim in found}


def insert(tx: Tx, claims: Sequence[Claim], now: datetime) -> None:
    """Take the keys. One that was taken meanwhile fails the transaction (Again)."""
    tx.many(
        "INSERT INTO claims (claim_id, command, key_hash, source_system, document_type, document_number, "
        "document_line, fingerprint_version, content, answer, claim_time) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                f"{claim.command}:{claim.key_hash.hex()}",
                claim.command,
                claim.key_hash,
                claim.business_key.source_system,
                claim.business_key.document_type,
                claim.business_key.document_number,
                claim.business_key.line,
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
        "DELETE FROM claims WHERE claim_id IN (SELECT claim_id FROM claims WHERE claim_time < ? "
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
