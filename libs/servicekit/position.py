"""The reader's position: ours, per consumer and slot, written in the transaction of the effect."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass

from servicekit.database import Tx


@dataclass(frozen=True, slots=True)
class Position:
    """How far a consumer has taken effect of a slot."""

    slot: str
    stream_created: str = ""
    stream_sequence: int = 0
    event_id: str = ""
    producer_epoch: int = 0
    producer_sequence: int = 0


class Step(enum.Enum):
    NEXT = "next"
    REPEAT = "repeat"
    HOLE = "hole"


def judge(last: int | None, producer_sequence: int, lowest_retained: int) -> Step:
    """What a fact with this number is to a reader whose last one was `last` (None: it has seen none of the slot).

    At first sight of a slot number 1 starts, or one not above the lowest that its producer can still repeat.
    """
    if last is None:
        return Step.NEXT if producer_sequence <= max(1, lowest_retained) else Step.HOLE
    if producer_sequence <= last:
        return Step.REPEAT
    return Step.NEXT if producer_sequence == last + 1 else Step.HOLE


COLUMNS = "slot, stream_created, stream_sequence, event_id, producer_epoch, producer_sequence"


def load(tx: Tx, consumer: str, slots: Iterable[str]) -> dict[str, Position]:
    """The positions of these slots, locked."""
    source = "json_each(?)" if tx.is_sqlite else "jsonb_array_elements_text(CAST(? AS jsonb)) AS wanted(value)"
    sql = f"SELECT {COLUMNS} FROM position WHERE consumer = ? AND slot IN (SELECT value FROM {source}) ORDER BY slot"
    rows = tx.rows(sql if tx.is_sqlite else sql + " FOR UPDATE OF position", (consumer, json.dumps(sorted(set(slots)))))
    return {row[0]: Position(*row) for row in rows}


def save(tx: Tx, consumer: str, positions: Iterable[Position]) -> None:
    tx.many(
        f"INSERT INTO position (consumer, {COLUMNS}) VALUES (?,?,?,?,?,?,?) ON CONFLICT (consumer, slot) DO UPDATE SET "
        "stream_created = excluded.stream_created, stream_sequence = excluded.stream_sequence, "
        "event_id = excluded.event_id, producer_epoch = excluded.producer_epoch, "
        "producer_sequence = excluded.producer_sequence",
        [
            (
                consumer,
                p.slot,
                p.stream_created,
                p.stream_sequence,
                p.event_id,
                p.producer_epoch,
                p.producer_sequence,
            )
            for p in positions
        ],
    )
