"""Figures of a plant over an interval: what they mean, and how they are made of what was heard. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum

ACCEPTED, REFUSED = "isthmus.edge.v1.WorkOrderAccepted", "isthmus.edge.v1.WorkOrderRefused"
CONFIRMED, POSTING_REFUSED = "isthmus.production.v1.OperationConfirmed", "isthmus.gateway.v1.PostingRefused"
COUNTED = (ACCEPTED, REFUSED, CONFIRMED, POSTING_REFUSED)


class Over(Enum):
    """What several intervals make together."""

    SUM = "sum"
    WORST = "worst"


@dataclass(frozen=True, slots=True)
class Meaning:
    text: str
    unit: str
    over: Over


KPIS = {
    "orders-accepted": Meaning("Orders that the plant's MES accepted", "orders", Over.SUM),
    "orders-refused": Meaning("Orders that the plant's MES refused", "orders", Over.SUM),
    "confirmations": Meaning("Confirmations booked", "confirmations", Over.SUM),
    "confirmations-late": Meaning(
        "Of them delayed: kept in the plant while its line was cut", "confirmations", Over.SUM
    ),
    "confirmation-lag-p50": Meaning("From the plant's own time to the booking, half of them within", "s", Over.WORST),
    "confirmation-lag-p95": Meaning("From the plant's own time to the booking, 95 % of them within", "s", Over.WORST),
    "postings-refused": Meaning("Changes that the ERP, the warehouse or another system refused", "postings", Over.SUM),
    "lot-updates-failed": Meaning("Changes of lots that stand refused", "postings", Over.WORST),
    "duplicates-prevented": Meaning("Facts and documents that came again and had no second effect", "facts", Over.SUM),
    "backlog": Meaning("Facts that the plant's bridge has not told yet", "facts", Over.WORST),
    "parked": Meaning("Facts in lanes that need a person", "facts", Over.WORST),
    "replayed": Meaning("What a person did to let facts go on: corrections, releases, discards", "actions", Over.SUM),
    "replays-stuck": Meaning("Lanes that a person released and that are parked again, or still", "lanes", Over.SUM),
    "inventory-variances": Meaning("Differences of the last comparison that need a person", "variances", Over.WORST),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """An entry of the timeline, as far as figures need it."""

    fact_type: str
    lag: timedelta  # from the plant's time to the record's
    is_late: bool


def of_entries(entries: Iterable[Heard]) -> dict[str, Decimal]:
    """Figures of what was heard of a plant in an interval. Without a confirmation there is no lag, which is not zero."""
    heard = list(entries)
    confirmed = [one for one in heard if one.fact_type == CONFIRMED]
    found = {
        "orders-accepted": Decimal(sum(one.fact_type == ACCEPTED for one in heard)),
        "orders-refused": Decimal(sum(one.fact_type == REFUSED for one in heard)),
        "confirmations": Decimal(len(confirmed)),
        "confirmations-late": Decimal(sum(one.is_late for one in confirmed)),
        "postings-refused": Decimal(sum(one.fact_type == POSTING_REFUSED for one in heard)),
    }
    if confirmed:
        lags = sorted(one.lag for one in confirmed)
        found["confirmation-lag-p50"] = _seconds(_within(lags, 50))
        found["confirmation-lag-p95"] = _seconds(_within(lags, 95))
    return found


def _within(ordered: Sequence[timedelta], percent: int) -> timedelta:
    """The smallest value that so many percent do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _seconds(span: timedelta) -> Decimal:
    """A plant whose clock is ahead has no lag below zero."""
    return max(Decimal(span // timedelta(microseconds=1)) / 1_000_000, Decimal(0))
