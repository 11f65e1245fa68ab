"""The inventory ledger: lines that are never changed, and stock that is always their sum."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from servicekit.domain import DomainError, Kind, Quantity

CLOCK_SKEW = timedelta(minutes=5)  # how far a warehouse's clock may be ahead of ours
STORAGE, OUTPUT, WAREHOUSE, SCRAP = "storage", "output", "warehouse", "scrap"  # places of a plant


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


class OpeningBalanceLate(DomainError):
    """The ledger knows movements of this item, lot and place already."""

    reason, kind = "OPENING_BALANCE_LATE", Kind.PRECONDITION


class ReceiptExceedsStock(DomainError):
    """The warehouse took in more than the plant's place holds."""

    reason, kind = "RECEIPT_EXCEEDS_STOCK", Kind.PRECONDITION


class TimeInFuture(DomainError):
    """The warehouse's clock is ahead of ours by more than five minutes."""

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
