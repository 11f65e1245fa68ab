"""Lanes: facts of one order key that can't be handled now, in order, in the reader's own database.

Whoever appends, releases or decides locks the lane first, in a statement of its own before rows are read. A lane is
removed only when it is found empty under that lock, so no fact passes one that waits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import clock
from servicekit.database import Tx
from servicekit.domain import DomainError, Kind
from servicekit.facts import type_of, unpack

WAITING, PARKED = "waiting", "parked"
BACKOFF = (0.5, 1, 2, 4, 8, 15, 30, 30, 30, 30, 60, 60, 60)  # seconds; after the last one a lane is parked
HEALS = frozenset({Kind.MISSING, Kind.BUSY, Kind.AWAY, Kind.CONFLICT})


class LaneMissing(DomainError):
    """No such lane."""

    reason, kind = "LANE_MISSING", Kind.MISSING


class LaneChanged(DomainError):
    """The fact is not in this lane any more."""

    reason, kind = "LANE_CHANGED", Kind.PRECONDITION


class SecondPersonNeeded(DomainError):
    """A fact is discarded by two people: nobody else has proposed it."""

    reason, kind = "SECOND_PERSON_NEEDED", Kind.PRECONDITION


class CorrectionUnreadable(DomainError):
    """The corrected content is not of the fact's type."""

    reason, kind = "CORRECTION_UNREADABLE", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Lane:
    consumer: str
    order_key: str
    plant_id: str
    state: str
    reason: str
    text: str
    since_time: int
    next_attempt_time: int


@dataclass(frozen=True, slots=True)
class LaneFact:
    event_id: str
    position: int
    envelope: bytes
    reason: str
    text: str
    attempts: int
    record_time: int
    proposer_id: str  # empty: nobody wants it discarded
    propose_reason: str

    def read(self) -> Envelope:
        return Envelope.FromString(self.envelope)


def reason_of(error: Exception) -> str:
    return error.reason if isinstance(error, DomainError) else "INTERNAL"


def may_heal(error: Exception) -> bool:
    """Whether waiting can help: the noun is on the way, or the fault may be ours and passing."""
    return error.kind in HEALS if isinstance(error, DomainError) else True


LANE = "consumer, order_key, plant_id, state, reason, text, since_time, next_attempt_time"
FACT = "event_id, position, envelope, reason, text, attempts, record_time"
SHOWN = f"{FACT}, proposer_id, propose_reason"


def lock(tx: Tx, consumer: str, keys: Iterable[str]) -> dict[str, Lane]:
    """The open lanes of these keys, locked in key order."""
    wanted = json.dumps(sorted(set(keys)))
    sql = f"SELECT {LANE} FROM lane WHERE consumer = ? AND {tx.among('order_key')} ORDER BY order_key"
    rows = tx.rows(sql if tx.is_sqlite else sql + " FOR UPDATE OF lane", (consumer, wanted))
    return {row[1]: Lane(*row) for row in rows}


def settled(tx: Tx, consumer: str, event_ids: Iterable[str]) -> set[str]:
    """Those facts that were superseded, discarded or known as taken, or stand in a lane already: they take no effect here."""
    wanted = json.dumps(list(event_ids))
    rows = tx.rows(
        f"SELECT event_id FROM fact_outcome WHERE consumer = ? AND {tx.among('event_id')} UNION "
        f"SELECT event_id FROM lane_fact WHERE consumer = ? AND {tx.among('event_id')}",
        (consumer, wanted, consumer, wanted),
    )
    return {row[0] for row in rows}


def append(tx: Tx, consumer: str, envelope: Envelope, error: Exception | None, now: datetime) -> Lane:
    """Put a fact at the end of its key's lane, opening the lane if there is none. Returns the lane."""
    lane = lock(tx, consumer, [envelope.order_key]).get(envelope.order_key)
    if lane is None:
        lane = _open(tx, consumer, envelope, error, now)
    reason, text = (reason_of(error), str(error)[:2000]) if error is not None else ("", "")
    tx.run(
        f"INSERT INTO lane_fact (consumer, order_key, {FACT}) SELECT ?, ?, ?, "
        "COALESCE(MAX(position), 0) + 1, ?, ?, ?, ?, ? FROM lane_fact WHERE consumer = ? AND order_key = ?",
        (
            consumer,
            envelope.order_key,
            envelope.event_id,
            envelope.SerializeToString(),
            reason,
            text,
            1 if error is not None else 0,
            clock.micros(now),
            consumer,
            envelope.order_key,
        ),
    )
    return lane


