"""How much of a plant's facts its stream does not have yet: at the bound that plant takes nothing new, other plants go on.

Rows not yet stored are never dropped, so a plant that can't be told for weeks must stop before it fills everybody's disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from servicekit import clock
from servicekit.database import Tx
from servicekit.domain import DomainError, Kind
from servicekit.facts import slot_of
from servicekit.use_case import Fact

OUTBOX_MOST_BYTES = 4 * 1024**3  # a slot's facts that wait for their stream: as much as an empty stream takes
LOOK_SECONDS = 1.0
SAMPLE = 100  # rows whose size stands for all: adding up millions would cost more than the bound is worth


class PlantBacklogFull(DomainError):
    """So many facts of this plant wait for their stream that it takes no more until they are told."""

    reason, kind = "PLANT_BACKLOG_FULL", Kind.BUSY


class Bounds:
    """The slots that are full, looked up once a second in a transaction that runs anyway."""

    def __init__(self, most_bytes: int = OUTBOX_MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._full: frozenset[str] = frozenset()
        self._look_due = 0.0

    def look(self, tx: Tx) -> None:
        """Find the slots that are full, if the last look is old."""
        now = clock.monotonic()
        if now < self._look_due:
            return
        self._look_due = now + LOOK_SECONDS
        self._full = frozenset(slot for slot, waiting in waiting_bytes(tx) if waiting >= self._most_bytes)

    def is_full(self, service: str, plant_id: str) -> bool:
        """Whether this plant takes nothing new."""
        return bool(self._full) and slot_of(service, plant_id) in self._full

    def require_room(self, service: str, facts: Sequence[Fact]) -> None:
        """PLANT_BACKLOG_FULL if a slot of these facts is full."""
        for fact in facts:
            if self.is_full(service, fact.plant_id):
                raise PlantBacklogFull(plant_id=fact.plant_id)


def waiting_bytes(tx: Tx) -> list[tuple[str, int]]:
    """By slot: about how many bytes of facts its stream does not have yet."""
    rows = tx.rows(
        "SELECT slot, last_sequence - stored_sequence, (SELECT AVG(LENGTH(envelope)) FROM outbox o "
        "WHERE o.slot = p.slot AND o.sequence > p.last_sequence - ?) FROM producer p "
        "WHERE last_sequence > stored_sequence",
        (SAMPLE,),
    )
    return [(slot, int(count * float(average or 0))) for slot, count, average in rows]
