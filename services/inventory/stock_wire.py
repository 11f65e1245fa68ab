"""Availability, and stock that people set right or move, on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isthmus.inventory.v1 import availability_pb2, inventory_events_pb2, inventory_service_pb2
from servicekit.domain import BusinessKey, Quantity
from servicekit.wire import key_of_message, quantity_message, quantity_of, time_of
from services.inventory.domain.availability import Availability


@dataclass(frozen=True, slots=True)
class TellAvailability:
    """Items of a plant of which another amount can be used than was said last."""

    plant_id: str
    found: tuple[Availability, ...]


@dataclass(frozen=True, slots=True)
class AdjustStock:
    """`quantity` is signed: above zero is into the place. `lot_id` is empty for items without lots."""

    business_key: BusinessKey
    plant_id: str
    item_id: str
    lot_id: str
    location_id: str
    quantity: Quantity
    adjustment_reason: str
    occur_time: datetime

    @property
    def document_id(self) -> str:
        return f"adjustment/{self.business_key.id}"


@dataclass(frozen=True, slots=True)
class TransferStock:
    business_key: BusinessKey
    plant_id: str
    item_id: str
    lot_id: str
    from_location_id: str
    to_location_id: str
    quantity: Quantity
    transfer_reason: str
    occur_time: datetime

    @property
    def document_id(self) -> str:
        return f"transfer/{self.business_key.id}"


def adjust_stock(request: inventory_service_pb2.AdjustStockRequest) -> AdjustStock:
    return AdjustStock(
        key_of_message(request.business_key),
        request.plant_id,
        request.item_id,
        request.lot_id,
        request.location_id,
        quantity_of(request.quantity),
        request.adjustment_reason,
        time_of(request.occur_time),
    )


def transfer_stock(request: inventory_service_pb2.TransferStockRequest) -> TransferStock:
    return TransferStock(
        key_of_message(request.business_key),
        request.plant_id,
        request.item_id,
        request.lot_id,
        request.from_location_id,
        request.to_location_id,
        quantity_of(request.quantity),
        request.transfer_reason,
        time_of(request.occur_time),
    )


def availability_message(availability: Availability) -> availability_pb2.MaterialAvailability:
    return availability_pb2.MaterialAvailability(
        plant_id=availability.plant_id,
        item_id=availability.item_id,
        on_hand=quantity_message(availability.on_hand),
        held=quantity_message(availability.held),
        allocated=quantity_message(availability.allocated),
        available=quantity_message(availability.available),
        version=availability.version,
    )


def stock_adjusted(command: AdjustStock, work_order_id: str) -> Any:
    return inventory_events_pb2.StockAdjusted(
        document_id=command.document_id,
        plant_id=command.plant_id,
        work_order_id=work_order_id,
        item_id=command.item_id,
        lot_id=command.lot_id,
        location_id=command.location_id,
        quantity=quantity_message(command.quantity),
        adjustment_reason=command.adjustment_reason,
    )


def stock_transferred(command: TransferStock, work_order_id: str) -> Any:
    return inventory_events_pb2.StockTransferred(
        document_id=command.document_id,
        plant_id=command.plant_id,
        work_order_id=work_order_id,
        item_id=command.item_id,
        lot_id=command.lot_id,
        from_location_id=command.from_location_id,
        to_location_id=command.to_location_id,
        quantity=quantity_message(command.quantity),
        transfer_reason=command.transfer_reason,
    )
