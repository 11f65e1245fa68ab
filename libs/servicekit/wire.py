"""Shared words on the wire: quantities, keys, times and dates between protobuf and domain, for every service's wire.py."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from isthmus.common.v1.quantity_pb2 import Quantity as QuantityMessage
from servicekit.domain import Quantity, exact, plain
from servicekit.errors import FieldInvalid
from servicekit.facts import key_message, key_of_message, time_of, timestamp

__all__ = ["key_message", "key_of_message", "time_of", "timestamp"]


def quantity_of(message: QuantityMessage) -> Quantity:
    """UNIT_UNKNOWN, AMOUNT_OUT_OF_RANGE."""
    return Quantity(exact(message.value), message.unit_code)


def quantity_message(quantity: Quantity) -> QuantityMessage:
    return QuantityMessage(value=plain(quantity.value), unit_code=quantity.unit_code)


def seconds_of(duration: Duration) -> Quantity:
    """A duration as seconds (unit code SEC), to the microsecond."""
    return Quantity(Decimal(duration.ToMicroseconds()).scaleb(-6), "SEC")


def duration_message(seconds: Quantity) -> Duration:
    micros = int(seconds.value.scaleb(6))
    sign = -1 if micros < 0 else 1  # both parts of a Duration bear it
    whole, rest = divmod(abs(micros), 1_000_000)
    return Duration(seconds=sign * whole, nanos=sign * rest * 1000)


def date_of(message: Message, field: str) -> date | None:
    """A plant calendar day; None where the field is absent. FIELD_INVALID: there is no such day."""
    if not message.HasField(field):
        return None
    value = getattr(message, field)
    try:
        return date(value.year, value.month, value.day)
    except (ValueError, OverflowError) as fault:
        raise FieldInvalid([(field, str(fault))]) from fault


def date_message(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)


def plant_day(shift_id: str, occur_time: datetime) -> date:
    """The plant calendar day that a shift such as "2026-11-24/late" belongs to; that of the time in UTC where it names none."""
    try:
        return date.fromisoformat(shift_id.partition("/")[0])
    except ValueError:
        return occur_time.date()
