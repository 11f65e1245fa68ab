"""The postings' table: intents written in the transaction that decided them, and each foreign step's committed row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from servicekit import clock
from servicekit.database import Tx
from servicekit.use_case import PlannedPosting

OPEN_STATES = ("planned", "drafting", "drafted", "booking", "unknown", "refused")
COLUMNS = (
    "posting_id, partner_id, kind, plant_id, order_key, posting_key, payload_type, payload, state, foreign_id, "
    "attempts, looks, next_attempt_time, owner_epoch, sent_time, reason, text, traceparent, plan_time, change_time"
)


@dataclass(frozen=True, slots=True)
class PostingRow:
    """A posting as it stands. States: planned, drafting, drafted, booking, acknowledged, refused, unknown, discarded."""

    posting_id: str
    partner_id: str
    kind: str
    plant_id: str
    order_key: str
    key: str
    payload_type: str
    payload: bytes
    state: str
    foreign_id: str
    attempts: int
    looks: int  # times that a look found nothing since it went unknown
    next_attempt_time: int
    owner_epoch: int
    sent_time: int
    reason: str
    text: str
    traceparent: str
    plan_time: int
    change_time: int

    def now(self, state: str, **changes: Any) -> PostingRow:
        return replace(self, state=state, change_time=clock.micros(clock.now()), **changes)


def posting_id(partner_id: str, key: str) -> str:
    return hashlib.sha256(f"{partner_id}|{key}".encode()).hexdigest()[:32]


def insert(tx: Tx, planned: Sequence[tuple[PlannedPosting, str]], now: datetime) -> None:
    """Write the intents. The same partner and key is one posting, however often it is planned."""
    at = clock.micros(now)
    tx.many(
        f"INSERT INTO posting ({COLUMNS}) VALUES ({', '.join('?' * 20)}) ON CONFLICT (posting_id) DO NOTHING",
        [
            (
                posting_id(p.partner_id, p.key),
                p.partner_id,
                p.kind,
                p.plant_id,
                p.order_key,
                p.key,
                p.payload.DESCRIPTOR.full_name,
                p.payload.SerializeToString(),
                "planned",
                "",
                0,
                0,
                0,
                0,
                0,
                "",
                "",
                traceparent,
                at,
                at,
            )
            for p, traceparent in planned
        ],
    )


def heads(tx: Tx, at: int, beyond: int, most: int, without: Sequence[str] = ()) -> list[PostingRow]:
    """The oldest open posting of each partner and order key, if it is due: one in flight an order.

    Nobody waits until `beyond`: what seems to was told to by a clock that has been put back since. Partners `without`
    are passed over, so that the many postings of one that is away fill no place.
    """
    marks = ", ".join("?" * len(OPEN_STATES))
    rows = tx.rows(
        f"SELECT {COLUMNS} FROM posting p WHERE state IN ({marks}) AND state <> 'refused' "
        f"AND (next_attempt_time <= ? OR next_attempt_time > ?) AND NOT {tx.among('partner_id')} "
        "AND NOT EXISTS (SELECT 1 FROM posting q WHERE q.partner_id = p.partner_id AND q.order_key = p.order_key "
        f"AND q.state IN ({marks}) AND q.posting_number < p.posting_number) ORDER BY posting_number LIMIT ?",
        (*OPEN_STATES, at, beyond, json.dumps(without), *OPEN_STATES, most),
    )
    return [_row(row) for row in rows]


def read(tx: Tx, wanted: str) -> PostingRow | None:
    lock = "" if tx.is_sqlite else " FOR NO KEY UPDATE"
    rows = tx.rows(f"SELECT {COLUMNS} FROM posting WHERE posting_id = ?{lock}", (wanted,))
    return _row(rows[0]) if rows else None


def update(tx: Tx, row: PostingRow, expected_state: str) -> bool:
    """Write the row's new state if it is still in the expected one; False: someone else moved it."""
    touched = tx.run(
        "UPDATE posting SET state = ?, foreign_id = ?, attempts = ?, looks = ?, next_attempt_time = ?, "
        "owner_epoch = ?, sent_time = ?, reason = ?, text = ?, payload = ?, change_time = ? "
        "WHERE posting_id = ? AND state = ?",
        (
            row.state,
            row.foreign_id,
            row.attempts,
            row.looks,
            row.next_attempt_time,
            row.owner_epoch,
            row.sent_time,
            row.reason,
            row.text,
            row.payload,
            row.change_time,
            row.posting_id,
            expected_state,
        ),
    )
    return touched == 1


def _row(row: Any) -> PostingRow:
    values = list(row)
    values[7] = bytes(values[7])
    return PostingRow(*values)
