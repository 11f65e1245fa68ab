"""Which lots a delivery gets: deliveries in the order they are planned, lots oldest first, held ones not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from servicekit.domain import Quantity
from services.inventory.domain.shipment import Shipment


@dataclass(frozen=True, slots=True)
class FreeLot:
    """What of a lot the warehouse can pick. `make_time`: when the ledger first knew the lot."""

    item_id: str
    lot_id: str
    quantity: Quantity
    make_time: datetime


@dataclass(frozen=True, slots=True)
class AllocatedLot:
    item_id: str
    lot_id: str  # empty for items without lots
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Shortage:
    """How much of an item no free stock covers."""

    item_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Allocation:
    """What an open delivery gets and what it lacks. A delivery that left has neither."""

    shipment_id: str
    plant_id: str
    allocated_lots: tuple[AllocatedLot, ...] = ()
    shortages: tuple[Shortage, ...] = ()


@dataclass(frozen=True, slots=True)
class AllocationMark:
    """A plant's allocations are as of `told` of `changes` changes to its stock, holds and deliveries."""

    plant_id: str
    changes: int
    told: int


def allocate(plant_id: str, shipments: Iterable[Shipment], free: Iterable[FreeLot]) -> list[Allocation]:
    """All open deliveries of a plant, by its own calendar: planned first, then by number."""
    left = {(lot.item_id, lot.lot_id): lot.quantity for lot in free}
    queue: dict[str, list[FreeLot]] = {}
    for lot in sorted(free, key=lambda one: (one.make_time, one.lot_id)):
        queue.setdefault(lot.item_id, []).append(lot)
    found = []
    for shipment in sorted(shipments, key=_turn):
        lots: list[AllocatedLot] = []
        shortages = []
        for line in shipment.lines:
            open_quantity, taken = _take(line.quantity, queue.get(line.item_id, []), left)
            lots += taken
            if open_quantity.value:
                shortages.append(Shortage(line.item_id, open_quantity))
        found.append(Allocation(shipment.shipment_id, plant_id, tuple(lots), tuple(shortages)))
    return found


def _turn(shipment: Shipment) -> tuple[date, int, str]:
    return shipment.planned_date or date.max, len(shipment.erp_delivery_number), shipment.erp_delivery_number


def _take(
    wanted: Quantity, lots: Sequence[FreeLot], left: dict[tuple[str, str], Quantity]
) -> tuple[Quantity, list[AllocatedLot]]:
    """What stays open, and what was taken off `left`. Stock in another unit than ordered covers nothing."""
    taken = []
    for lot in lots:
        key = lot.item_id, lot.lot_id
        if left[key].unit_code != wanted.unit_code:
            continue
        part = Quantity(min(wanted.value, max(left[key].value, Decimal(0))), wanted.unit_code)
        if part.value:
            taken.append(AllocatedLot(lot.item_id, lot.lot_id, part))
            left[key], wanted = left[key] - part, wanted - part
    return wanted, taken