def _open(tx: Tx, consumer: str, envelope: Envelope, error: Exception | None, now: datetime) -> Lane:
    waits = error is None or may_heal(error)
    next_attempt = clock.micros(now + timedelta(seconds=BACKOFF[0])) if waits else 0
    lane = Lane(
        consumer,
        envelope.order_key,
        envelope.plant_id,
        WAITING if waits else PARKED,
        reason_of(error) if error is not None else "",
        str(error)[:2000] if error is not None else "",
        clock.micros(now),
        next_attempt,
    )
    tx.run(
        f"INSERT INTO lane ({LANE}) VALUES (?,?,?,?,?,?,?,?)",
        (
            lane.consumer,
            lane.order_key,
            lane.plant_id,
            lane.state,
            lane.reason,
            lane.text,
            lane.since_time,
            lane.next_attempt_time,
        ),
    )
    return lane


def due(tx: Tx, consumer: str, now: datetime, plants: Sequence[str] | None = None, most: int = 100) -> list[str]:
    """Keys of waiting lanes whose next attempt has come, of these plants or all.

    None waits longer than the longest pause: what seems to was told to by a clock that has been put back since.
    """
    beyond = clock.micros(now + timedelta(seconds=max(BACKOFF) + 1))
    own = "" if plants is None else f"AND {tx.among('plant_id')} "
    rows = tx.rows(
        f"SELECT order_key FROM lane WHERE consumer = ? AND state = ? AND (next_attempt_time <= ? OR next_attempt_time > ?) "
        f"{own}ORDER BY next_attempt_time LIMIT ?",
        (consumer, WAITING, clock.micros(now), beyond, *([] if plants is None else [json.dumps(list(plants))]), most),
    )
    return [row[0] for row in rows]


def head(tx: Tx, consumer: str, order_key: str) -> LaneFact | None:
    rows = tx.rows(
        f"SELECT {SHOWN} FROM lane_fact WHERE consumer = ? AND order_key = ? ORDER BY position LIMIT 1",
        (consumer, order_key),
    )
    return _fact(rows[0]) if rows else None


def facts(tx: Tx, consumer: str, order_key: str, most: int = 500) -> list[LaneFact]:
    rows = tx.rows(
        f"SELECT {SHOWN} FROM lane_fact WHERE consumer = ? AND order_key = ? ORDER BY position LIMIT ?",
        (consumer, order_key, most),
    )
    return [_fact(row) for row in rows]


def _fact(row: Any) -> LaneFact:
    return LaneFact(row[0], row[1], bytes(row[2]), *row[3:])


def drop(tx: Tx, consumer: str, order_key: str, event_ids: Sequence[str]) -> None:
    """Take facts out, and the lane away if those were the last."""
    mine = [(consumer, event_id) for event_id in event_ids]
    tx.many("DELETE FROM lane_fact WHERE consumer = ? AND event_id = ?", mine)
    tx.run(
        "DELETE FROM lane WHERE consumer = ? AND order_key = ? AND NOT EXISTS "
        "(SELECT 1 FROM lane_fact f WHERE f.consumer = lane.consumer AND f.order_key = lane.order_key)",
        (consumer, order_key),
    )


def fail(tx: Tx, consumer: str, order_key: str, fact: LaneFact, error: Exception, now: datetime) -> str:
    """The head failed again: wait longer, or park. Returns the lane's state."""
    attempts = fact.attempts + 1
    parks = not may_heal(error) or attempts > len(BACKOFF)
    state = PARKED if parks else WAITING
    next_attempt = 0 if parks else clock.micros(now + timedelta(seconds=BACKOFF[attempts - 1]))
    reason, text = reason_of(error), str(error)[:2000]
    tx.run(
        "UPDATE lane SET state = ?, reason = ?, text = ?, next_attempt_time = ? WHERE consumer = ? AND order_key = ?",
        (state, reason, text, next_attempt, consumer, order_key),
    )
    tx.run(
        "UPDATE lane_fact SET attempts = ?, reason = ?, text = ? WHERE consumer = ? AND event_id = ?",
        (attempts, reason, text, consumer, fact.event_id),
    )
    return state


