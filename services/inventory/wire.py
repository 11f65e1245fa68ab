"""Inventory's words on the wire and in the domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.inventory.v1 import (
    hold_pb2,
    inventory_events_pb2,
    inventory_service_pb2,
    inventory_transaction_pb2,
    shipment_pb2,
    stock_pb2,
)
from isthmus.production.v1.production_events_pb2 import ConfirmationReversed, OperationConfirmed
from isthmus.quality.v1 import inspection_pb2
from servicekit.domain import BusinessKey, Quantity
from servicekit.facts import EventMeta
from servicekit.foreign import source_of
from servicekit.wire import (
    date_message,
    date_of,
    key_of_message,
    plant_day,
    quantity_message,
    quantity_of,
    time_of,
    timestamp,
)
from services.inventory.domain.hold import Cause, Disposition
from services.inventory.domain.ledger import Lot, Movement, Stock, Transaction
from services.inventory.domain.shipment import Line, Shipment, ShipmentState, ShippedLot

MOVEMENTS = {
    movement: inventory_transaction_pb2.MovementType.Value(f"MOVEMENT_TYPE_{movement.name}") for movement in Movement
}
STATES = {
    ShipmentState.ADVISED: shipment_pb2.SHIPMENT_STATE_ADVISED,
    ShipmentState.SHIPPED: shipment_pb2.SHIPMENT_STATE_SHIPPED,
}

CAUSES = {cause: hold_pb2.HoldCause.Value(f"HOLD_CAUSE_{cause.name}") for cause in Cause}
DISPOSITIONS = {
    inspection_pb2.DISPOSITION_PENDING: Disposition.PENDING,
    inspection_pb2.DISPOSITION_PASSED: Disposition.PASSED,
    inspection_pb2.DISPOSITION_FAILED: Disposition.FAILED,
}


@dataclass(frozen=True, slots=True)
class OpenStock:
    business_key: BusinessKey
    plant_id: str
    item_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class ConfirmReceipt:
    business_key: BusinessKey
    plant_id: str
    item_id: str
    lot_id: str
    quantity: Quantity
    occur_time: datetime
    source: PlantRecord | None = None  # what was read; not part of what was said


@dataclass(frozen=True, slots=True)
class AdviseShipment:
    business_key: BusinessKey
    shipment_id: str
    plant_id: str
    erp_delivery_number: str
    customer_name: str
    planned_date: date | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ConfirmShipment:
    business_key: BusinessKey
    shipment_id: str
    shipped_lots: tuple[ShippedLot, ...]
    occur_time: datetime
    source: PlantRecord | None = None


@dataclass(frozen=True, slots=True)
class Used:
    item_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Lost:
    quantity: Quantity
    reason_code: str


@dataclass(frozen=True, slots=True)
class BookConfirmation:
    """A confirmation or its reversal (amounts then with the opposite sign), as production booked it."""

    document_id: str
    plant_id: str
    work_order_id: str
    item_id: str
    output_lot_id: str
    output: Quantity | None
    scraps: tuple[Lost, ...]
    consumptions: tuple[Used, ...]
    occur_time: datetime
    plant_day: date
    is_late: bool
    business_key: BusinessKey | None


def shipment_id(plant_id: str, erp_delivery_number: str) -> str:
    """ERPs number deliveries and orders alike: the id says which it is."""
    return f"{plant_id}-delivery-{erp_delivery_number}"


def open_stock(request: inventory_service_pb2.OpenStockRequest) -> OpenStock:
    key = key_of_message(request.business_key)
    return OpenStock(key, request.plant_id, request.item_id, request.lot_id, quantity_of(request.quantity))


def confirm_receipt(request: inventory_service_pb2.ConfirmReceiptRequest) -> ConfirmReceipt:
    return ConfirmReceipt(
        key_of_message(request.business_key),
        request.plant_id,
        request.item_id,
        request.lot_id,
        quantity_of(request.quantity),
        time_of(request.occur_time),
        source_of(request),
    )


def advise_shipment(request: inventory_service_pb2.AdviseShipmentRequest) -> AdviseShipment:
    said = request.shipment
    return AdviseShipment(
        key_of_message(request.business_key),
        shipment_id(said.plant_id, said.erp_delivery_number),
        said.plant_id,
        said.erp_delivery_number,
        said.customer_name,
        date_of(said, "planned_date"),
        tuple(Line(line.item_id, quantity_of(line.quantity)) for line in said.lines),
    )


def confirm_shipment(request: inventory_service_pb2.ConfirmShipmentRequest) -> ConfirmShipment:
    lots = tuple(ShippedLot(lot.item_id, lot.lot_id, quantity_of(lot.quantity)) for lot in request.shipped_lots)
    return ConfirmShipment(
        key_of_message(request.business_key),
        request.shipment_id,
        lots,
        time_of(request.occur_time),
        source_of(request),
    )


def book_confirmed(event: OperationConfirmed, meta: EventMeta) -> BookConfirmation:
    return _book(event, meta, event.confirmation.confirmation_id)


def book_reversed(event: ConfirmationReversed, meta: EventMeta) -> BookConfirmation:
    return _book(event, meta, f"{event.confirmation.confirmation_id}/reversed")


def _book(event: OperationConfirmed | ConfirmationReversed, meta: EventMeta, document_id: str) -> BookConfirmation:
    said = event.confirmation
    good = quantity_of(said.good_quantity)
    return BookConfirmation(
        document_id=document_id,
        plant_id=meta.plant_id,
        work_order_id=said.work_order_id,
        item_id=event.item_id,
        output_lot_id=said.output_lot_id,
        output=good if event.is_last_operation and good.value else None,
        scraps=tuple(Lost(quantity_of(s.quantity), s.reason_code) for s in said.scraps),
        consumptions=tuple(Used(c.item_id, c.lot_id, quantity_of(c.quantity)) for c in said.consumptions),
        occur_time=time_of(said.occur_time),
        plant_day=plant_day(said.shift_id, time_of(said.occur_time)),
        is_late=meta.is_late,
        business_key=meta.business_key,
    )


def stock_message(stock: Stock) -> stock_pb2.Stock:
    return stock_pb2.Stock(
        plant_id=stock.plant_id,
        item_id=stock.item_id,
        lot_id=stock.lot_id,
        location_id=stock.location_id,
        quantity=quantity_message(stock.quantity),
    )


def transaction_message(line: Transaction) -> inventory_transaction_pb2.InventoryTransaction:
    return inventory_transaction_pb2.InventoryTransaction(
        transaction_id=line.transaction_id,
        plant_id=line.plant_id,
        item_id=line.item_id,
        lot_id=line.lot_id,
        location_id=line.location_id,
        movement_type=MOVEMENTS[line.movement],
        quantity=quantity_message(line.quantity),
        work_order_id=line.work_order_id,
        document_id=line.document_id,
        occur_time=timestamp(line.occur_time),
        record_time=timestamp(line.record_time),
        reason_code=line.reason_code,
    )


def shipment_message(shipment: Shipment) -> shipment_pb2.Shipment:
    message = shipment_pb2.Shipment(
        shipment_id=shipment.shipment_id,
        plant_id=shipment.plant_id,
        erp_delivery_number=shipment.erp_delivery_number,
        customer_name=shipment.customer_name,
        planned_date=date_message(shipment.planned_date) if shipment.planned_date else None,
        state=STATES[shipment.state],
        etag=str(shipment.version),
    )
    for line in shipment.lines:
        message.lines.add(item_id=line.item_id, quantity=quantity_message(line.quantity))
    for lot in shipment.shipped_lots:
        message.shipped_lots.add(item_id=lot.item_id, lot_id=lot.lot_id, quantity=quantity_message(lot.quantity))
    return message


def inventory_moved(document_id: str, work_order_id: str, lines: Sequence[Transaction]) -> Any:
    return inventory_events_pb2.InventoryMoved(
        document_id=document_id, work_order_id=work_order_id, transactions=map(transaction_message, lines)
    )


def output_stored(command: BookConfirmation, output: Quantity) -> Any:
    return inventory_events_pb2.OutputStored(
        plant_id=command.plant_id,
        work_order_id=command.work_order_id,
        item_id=command.item_id,
        lot_id=command.output_lot_id,
        quantity=quantity_message(output),
        document_id=command.document_id,
    )


def goods_received(command: ConfirmReceipt, lot: Lot) -> Any:
    return inventory_events_pb2.GoodsReceived(
        plant_id=command.plant_id,
        item_id=command.item_id,
        lot_id=command.lot_id,
        quantity=quantity_message(command.quantity),
        work_order_id=lot.work_order_id,
        source_record=command.source,
    )


def output_shipped(shipment: Shipment, shipped: ShippedLot, lot: Lot, source: PlantRecord | None) -> Any:
    return inventory_events_pb2.OutputShipped(
        plant_id=shipment.plant_id,
        work_order_id=lot.work_order_id,
        shipment_id=shipment.shipment_id,
        erp_delivery_number=shipment.erp_delivery_number,
        item_id=shipped.item_id,
        lot_id=shipped.lot_id,
        quantity=quantity_message(shipped.quantity),
        source_record=source,
    )
