"""Lots that may not be used or shipped: who holds them, and what a disposition of quality does to that."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from servicekit.domain import DomainError, Kind
from services.inventory.domain.ledger import USED_FROM


class Cause(enum.Enum):
    """Why a lot is held. Quality's two never stand together."""

    INSPECTION_PENDING = "inspection_pending"
    INSPECTION_FAILED = "inspection_failed"
    PERSON = "person"


class Disposition(enum.Enum):
    """What quality says of an order's part of a lot."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


OF_QUALITY = {Disposition.PENDING: Cause.INSPECTION_PENDING, Disposition.FAILED: Cause.INSPECTION_FAILED}
GRAVITY = (Disposition.PASSED, Disposition.PENDING, Disposition.FAILED)  # the gravest of a lot's is the lot's


class LotHeldAlready(DomainError):
    """A person holds the lot already."""

    reason, kind = "LOT_HELD", Kind.EXISTS


class LotOnHold(DomainError):
    """A held lot is not transferred to a place that lots are used or shipped from."""

    reason, kind = "LOT_ON_HOLD", Kind.PRECONDITION


class HoldMissing(DomainError):
    """No such hold stands."""

    reason, kind = "HOLD_MISSING", Kind.MISSING


class HoldNotYours(DomainError):
    """Only a disposition of quality releases a hold of this cause."""

    reason, kind = "HOLD_NOT_YOURS", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class InspectedItem:
    """What a test specification says of which lots are inspected. Days are the plant's; None: without end."""

    plant_id: str
    test_specification_id: str
    item_id: str
    effective_start_date: date
    effective_end_date: date | None

    def is_inspected(self, item_id: str, day: date) -> bool:
        begin, end = self.effective_start_date, self.effective_end_date
        return self.item_id == item_id and begin <= day and (end is None or day <= end)


@dataclass(frozen=True, slots=True)
class LotDisposition:
    """What quality said last in one inspection of a lot; the ledger may not know the lot yet.

    `inspection_id` is empty while the output of an order waits for its inspection to open. `has_passed`: it passed, and
    did not fail since.
    """

    plant_id: str
    item_id: str
    lot_id: str
    work_order_id: str
    inspection_id: str
    disposition: Disposition
    reason: str
    has_passed: bool = False

    def after(self, before: LotDisposition | None) -> LotDisposition:
        """With what is remembered from before."""
        was_passed = before is not None and before.has_passed and self.disposition is Disposition.PENDING
        return replace(self, has_passed=was_passed or self.disposition is Disposition.PASSED)


def awaited(plant_id: str, item_id: str, lot_id: str, work_order_id: str) -> LotDisposition:
    """Until the inspection of an order's output opens."""
    pending = Disposition.PENDING
    return LotDisposition(plant_id, item_id, lot_id, work_order_id, "", pending, "its inspection is pending")


def gravest(said: Iterable[LotDisposition]) -> LotDisposition | None:
    """What counts for the lot: it passes when all of its inspections passed. None: nobody said anything."""
    return max(said, key=lambda one: (GRAVITY.index(one.disposition), one.inspection_id), default=None)


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
    """A hold is named by what it is about; ids of items and lots may hold any sign, so that joined they could meet."""
    return hashlib.sha256("\x1f".join((plant_id, item_id, lot_id, cause.value)).encode()).hexdigest()[:32]


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


def require_transferable(lot_id: str, holds: Iterable[Hold], to_location_id: str) -> None:
    """LOT_ON_HOLD. A hold is of the lot, wherever it lies; but what must not be used is not brought to where it could be."""
    standing = next((hold for hold in holds if hold.stands), None)
    if standing is not None and to_location_id in USED_FROM:
        raise LotOnHold(lot_id=lot_id, hold_id=standing.hold_id, location_id=to_location_id)
