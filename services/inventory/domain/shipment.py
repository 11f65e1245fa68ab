"""The shipment: a customer delivery that the ERP waits for and the warehouse ships."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from servicekit.domain import DomainError, Kind, Quantity, UnitMismatch
from services.inventory.domain.ledger import require_positive


class ShipmentState(enum.Enum):
    ADVISED = "advised"
    SHIPPED = "shipped"


class ShipmentMissing(DomainError):
    """There is no shipment of this id."""

    reason, kind = "SHIPMENT_MISSING", Kind.MISSING


class ShipmentExists(DomainError):
    """A shipment of this id exists from another document."""

    reason, kind = "SHIPMENT_EXISTS", Kind.EXISTS


class ShipmentClosed(DomainError):
    """The shipment was shipped before."""

    reason, kind = "SHIPMENT_CLOSED", Kind.PRECONDITION


class ShipmentLineMismatch(DomainError):
    """What left is not what was ordered."""

    reason, kind = "SHIPMENT_LINE_MISMATCH", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class Line:
    item_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class ShippedLot:
    item_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Shipment:
    shipment_id: str
    plant_id: str
    erp_delivery_number: str
    customer_name: str
    planned_date: date | None
    lines: tuple[Line, ...]
    state: ShipmentState
    shipped_lots: tuple[ShippedLot, ...]
    traceparent: str
    version: int

    def ship(self, lots: tuple[ShippedLot, ...]) -> Shipment:
        """What left must be what was ordered, item by item."""
        if self.state is ShipmentState.SHIPPED:
            raise ShipmentClosed(shipment_id=self.shipment_id, state=self.state)
        for lot in lots:
            require_positive("shipped_lots.quantity", lot.quantity)
        ordered = _by_item([(line.item_id, line.quantity) for line in self.lines])
        shipped = _by_item([(lot.item_id, lot.quantity) for lot in lots])
        for item_id in sorted({*ordered, *shipped}):
            want, have = ordered.get(item_id), shipped.get(item_id)
            if want is not None and have is not None and want[1] != have[1]:
                raise UnitMismatch(unit_code=have[1], other=want[1])
            if want != have:
                raise ShipmentLineMismatch(
                    shipment_id=self.shipment_id, item_id=item_id, ordered=_text(want), shipped=_text(have)
                )
        return replace(self, state=ShipmentState.SHIPPED, shipped_lots=lots, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class LotShipment:
    """How much of a lot left with a delivery: whom to call when the lot fails after all."""

    plant_id: str
    item_id: str
    lot_id: str
    shipment_id: str
    erp_delivery_number: str
    customer_name: str
    quantity: Quantity


def lot_shipments(shipment: Shipment) -> list[LotShipment]:
    """One a lot, however many picks it was in."""
    sums: dict[tuple[str, str], Quantity] = {}
    for lot in shipment.shipped_lots:
        key = lot.item_id, lot.lot_id
        sums[key] = sums[key] + lot.quantity if key in sums else lot.quantity
    whose = shipment.shipment_id, shipment.erp_delivery_number, shipment.customer_name
    return [LotShipment(shipment.plant_id, *key, *whose, quantity) for key, quantity in sorted(sums.items())]


def _by_item(lines: list[tuple[str, Quantity]]) -> dict[str, tuple[Decimal, str]]:
    total: dict[str, Decimal] = defaultdict(Decimal)
    units: dict[str, str] = {}
    for item_id, quantity in lines:
        total[item_id] += quantity.value
        units.setdefault(item_id, quantity.unit_code)
    return {item_id: (value, units[item_id]) for item_id, value in total.items()}


def _text(amount: tuple[Decimal, str] | None) -> str:
    return f"{amount[0]} {amount[1]}" if amount else "nothing"
