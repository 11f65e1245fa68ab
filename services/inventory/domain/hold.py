"""Lots that may not be used or shipped: who holds them, and what a disposition of quality does to that."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from servicekit.domain import DomainError, Kind


class Cause(enum.Enum):
    """Why a lot is held. Quality's two never stand together."""

    INSPECTION_PENDING = "inspection_pending"
    INSPECTION_FAILED = "inspection_failed"
    PERSON = "person"


class Disposition(enum.Enum):
    """What quality says of a lot."""

    NONE = ""  # nothing was said: its item is not inspected, or the ledger has not heard so
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


OF_QUALITY = {Disposition.PENDING: Cause.INSPECTION_PENDING, Disposition.FAILED: Cause.INSPECTION_FAILED}


class LotHeldAlready(DomainError):
    """A person holds the lot already."""

    reason, kind = "LOT_HELD", Kind.EXISTS


class HoldMissing(DomainError):
    """No such hold stands."""

    reason, kind = "HOLD_MISSING", Kind.MISSING


class HoldNotYours(DomainError):
    """Only a disposition of quality releases a hold of this cause."""

    reason, kind = "HOLD_NOT_YOURS", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class InspectedItem:
    """An item whose lots are inspected, as its test specification says. Days are the plant's; None: without end."""

    plant_id: str
    item_id: str
    effective_start_date: date
    effective_end_date: date | None

    def is_inspected(self, day: date) -> bool:
        return self.effective_start_date <= day and (self.effective_end_date is None or day <= self.effective_end_date)


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason to hold a lot. `release_time` is None while it stands; a later one of the same cause stands anew."""

    plant_id: str
    item_id: str
    lot_id: str
    cause: Cause
    work_order_id: str
    hold_reason: str
    hold_time: datetime
    release_time: datetime | None = None
    release_reason: str = ""

    @property
    def hold_id(self) -> str:
        return hold_id(self.plant_id, self.item_id, self.lot_id, self.cause)

    @property
    def stands(self) -> bool:
        return self.release_time is None

    def released(self, reason: str, now: datetime) -> Hold:
        return replace(self, release_time=now, release_reason=reason)


def hold_id(plant_id: str, item_id: str, lot_id: str, cause: Cause) -> str:
    return f"{plant_id}-{item_id}-{lot_id}-{cause.value}"


def dispose(
    said: Disposition, reason: str, holds: Sequence[Hold], new: Hold | None, now: datetime
) -> tuple[Hold | None, list[Hold]]:
    """(the hold that a disposition sets, the holds of quality that it ends). `new`: as it would be set now."""
    wanted = OF_QUALITY.get(said)
    standing = {hold.cause: hold for hold in holds if hold.stands and hold.cause is not Cause.PERSON}
    ended = [hold.released(reason, now) for cause, hold in sorted(standing.items(), key=_name) if cause is not wanted]
    return (new if wanted is not None and wanted not in standing else None), ended


def _name(item: tuple[Cause, Hold]) -> str:
    return item[0].value


def person_hold(holds: Sequence[Hold], new: Hold) -> Hold:
    """LOT_HELD. A person's hold of a lot, once."""
    if any(hold.stands and hold.cause is Cause.PERSON for hold in holds):
        raise LotHeldAlready(hold_id=new.hold_id)
    return new


def person_release(hold: Hold | None, hold_id: str, reason: str, now: datetime) -> Hold:
    """HOLD_MISSING, HOLD_NOT_YOURS."""
    if hold is None or not hold.stands:
        raise HoldMissing(hold_id=hold_id)
    if hold.cause is not Cause.PERSON:
        raise HoldNotYours(hold_id=hold_id, cause=hold.cause)
    return hold.released(reason, now)
