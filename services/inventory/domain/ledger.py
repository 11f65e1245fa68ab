"""The inventory ledger: lines that are never changed, and stock that is always their sum."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from servicekit.domain import DomainError, Kind, Quantity, UnitMismatch

CLOCK_SKEW = timedelta(minutes=5)  # how far another clock may be ahead of ours
STORAGE, OUTPUT, WAREHOUSE, SCRAP = "storage", "output", "warehouse", "scrap"  # places of a plant
PLACES = (STORAGE, OUTPUT, WAREHOUSE, SCRAP)
USED_FROM = (STORAGE, WAREHOUSE)  # where lines take lots, and where deliveries do


class Movement(enum.Enum):
    OPENING_BALANCE = "opening_balance"
    CONSUMPTION = "consumption"
    OUTPUT = "output"
    SCRAP = "scrap"
    TRANSFER = "transfer"
    SHIPMENT = "shipment"
    ADJUSTMENT = "adjustment"


class LotMissing(DomainError):
    """The ledger does not know the lot."""

    reason, kind = "LOT_MISSING", Kind.MISSING


class QuantityNotPositive(DomainError):
    """The quantity must be above zero."""

    reason, kind = "QUANTITY_NOT_POSITIVE", Kind.INVALID


class QuantityZero(DomainError):
    """An adjustment must change something."""

    reason, kind = "QUANTITY_ZERO", Kind.INVALID


class PlaceUnknown(DomainError):
    """A plant has no such place."""

    reason, kind = "PLACE_UNKNOWN", Kind.INVALID


class SamePlace(DomainError):
    """A transfer must lead from one place to another."""

    reason, kind = "SAME_PLACE", Kind.INVALID


class OpeningBalanceLate(DomainError):
    """The ledger knows movements of this item, lot and place already."""

    reason, kind = "OPENING_BALANCE_LATE", Kind.PRECONDITION


class ReceiptExceedsStock(DomainError):
    """The warehouse took in more than the plant's place holds."""

    reason, kind = "RECEIPT_EXCEEDS_STOCK", Kind.PRECONDITION


class TimeInFuture(DomainError):
    """The clock of who says it is ahead of ours by more than five minutes."""

    reason, kind = "TIME_IN_FUTURE", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot of an item, and the work order that made it (empty for bought lots), with that order's trace.

    `make_time`: when the ledger first knew it.
    """

    plant_id: str
    item_id: str
    lot_id: str
    work_order_id: str
    traceparent: str
    make_time: datetime

    @property
    def order_key(self) -> str:
        """What its facts are kept in order for."""
        return self.work_order_id or f"lot:{self.item_id}:{self.lot_id}"


@dataclass(frozen=True, slots=True)
class Stock:
    plant_id: str
    item_id: str
    lot_id: str
    location_id: str
    quantity: Quantity

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.plant_id, self.item_id, self.lot_id, self.location_id


@dataclass(frozen=True, slots=True)
class Transaction:
    """One line of the ledger; `quantity` is signed, above zero is into the place."""

    transaction_id: str
    plant_id: str
    item_id: str
    lot_id: str
    location_id: str
    movement: Movement
    quantity: Quantity
    work_order_id: str
    document_id: str
    occur_time: datetime
    record_time: datetime
    reason_code: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.plant_id, self.item_id, self.lot_id, self.location_id


def post(lines: Sequence[Transaction], stocks: Sequence[Stock]) -> list[Stock]:
    """Stock after the lines. A place may go below zero: what the plant did, it did, and a variance shows it."""
    after = {stock.key: stock for stock in stocks}
    for line in lines:
        before = after.get(line.key) or Stock(*line.key, line.quantity.zero())
        after[line.key] = replace(before, quantity=before.quantity + line.quantity)
    return [after[key] for key in sorted({line.key for line in lines})]


def require_positive(field: str, quantity: Quantity) -> None:
    if quantity.value <= 0:
        raise QuantityNotPositive(field=field, value=quantity)


def require_past(occur_time: datetime, now: datetime) -> None:
    if occur_time > now + CLOCK_SKEW:
        raise TimeInFuture(occur_time=occur_time.isoformat())


def require_place(location_id: str) -> None:
    if location_id not in PLACES:
        raise PlaceUnknown(location_id=location_id, known=" ".join(PLACES))


def require_two_places(from_location_id: str, to_location_id: str) -> None:
    require_place(from_location_id)
    require_place(to_location_id)
    if from_location_id == to_location_id:
        raise SamePlace(location_id=from_location_id)


def require_change(field: str, quantity: Quantity) -> None:
    if not quantity.value:
        raise QuantityZero(field=field)


def require_unit(quantity: Quantity, stocks: Sequence[Stock]) -> None:
    """The item's unit is that of what the ledger has of it, wherever it is: one place must not be counted in another."""
    for stock in stocks:
        if stock.quantity.unit_code != quantity.unit_code:
            raise UnitMismatch(unit_code=quantity.unit_code, other=stock.quantity.unit_code)
