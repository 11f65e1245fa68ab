"""Conservation: what a consumer took in, and what became of it, counted in the transactions that did it.

in = done + repeat + moot + refused + discarded + what stands in lanes. "in" is counted by the positions, not by the facts
that were handled, so that a fact which is passed over without being handled shows as a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from servicekit.database import Tx
from servicekit.position import Position

IN, DONE, REPEAT, MOOT, REFUSED, DISCARDED = "in", "done", "repeat", "moot", "refused", "discarded"
OUTCOMES = (DONE, REPEAT, MOOT, REFUSED, DISCARDED)
Counts = Counter[tuple[str, str]]  # by plant and outcome
OF_POSTINGS = "postings:"  # lanes of changes in foreign systems: no facts that were taken in


class Standing(NamedTuple):
    """What a consumer counted of a plant, and what of it stands in lanes now."""

    consumer: str
    plant_id: str
    counted: Mapping[str, int]
    waiting: int
    parked: int


def arrived(before: Mapping[str, Position], after: Iterable[Position], fresh: Sequence[tuple[str, str]]) -> Counts:
    """What came in, by how far the positions moved. `fresh`: slot and plant of each fact that is handled now."""
    counts: Counts = Counter((plant, IN) for _, plant in fresh)
    of_slot, plants = Counter(slot for slot, _ in fresh), dict(fresh)
    for at in after:
        last = before.get(at.slot)
        if last is not None and last.producer_epoch == at.producer_epoch:  # else the numbers begin anew
            passed = at.producer_sequence - last.producer_sequence
            counts[plants[at.slot], IN] += passed - of_slot[at.slot]
    return counts


def add(tx: Tx, consumer: str, counts: Counts) -> None:
    """Add to what is counted: one of the last statements of a transaction, in the order of the rows."""
    tx.many(
        "INSERT INTO fact_count (consumer, plant_id, outcome, facts) VALUES (?,?,?,?) "
        "ON CONFLICT (consumer, plant_id, outcome) DO UPDATE SET facts = fact_count.facts + excluded.facts",
        [(consumer, plant, outcome, number) for (plant, outcome), number in sorted(counts.items()) if number],
    )


def standing(tx: Tx) -> list[Standing]:
    """All consumers and plants of this database, in one statement: on PostgreSQL two would not see the same moment."""
    rows = tx.rows(
        "SELECT consumer, plant_id, outcome, facts FROM fact_count UNION ALL "
        "SELECT l.consumer, l.plant_id, l.state, COUNT(*) FROM lane l JOIN lane_fact f ON f.consumer = l.consumer "
        f"AND f.order_key = l.order_key WHERE l.consumer NOT LIKE '{OF_POSTINGS}%' "
        "GROUP BY l.consumer, l.plant_id, l.state ORDER BY 1, 2"
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for consumer, plant, outcome, number in rows:
        found.setdefault((consumer, plant), {})[outcome] = int(number)
    return [
        Standing(*at, counted, counted.get("waiting", 0), counted.get("parked", 0)) for at, counted in found.items()
    ]


def untold(tx: Tx) -> int:
    """Facts that were numbered here and are neither known to be in their stream nor kept to be told: lost in the outbox."""
    rows = tx.rows(
        "SELECT COALESCE(SUM(p.last_sequence - p.stored_sequence - (SELECT COUNT(*) FROM outbox o "
        "WHERE o.slot = p.slot AND o.sequence > p.stored_sequence)), 0) FROM producer p"
    )
    return int(rows[0][0])


def unaccounted(standings: Iterable[Standing]) -> dict[str, int]:
    """By consumer: facts that were taken in and are nowhere; below zero: more became of them than came.

    Not by plant: a fact that names another plant than its slot's stands in a lane of the one and was counted of the other.
    """
    found: dict[str, int] = Counter()
    for one in standings:
        became = sum(one.counted.get(outcome, 0) for outcome in OUTCOMES)
        found[one.consumer] += one.counted.get(IN, 0) - became - one.waiting - one.parked
    return found
