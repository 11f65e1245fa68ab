"""Holds, dispositions and allocations on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from isthmus.inventory.v1 import hold_pb2, inventory_service_pb2
from isthmus.quality.v1 import inspection_pb2, test_specification_pb2
from servicekit.domain import BusinessKey
from servicekit.facts import EventMeta
from servicekit.wire import date_of, key_of_message, quantity_message, timestamp
from services.inventory.domain.allocation import Allocation
from services.inventory.domain.hold import Hold, InspectedItem, LotDisposition
from services.inventory.domain.shipment import LotShipment
from services.inventory.wire import CAUSES, DISPOSITIONS


@dataclass(frozen=True, slots=True)
class DisposeLot:
    """What quality says of a lot now."""

    said: LotDisposition
    traceparent: str


@dataclass(frozen=True, slots=True)
class HoldLot:
    business_key: BusinessKey
    plant_id: str
    item_id: str
    lot_id: str
    hold_reason: str


@dataclass(frozen=True, slots=True)
class ReleaseLot:
    business_key: BusinessKey
    plant_id: str
    hold_id: str
    release_reason: str


@dataclass(frozen=True, slots=True)
class Reallocate:
    """All allocations of a plant as they were computed from what stood after so many changes."""

    plant_id: str
    changes: int
    allocations: tuple[Allocation, ...]
    before: tuple[Allocation, ...]


def inspected_item(said: test_specification_pb2.TestSpecification, meta: EventMeta) -> InspectedItem:
    begin, end = date_of(said, "effective_start_date"), date_of(said, "effective_end_date")
    return InspectedItem(meta.plant_id, said.test_specification_id, said.item_id, begin or date.min, end)


def dispose_lot(said: inspection_pb2.Inspection, meta: EventMeta) -> DisposeLot | None:
    """None: a disposition that we do not know, or an output without a lot."""
    disposition = DISPOSITIONS.get(said.disposition)
    if disposition is None or not said.lot_id:
        return None
    reason = "; ".join(said.disposition_reasons) or f"inspection {said.inspection_id} is {disposition.value}"
    lot = meta.plant_id, said.item_id, said.lot_id
    heard = LotDisposition(*lot, said.work_order_id, said.inspection_id, disposition, reason[:512])
    return DisposeLot(heard, meta.traceparent)


def hold_lot(request: inventory_service_pb2.HoldLotRequest) -> HoldLot:
    key = key_of_message(request.business_key)
    return HoldLot(key, request.plant_id, request.item_id, request.lot_id, request.hold_reason)


def release_lot(request: inventory_service_pb2.ReleaseLotRequest) -> ReleaseLot:
    return ReleaseLot(key_of_message(request.business_key), request.plant_id, request.hold_id, request.release_reason)


def hold_message(hold: Hold) -> hold_pb2.Hold:
    return hold_pb2.Hold(
        hold_id=hold.hold_id,
        plant_id=hold.plant_id,
        item_id=hold.item_id,
        lot_id=hold.lot_id,
        work_order_id=hold.work_order_id,
        cause=CAUSES[hold.cause],
        hold_reason=hold.hold_reason,
        hold_time=timestamp(hold.hold_time),
        release_time=timestamp(hold.release_time) if hold.release_time is not None else None,
        release_reason=hold.release_reason,
    )


def recalled_message(left: LotShipment) -> hold_pb2.RecalledShipment:
    return hold_pb2.RecalledShipment(
        shipment_id=left.shipment_id,
        erp_delivery_number=left.erp_delivery_number,
        customer_name=left.customer_name,
        quantity=quantity_message(left.quantity),
    )


def allocation_message(allocation: Allocation) -> hold_pb2.Allocation:
    message = hold_pb2.Allocation(shipment_id=allocation.shipment_id, plant_id=allocation.plant_id)
    for lot in allocation.allocated_lots:
        message.allocated_lots.add(item_id=lot.item_id, lot_id=lot.lot_id, quantity=quantity_message(lot.quantity))
    for lacking in allocation.shortages:
        message.shortages.add(item_id=lacking.item_id, quantity=quantity_message(lacking.quantity))
    return message
