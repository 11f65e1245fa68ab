"""The audit: what operators did and why, each entry with a hash over the one before it, and where the chain does not hold.

An entry is written in the transaction of what it tells. The head's row is locked before it, so that two operators at once
make one chain; on SQLite there is one writer anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import clock, paging
from servicekit.database import Tx
from servicekit.domain import DomainError, Kind

NO_HASH = "0" * 64  # before the first entry
FORM = b"isthmus.audit.1"  # names the form of the bytes below, should there ever be another
COLUMNS = "entry_number, audit_id, what, subject, event_id, operator_id, reason, detail, audit_time, chain_hash"
PAGE = 500


class ActionUnsigned(DomainError):
    """Who acts and why must be said."""

    reason, kind = "ACTION_UNSIGNED", Kind.INVALID


class AuditHeadMissing(DomainError):
    """The audit's head is gone: nothing can be written behind it."""

    reason, kind = "AUDIT_HEAD_MISSING", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class Action:
    """What an operator did to what, as it was asked. `event_id` is empty where a whole lane or slot is concerned."""

    what: str
    subject: str
    event_id: str
    operator_id: str
    reason: str
    detail: str


def append(tx: Tx, action: Action) -> None:
    """Put the action behind the last entry. ACTION_UNSIGNED, AUDIT_HEAD_MISSING."""
    for field in ("operator_id", "reason"):
        if not getattr(action, field).strip():
            raise ActionUnsigned(field=field)
    head = _head(tx, "" if tx.is_sqlite else " FOR UPDATE")
    if head is None:
        raise AuditHeadMissing
    number = head.entry_number + 1
    content = (number, clock.new_id(), *astuple(action), clock.micros(clock.now()))
    made = chain_hash(head.chain_hash, content)
    tx.run(f"INSERT INTO audit ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)", (*content, made))
    tx.run("UPDATE audit_head SET entry_number = ?, chain_hash = ?", (number, made))


def chain_hash(before: str, content: tuple[object, ...]) -> str:
    """SHA-256 over the hash before and the fields in the order of their columns: UTF-8, each with its length in front."""
    made = hashlib.sha256(FORM)
    for value in (before, *content):
        data = str(value).encode()
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def _head(tx: Tx, lock: str = "") -> Any:
    rows = tx.rows(f"SELECT entry_number, chain_hash FROM audit_head WHERE head_id = 1{lock}")
    return rows[0] if rows else None


def listed(tx: Tx, request: Any) -> messages.ListAuditEntriesResponse:
    """A page of entries, newest first. PAGE_TOKEN_INVALID."""
    most, before = paging.size(request), (paging.after(request) or [2**62])[0]
    sql = f"SELECT {COLUMNS} FROM audit WHERE entry_number < ? ORDER BY entry_number DESC LIMIT ?"
    rows = tx.rows(sql, (before, most))
    token = paging.token(request, [rows[-1].entry_number] if len(rows) == most else None)
    return messages.ListAuditEntriesResponse(entries=map(_message, rows), next_page_token=token)


def _message(row: Any) -> messages.AuditEntry:
    entry = messages.AuditEntry(
        entry_number=row.entry_number,
        audit_id=row.audit_id,
        action=row.what,
        subject=row.subject,
        event_id=row.event_id,
        operator_id=row.operator_id,
        audit_reason=row.reason,
        detail=row.detail,
        chain_hash=row.chain_hash,
    )
    entry.audit_time.FromDatetime(clock.instant(row.audit_time))
    return entry


def verified(tx: Tx, known_number: int = 0, known_hash: str = "") -> messages.VerifyAuditResponse:
    """How far the chain holds, and the first entry that does not fit: the head's promise last, then what is known elsewhere."""
    head = _head(tx)  # first: entries that others write meanwhile stand behind it
    count, last, known_here = 0, NO_HASH, "" if known_number else NO_HASH
    for row in _entries(tx, head.entry_number if head is not None else 2**62):
        wrong = _misfit(count, last, row)
        if wrong is not None:
            return messages.VerifyAuditResponse(entry_count=count, head_hash=last, first_break=wrong)
        count, last = row.entry_number, row.chain_hash
        known_here = last if count == known_number else known_here
    wrong = _wrong_at_the_head(tx, head, count, last)
    if wrong is None and known_hash and known_here != known_hash:
        wrong = _break(known_number, "", messages.AUDIT_PROBLEM_NOT_AS_KNOWN)
    return messages.VerifyAuditResponse(entry_count=count, head_hash=last, first_break=wrong)


def _entries(tx: Tx, most: int) -> Iterator[Any]:
    """All entries up to this number, in order."""
    after = -(2**62)
    while True:
        sql = f"SELECT {COLUMNS} FROM audit WHERE entry_number > ? AND entry_number <= ? ORDER BY entry_number LIMIT ?"
        rows = tx.rows(sql, (after, most, PAGE))
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].entry_number


def _misfit(count: int, last: str, row: Any) -> messages.AuditBreak | None:
    """What is wrong with the row that should be the next."""
    if row.entry_number > count + 1:
        return _break(count + 1, "", messages.AUDIT_PROBLEM_MISSING)
    if row.entry_number <= count or row.chain_hash != chain_hash(last, tuple(row)[:-1]):
        return _break(row.entry_number, row.audit_id, messages.AUDIT_PROBLEM_ALTERED)
    return None


def _wrong_at_the_head(tx: Tx, head: Any, count: int, last: str) -> messages.AuditBreak | None:
    if head is None:
        return _break(0, "", messages.AUDIT_PROBLEM_HEAD_WRONG)
    if head.entry_number > count:
        return _break(count + 1, "", messages.AUDIT_PROBLEM_MISSING)
    # One statement, for on PostgreSQL the next would see what others have written meanwhile.
    sql = "SELECT entry_number, audit_id FROM audit WHERE entry_number > (SELECT entry_number FROM audit_head) "
    beyond = tx.rows(f"{sql} ORDER BY entry_number LIMIT 1")
    if beyond:
        return _break(beyond[0].entry_number, beyond[0].audit_id, messages.AUDIT_PROBLEM_BEYOND_HEAD)
    if head.chain_hash != last:
        return _break(0, "", messages.AUDIT_PROBLEM_HEAD_WRONG)
    return None


TEXTS = {
    messages.AUDIT_PROBLEM_ALTERED: "its hash is not that of its content behind the entry before it",
    messages.AUDIT_PROBLEM_MISSING: "it is not there, though the head or entries behind it say that it was",
    messages.AUDIT_PROBLEM_BEYOND_HEAD: "it stands behind the head: not written by a desk, or the head was put back",
    messages.AUDIT_PROBLEM_HEAD_WRONG: "the head is not there, or has another hash than the last entry",
    messages.AUDIT_PROBLEM_NOT_AS_KNOWN: "it is not there, or not the one whose hash was kept elsewhere",
}


def _break(number: int, audit_id: str, problem: messages.AuditProblem.ValueType) -> messages.AuditBreak:
    return messages.AuditBreak(entry_number=number, audit_id=audit_id, problem=problem, text=TEXTS[problem])