def one(tx: Tx, consumer: str, order_key: str) -> Lane:
    """The lane, locked; LANE_MISSING."""
    lane = lock(tx, consumer, [order_key]).get(order_key)
    if lane is None:
        raise LaneMissing(consumer=consumer, order_key=order_key)
    return lane


def fact_in(tx: Tx, consumer: str, order_key: str, event_id: str) -> LaneFact:
    """The fact in this lane; LANE_CHANGED."""
    rows = tx.rows(
        f"SELECT {SHOWN} FROM lane_fact WHERE consumer = ? AND order_key = ? AND event_id = ?",
        (consumer, order_key, event_id),
    )
    if not rows:
        raise LaneChanged(consumer=consumer, order_key=order_key)
    return _fact(rows[0])


def outcome_of(tx: Tx, consumer: str, event_id: str) -> tuple[str, str] | None:
    """(outcome, superseded_by) that a person gave this fact."""
    rows = tx.rows(
        "SELECT outcome, superseded_by FROM fact_outcome WHERE consumer = ? AND event_id = ?", (consumer, event_id)
    )
    return (rows[0][0], rows[0][1]) if rows else None


def corrected(fact: LaneFact, content_json: str) -> Envelope:
    """The fact with new content, as a new fact that names the old one."""
    envelope = fact.read()
    try:
        message = unpack(envelope.data)
        if message is None:
            raise CorrectionUnreadable(type=type_of(envelope.data), problem="unknown type")
        message.Clear()
        json_format.Parse(content_json, message)
    except (json_format.ParseError, DecodeError) as error:
        raise CorrectionUnreadable(type=type_of(envelope.data), problem=error) from error
    renewed = Envelope()
    renewed.CopyFrom(envelope)
    renewed.causation_id = fact.event_id
    renewed.event_id = hashlib.sha256(f"{fact.event_id}|corrected|{content_json}".encode()).hexdigest()[:32]
    renewed.data.Pack(message)
    return renewed


def supersede(tx: Tx, consumer: str, fact: LaneFact, renewed: Envelope) -> None:
    """Put the corrected fact in the place of the old one, which never takes effect, should it come again."""
    tx.run(
        "UPDATE lane_fact SET event_id = ?, envelope = ?, attempts = 0, proposer_id = '', propose_reason = '' "
        "WHERE consumer = ? AND event_id = ?",
        (renewed.event_id, renewed.SerializeToString(), consumer, fact.event_id),
    )
    _settle(tx, consumer, fact.event_id, "superseded", renewed.event_id)


def propose_discard(tx: Tx, consumer: str, event_id: str, operator_id: str, reason: str) -> None:
    tx.run(
        "UPDATE lane_fact SET proposer_id = ?, propose_reason = ? WHERE consumer = ? AND event_id = ?",
        (operator_id, reason, consumer, event_id),
    )


def discard(tx: Tx, consumer: str, order_key: str, fact: LaneFact, operator_id: str) -> None:
    """Take the fact out without effect, as the second who wants it so. SECOND_PERSON_NEEDED."""
    if not fact.proposer_id or _same_person(fact.proposer_id, operator_id):
        raise SecondPersonNeeded(order_key=order_key, event_id=fact.event_id, proposer_id=fact.proposer_id)
    drop(tx, consumer, order_key, [fact.event_id])
    _settle(tx, consumer, fact.event_id, "discarded", "")


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _settle(tx: Tx, consumer: str, event_id: str, outcome: str, superseded_by: str) -> None:
    tx.run(
        "INSERT INTO fact_outcome (consumer, event_id, outcome, superseded_by, outcome_time) VALUES (?,?,?,?,?)",
        (consumer, event_id, outcome, superseded_by, clock.micros(clock.now())),
    )


def taken_before(tx: Tx, consumer: str, event_ids: Iterable[str]) -> None:
    """These facts took effect already, whatever number they come with: they never do again."""
    at = clock.micros(clock.now())
    tx.many(
        "INSERT INTO fact_outcome (consumer, event_id, outcome, superseded_by, outcome_time) VALUES (?,?,'taken','',?) "
        "ON CONFLICT (consumer, event_id) DO NOTHING",
        [(consumer, event_id, at) for event_id in event_ids],
    )
