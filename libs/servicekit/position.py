"""The reader's position: ours, per consumer and slot, written in the transaction of the effect."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass

from isthmus.events.v1.heartbeat_pb2 import Heartbeat
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


ENDLESS = 2**63


@dataclass(frozen=True, slots=True)
class Said:
    """What a producer's last heartbeat said of its slot. `starts`: (epoch, sequence it continues), oldest first."""

    lowest_retained: int = 0
    last_stored: int = 0
    starts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, beat: Heartbeat) -> Said:
        starts = tuple((start.producer_epoch, start.continues_sequence) for start in beat.epoch_starts)
        return cls(beat.lowest_retained_sequence, beat.last_stored_sequence, starts)

    @property
    def epoch(self) -> int:
        return self.starts[-1][0] if self.starts else 1

    def limit(self, epoch: int) -> int:
        """The last sequence of this epoch that the producer still knows: it lost the rest when its database was put back."""
        if not self.starts:
            return ENDLESS
        return min((continues for start, continues in self.starts if start > epoch), default=ENDLESS)

    def can_repeat(self, sequence: int) -> bool:
        """Whether the producer's outbox held this number when it said so."""
        return self.lowest_retained <= sequence if self.lowest_retained else self.last_stored < sequence


NOTHING_SAID = Said()


class Step(enum.Enum):
    NEXT = "next"
    REPEAT = "repeat"  # taken already, or said in an epoch that ended before it
    HOLE = "hole"
    BEYOND = "beyond"  # the reader took what its producer no longer knows


def judge(at: tuple[int, int] | None, epoch: int, sequence: int, said: Said = NOTHING_SAID) -> Step:
    """What a fact with this epoch and number is to a reader whose last one was `at` (None: it has seen none of the slot).

    At first sight of a slot number 1 starts, or one not above the lowest that its producer can still repeat.
    """
    if sequence > said.limit(epoch):
        return Step.REPEAT
    if at is None:
        return Step.NEXT if sequence <= max(1, said.lowest_retained) else Step.HOLE
    if at[1] > said.limit(at[0]):
        return Step.BEYOND
    if epoch > said.epoch and epoch > at[0]:
        return Step.HOLE  # where that epoch began is not heard yet
    if sequence <= at[1]:
        return Step.REPEAT
    return Step.NEXT if sequence == at[1] + 1 else Step.HOLE


COLUMNS = "slot, stream_created, stream_sequence, event_id, producer_epoch, producer_sequence"


def load(tx: Tx, consumer: str, slots: Iterable[str]) -> dict[str, Position]:
    """The positions of these slots, locked."""
    sql = f"SELECT {COLUMNS} FROM position WHERE consumer = ? AND {tx.among('slot')} ORDER BY slot"
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
