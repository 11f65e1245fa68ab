"""Holds and inspections on their way into the ERP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from isthmus.gateway.v1 import erp_postings_pb2
from isthmus.inventory.v1.inventory_events_pb2 import LotHeld, LotReleased
from isthmus.quality.v1.inspection_pb2 import Disposition, Inspection
from isthmus.quality.v1.quality_events_pb2 import DispositionDecided, InspectionAdvanced
from servicekit.facts import EventMeta
from servicekit.use_case import PlannedPosting
from servicekit.wire import quantity_message, quantity_of
from services.gateway.domain.erp_inspection import ErpInspection
from services.gateway.domain.erp_order import ErpOrder
from services.gateway.domain.held_lot import HeldLot
from services.gateway.wire import WMS, erp_of


def _block_lot(event: LotHeld | LotReleased, meta: EventMeta) -> PlannedPosting:
    """The fact's own id makes each word about a lot a document of its own."""
    said = event.hold
    is_blocked = isinstance(event, LotHeld)
    payload = erp_postings_pb2.BlockLot(
        plant_id=said.plant_id,
        item_id=said.item_id,
        lot_id=said.lot_id,
        is_blocked=is_blocked,
        reason=said.hold_reason if is_blocked else said.release_reason,
    )
    return PlannedPosting(WMS, "block_lot", said.plant_id, meta.order_key, meta.event_id, payload)


@dataclass(frozen=True, slots=True)
class HoldInErp:
    """A lot may not be used. `lot` is as new: what is known of it already decides."""

    lot: HeldLot
    traceparent: str
    block: PlannedPosting | None = None  # the warehouse's part of it


@dataclass(frozen=True, slots=True)
class ReleaseInErp:
    """A hold of a lot is over; another one may stand."""

    plant_id: str
    item_id: str
    lot_id: str
    work_order_id: str
    release_reason: str
    is_available: bool
    traceparent: str
    unblock: PlannedPosting | None = None


@dataclass(frozen=True, slots=True)
class InspectInErp:
    """What may be done with a lot was decided. `is_decided`: not only that it is pending."""

    inspection_id: str
    work_order_id: str
    inspection: Inspection
    is_decided: bool


def hold(event: LotHeld, meta: EventMeta) -> HoldInErp:
    said = event.hold
    amounts = [quantity_of(stock.quantity) for stock in event.stocks]
    quantity = sum(amounts[1:], amounts[0]) if amounts else None
    lot = HeldLot(
        said.plant_id, said.item_id, said.lot_id, said.work_order_id, quantity, said.hold_reason, True, False, 0
    )
    return HoldInErp(lot, meta.traceparent, _block_lot(event, meta))


def release(event: LotReleased, meta: EventMeta) -> ReleaseInErp:
    said = event.hold
    return ReleaseInErp(
        said.plant_id,
        said.item_id,
        said.lot_id,
        said.work_order_id,
        said.release_reason,
        event.is_available,
        meta.traceparent,
        _block_lot(event, meta) if event.is_available else None,
    )


def inspect(event: DispositionDecided | InspectionAdvanced) -> InspectInErp:
    said = event.inspection
    is_decided = said.disposition in (Disposition.DISPOSITION_PASSED, Disposition.DISPOSITION_FAILED)
    return InspectInErp(said.inspection_id, said.work_order_id, said, is_decided)


def hold_posting(lot: HeldLot) -> PlannedPosting:
    payload = erp_postings_pb2.HoldLot(item_id=lot.item_id, lot_id=lot.lot_id, hold_reason=lot.hold_reason)
    if lot.quantity is not None:
        payload.quantity.CopyFrom(quantity_message(lot.quantity))
    return _lot_posting(lot, "hold_lot", f"hold-{lot.round}", payload)


def release_posting(lot: HeldLot, release_reason: str) -> PlannedPosting:
    payload = erp_postings_pb2.ReleaseLot(item_id=lot.item_id, lot_id=lot.lot_id, release_reason=release_reason)
    return _lot_posting(lot, "release_lot", f"release-{lot.round}", payload)


def _lot_posting(lot: HeldLot, kind: str, step: str, payload: Any) -> PlannedPosting:
    key = f"{lot.plant_id}~{lot.item_id}~{lot.lot_id}/{step}"
    return PlannedPosting(erp_of(lot.plant_id), kind, lot.plant_id, lot.order_key, key, payload)


def erp_inspection(order: ErpOrder, inspection: Inspection, known: ErpInspection | None) -> ErpInspection:
    """The decision as it will be posted: results of the laboratory, and what the historian showed, by characteristic."""
    payload = erp_postings_pb2.RecordInspection(
        inspection_id=inspection.inspection_id,
        erp_order_number=order.erp_order_number,
        item_id=inspection.item_id,
        lot_id=inspection.lot_id,
        disposition=inspection.disposition,
        disposition_reasons=inspection.disposition_reasons,
    )
    for result in inspection.results:
        payload.points.add(
            characteristic_id=result.characteristic_id, value=result.value, is_within_limits=result.is_within_limits
        )
    for evidence in inspection.evidences:
        payload.points.add(characteristic_id=evidence.characteristic_id, is_within_limits=evidence.is_within_limits)
    content = json_format.MessageToJson(payload, indent=None)
    return ErpInspection(
        inspection.inspection_id, order.work_order_id, content, False, known.round if known is not None else 0
    )


def inspection_posting(order: ErpOrder, decided: ErpInspection) -> PlannedPosting:
    payload = json_format.Parse(decided.content, erp_postings_pb2.RecordInspection())
    key = f"{decided.inspection_id}/{decided.round}"
    return PlannedPosting(
        erp_of(order.plant_id), "record_inspection", order.plant_id, order.work_order_id, key, payload
    )
