"""The outbox: facts numbered at commit, without holes, in the transaction that made them true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import clock
from servicekit.database import Tx
from servicekit.domain import DomainError, Kind
from servicekit.facts import subject_of, type_of

HOUR = 3_600_000_000  # microseconds


class Stored(NamedTuple):
    """A numbered fact as it stands in the outbox."""

    slot: str
    epoch: int
    sequence: int
    event_id: str
    subject: str
    traceparent: str
    envelope: bytes

    def payload(self) -> bytes:
        """The stored bytes with the numbers appended: protobuf merges concatenated messages."""
        numbers = Envelope(producer_epoch=self.epoch, producer_sequence=self.sequence)
        return self.envelope + numbers.SerializeToString()


COLUMNS = f"{', '.join(Stored._fields)}, fact_type, order_key, record_time"
Told = Callable[[Sequence[Stored]], None]  # called after the commit that stored these facts


def append(tx: Tx, envelopes: Sequence[Envelope], now: datetime) -> list[Stored]:
    """Number the facts slot by slot and store them: the last statements of a transaction. Returns them as stored.

    The producer's row lock makes sequence order commit order, on both databases.
    """
    by_slot: dict[str, list[Envelope]] = defaultdict(list)
    for envelope in envelopes:
        by_slot[envelope.producer_slot].append(envelope)
    stored: list[Stored] = []
    rows: list[tuple[object, ...]] = []
    at = clock.micros(now)
    for slot in sorted(by_slot):
        said = by_slot[slot]
        epoch, last = _take_numbers(tx, slot, len(said))
        for sequence, envelope in enumerate(said, start=last - len(said) + 1):
            fact_type = type_of(envelope.data)
            subject = subject_of(fact_type, envelope.plant_id)
            fact = Stored(
                slot, epoch, sequence, envelope.event_id, subject, envelope.traceparent, envelope.SerializeToString()
            )
            stored.append(fact)
            rows.append((*fact, fact_type, envelope.order_key, at))
    tx.insert("outbox", COLUMNS, rows)
    return stored


def _take_numbers(tx: Tx, slot: str, count: int) -> tuple[int, int]:
    numbered = "UPDATE producer SET last_sequence = last_sequence + ? WHERE slot = ? RETURNING epoch, last_sequence"
    rows = tx.rows(numbered, (count, slot))
    if not rows:
        tx.run("INSERT INTO producer (slot) VALUES (?) ON CONFLICT (slot) DO NOTHING", (slot,))
        rows = tx.rows(numbered, (count, slot))
    return rows[0][0], rows[0][1]


def after(tx: Tx, slot: str, sequence: int, most: int) -> list[Stored]:
    """The next facts of a slot after this sequence, at most `most`."""
    rows = tx.rows(
        "SELECT slot, epoch, sequence, event_id, subject, traceparent, envelope FROM outbox "
        "WHERE slot = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (slot, sequence, most),
    )
    return [Stored(r[0], r[1], r[2], r[3], r[4], r[5], bytes(r[6])) for r in rows]


@dataclass(frozen=True, slots=True)
class Producer:
    """A slot's numbers: `stored` is what the stream is known to hold, `lowest` what can still be repeated (0: nothing)."""

    slot: str
    epoch: int
    last: int
    stored: int
    stored_event_id: str
    lowest: int
    starts: tuple[tuple[int, int], ...] = ()  # (epoch, sequence it continues), oldest first

    @property
    def continues(self) -> int:
        """The last sequence before the present epoch."""
        return self.starts[-1][1] if self.starts else 0


def producer(tx: Tx, slot: str) -> Producer:
    rows = tx.rows(
        "SELECT p.epoch, p.last_sequence, p.stored_sequence, "
        "COALESCE((SELECT event_id FROM outbox o WHERE o.slot = p.slot AND o.sequence = p.stored_sequence), ''), "
        "COALESCE((SELECT MIN(sequence) FROM outbox o WHERE o.slot = p.slot), 0) FROM producer p WHERE p.slot = ?",
        (slot,),
    )
    starts = tx.rows("SELECT epoch, continues_sequence FROM epoch_start WHERE slot = ? ORDER BY epoch", (slot,))
    known = tuple((start[0], start[1]) for start in starts)
    if not rows:
        return Producer(slot, 1, 0, 0, "", 0)
    epoch, last, stored, event_id, lowest = rows[0]
    return Producer(slot, epoch, last, stored, event_id, lowest, known)


