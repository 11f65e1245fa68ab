"""An order's timeline: what happened to it, in business words, made from facts and not from logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from servicekit.domain import DomainError, Kind


class OrderMissing(DomainError):
    """No fact about such an order has arrived."""

    reason, kind = "ORDER_MISSING", Kind.MISSING


@dataclass(frozen=True, slots=True)
class OrderReference:
    work_order_id: str
    plant_id: str
    item_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number that an order is known by."""

    number: str
    work_order_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    event_id: str
    work_order_id: str
    plant_id: str
    occur_time: datetime
    record_time: datetime
    text: str
    said_by: str
    fact_type: str
    is_late: bool
    is_alarm: bool
    is_variance: bool
    sequence: int  # of the producer, for facts of one moment