def raise_epoch(tx: Tx, slot: str, above: int) -> int:
    """Begin a new epoch, for the stream holds facts of epoch `above` that this database never said. Returns it.

    It continues what the stream was known to hold when the copy was made; whatever was numbered since is numbered anew.
    """
    tx.run("INSERT INTO producer (slot) VALUES (?) ON CONFLICT (slot) DO NOTHING", (slot,))
    epoch, continues = tx.rows(
        "UPDATE producer SET epoch = CASE WHEN epoch > ? THEN epoch ELSE ? END + 1 WHERE slot = ? "
        "RETURNING epoch, stored_sequence",
        (above, above, slot),
    )[0]
    tx.run("INSERT INTO epoch_start (slot, epoch, continues_sequence) VALUES (?, ?, ?)", (slot, epoch, continues))
    tx.run("UPDATE outbox SET epoch = ? WHERE slot = ? AND sequence > ?", (epoch, slot, continues))
    return int(epoch)


def mark_stored(tx: Tx, slot: str, sequence: int, now: datetime) -> None:
    """Remember how far the stream holds this slot, and since when: insurance rows stay for the retention time."""
    tx.run("UPDATE producer SET stored_sequence = ? WHERE slot = ? AND stored_sequence < ?", (sequence, slot, sequence))
    tx.run(
        "INSERT INTO stored_mark (slot, hour, sequence) VALUES (?, ?, ?) ON CONFLICT (slot, hour) DO UPDATE SET "
        "sequence = excluded.sequence WHERE stored_mark.sequence < excluded.sequence",
        (slot, clock.micros(now) // HOUR, sequence),
    )


def backlog(tx: Tx, slot: str) -> tuple[int, int | None]:
    """How many facts the stream does not have yet, and the record time (microseconds) of the oldest."""
    row = tx.rows(
        "SELECT COUNT(*), MIN(record_time) FROM outbox WHERE slot = ? AND sequence > "
        "COALESCE((SELECT stored_sequence FROM producer WHERE slot = ?), 0)",
        (slot, slot),
    )[0]
    return row[0], row[1]


class FactMissing(DomainError):
    """No fact of that number was told here, or it is forgotten."""

    reason, kind = "FACT_MISSING", Kind.MISSING


def told(tx: Tx, slot: str, sequence: int) -> tuple[Envelope, datetime]:
    """A fact that was told, and when it was recorded. FACT_MISSING."""
    rows = tx.rows("SELECT envelope, record_time FROM outbox WHERE slot = ? AND sequence = ?", (slot, sequence))
    if not rows:
        raise FactMissing(producer_slot=slot, producer_sequence=sequence)
    return Envelope.FromString(bytes(rows[0][0])), clock.instant(rows[0][1])


def prune(tx: Tx, before: datetime, most: int = 1000) -> int:
    """Drop a few rows that their stream has held since before this time. The last stored row stays: a heartbeat names it."""
    hour = clock.micros(before) // HOUR
    dropped = 0
    for slot, stored in tx.rows("SELECT slot, MAX(sequence) FROM stored_mark WHERE hour < ? GROUP BY slot", (hour,)):
        dropped += tx.run(
            "DELETE FROM outbox WHERE slot = ? AND sequence IN (SELECT o.sequence FROM outbox o WHERE o.slot = ? AND "
            "o.sequence <= ? AND o.sequence < (SELECT stored_sequence FROM producer p WHERE p.slot = o.slot) "
            "ORDER BY o.sequence LIMIT ?)",
            (slot, slot, stored, most),
        )
        if dropped < most:
            tx.run("DELETE FROM stored_mark WHERE slot = ? AND hour < ? AND sequence < ?", (slot, hour, stored))
    return dropped


def event_at(tx: Tx, slot: str, sequence: int) -> str | None:
    """Event id of a numbered fact; empty if it was pruned, None if this database never gave that number."""
    rows = tx.rows("SELECT event_id FROM outbox WHERE slot = ? AND sequence = ?", (slot, sequence))
    if rows:
        return str(rows[0][0])
    return "" if sequence <= producer(tx, slot).last else None
