"""The gateway's words on the wire and in the domain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from isthmus.gateway.v1 import erp_postings_pb2, gateway_events_pb2
from isthmus.inventory.v1.inventory_events_pb2 import (
    LotHeld,
    LotReleased,
    OutputStored,
    ShipmentAdvised,
    ShipmentConfirmed,
)
from isthmus.maintenance.v1.maintenance_events_pb2 import DowntimeRecorded, SparePartNeeded, WorkRequestOpened
from isthmus.masterdata.v1.masterdata_events_pb2 import PartnerChanged
from isthmus.production.v1.production_events_pb2 import (
    ConfirmationReversed,
    OperationConfirmed,
    WorkOrderCompleted,
    WorkOrderTotals,
)
from isthmus.quality.v1.inspection_pb2 import Disposition, Inspection
from isthmus.quality.v1.quality_events_pb2 import (
    DispositionDecided,
    InspectionAdvanced,
    InspectionOpened,
    NonconformanceOpened,
)
from servicekit import foreign
from servicekit.domain import BusinessKey
from servicekit.facts import EventMeta
from servicekit.postings import Posting, PostingOutcome
from servicekit.use_case import PlannedPosting
from servicekit.wire import date_of, quantity_message, quantity_of
from services.gateway.domain.erp_inspection import ErpInspection
from services.gateway.domain.erp_order import ErpOrder, Step
from services.gateway.domain.held_lot import HeldLot
from services.gateway.domain.partner_feed import PartnerFeed
from services.gateway.erp.canonical import ErpOrder as SeenOrder

WMS, QMS, CMMS = "wms", "qms", "cmms"
MAINTENANCE = "maintenance"  # our own service, asked by postings so that what it refuses stands at a desk
COMPLETE_WORK_REQUEST = "complete_work_request"
OPEN_WORK_REQUEST = "open_work_request"  # maintenance hears the answer by this name
ORDER_KINDS = frozenset({"complete_work_order", "correct_work_order", "announce_receipt", "ask_verdict", "open_case"})
LOT_KINDS = frozenset(  # of an order, where one made the lot
    {"hold_lot", "release_lot", "record_inspection", "block_lot", "adjust_stock", "transfer_stock"}
)
OF_NO_ORDER = ("lot:", "item:")  # how the order keys of other lots and items begin


def erp_of(plant_id: str) -> str:
    """The partner id, and the source system, of a plant's ERP."""
    return f"erp-{plant_id}"


def work_order_id(plant_id: str, erp_order_number: str) -> str:
    return f"{plant_id}-{erp_order_number}"


def shipment_id(plant_id: str, erp_delivery_number: str) -> str:
    """As inventory names it: see shipment.proto."""
    return f"{plant_id}-delivery-{erp_delivery_number}"


def order_key(plant_id: str, document_type: str, number: str, line: str = "") -> BusinessKey:
    return BusinessKey(erp_of(plant_id), document_type, number, line)


@dataclass(frozen=True, slots=True)
class HearPartner:
    """How far a partner is heard with this, and what it asks of our own services."""

    feed: PartnerFeed
    posting: PlannedPosting | None


def digest_of(message: Message) -> str:
    """Names a version of a record, so that each version is a document of its own."""
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class EndSynchronisation:
    """`feed` remembers which round of the schedule is done."""

    feed: PartnerFeed
    told: gateway_events_pb2.MasterDataSynchronised


@dataclass(frozen=True, slots=True)
class NoticeOrder:
    seen: SeenOrder
    erp_release: str


@dataclass(frozen=True, slots=True)
class RecordTold:
    """The plant side was told of an order's content, or refused it."""

    work_order_id: str
    step: Step
    content: str
    refused_step: str = ""
    refusal_reason: str = ""
    refusal_text: str = ""


@dataclass(frozen=True, slots=True)
class RecordDelay:
    """The plant side can't take an order yet."""

    work_order_id: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class AdvanceErp:
    plant_id: str
    watermark: str
    release: str


@dataclass(frozen=True, slots=True)
class CompleteInErp:
    work_order_id: str
    totals: WorkOrderTotals


@dataclass(frozen=True, slots=True)
class CorrectInErp:
    """A confirmation or reversal that came when the order may be complete in the ERP already."""

    work_order_id: str
    document_id: str
    totals: WorkOrderTotals


@dataclass(frozen=True, slots=True)
class AskPartner:
    """A change that follows from a fact as it is."""

    posting: PlannedPosting
    traceparent: str


def content_of(seen: SeenOrder) -> str:
    """What the plant must know of an order: quantity and dates. Allocations change under our own postings."""
    order = seen.work_order
    days = (date_of(order, "planned_start_date"), date_of(order, "due_date"))
    return "|".join([str(quantity_of(order.planned_quantity)), *(day.isoformat() if day else "" for day in days)])


def erp_order_noticed(order: ErpOrder, seen: SeenOrder, erp_release: str) -> Any:
    return gateway_events_pb2.ErpOrderNoticed(
        plant_id=order.plant_id,
        work_order_id=order.work_order_id,
        erp_order_number=order.erp_order_number,
        item_id=order.item_id,
        quantity=seen.work_order.planned_quantity,
        erp_release=erp_release,
        source_record=foreign.shown(seen.source) if seen.source is not None else None,
    )


def complete(event: WorkOrderCompleted) -> CompleteInErp:
    return CompleteInErp(event.work_order.work_order_id, event.totals)


def correct(event: OperationConfirmed | ConfirmationReversed) -> CorrectInErp:
    """One confirmation's amounts as totals; a reversal's come with the opposite sign."""
    said, totals = event.confirmation, WorkOrderTotals()
    if event.is_last_operation and quantity_of(said.good_quantity).value:
        totals.outputs.add(lot_id=said.output_lot_id, quantity=said.good_quantity)
    totals.consumptions.extend(said.consumptions)
    suffix = "/reversed" if isinstance(event, ConfirmationReversed) else ""
    return CorrectInErp(said.work_order_id, f"{said.confirmation_id}{suffix}", totals)


def complete_posting(order: ErpOrder, totals: WorkOrderTotals) -> PlannedPosting:
    payload = erp_postings_pb2.CompleteWorkOrder(
        erp_order_number=order.erp_order_number, item_id=order.item_id, totals=totals
    )
    partner = erp_of(order.plant_id)
    key = f"{order.work_order_id}/complete"
    return PlannedPosting(partner, "complete_work_order", order.plant_id, order.work_order_id, key, payload)


def correct_posting(order: ErpOrder, command: CorrectInErp, held_lot_ids: Iterable[str] = ()) -> PlannedPosting:
    payload = erp_postings_pb2.CorrectWorkOrder(
        erp_order_number=order.erp_order_number, item_id=order.item_id, totals=command.totals, held_lot_ids=held_lot_ids
    )
    partner = erp_of(order.plant_id)
    key = f"{order.work_order_id}/{command.document_id}"
    return PlannedPosting(partner, "correct_work_order", order.plant_id, order.work_order_id, key, payload)


def announce_receipt(event: OutputStored, meta: EventMeta) -> AskPartner:
    payload = erp_postings_pb2.AnnounceReceipt(
        plant_id=event.plant_id, item_id=event.item_id, lot_id=event.lot_id, quantity=event.quantity
    )
    key = event.document_id
    planned = PlannedPosting(WMS, "announce_receipt", event.plant_id, event.work_order_id, key, payload)
    return AskPartner(planned, meta.traceparent)


def announce_shipment(event: ShipmentAdvised, meta: EventMeta) -> AskPartner:
    shipment = event.shipment
    payload = erp_postings_pb2.AnnounceShipment(shipment=shipment)
    planned = PlannedPosting(
        WMS, "announce_shipment", shipment.plant_id, shipment.shipment_id, shipment.shipment_id, payload
    )
    return AskPartner(planned, meta.traceparent)


def ship_delivery(event: ShipmentConfirmed, meta: EventMeta) -> AskPartner:
    shipment = event.shipment
    payload = erp_postings_pb2.ShipDelivery(
        erp_delivery_number=shipment.erp_delivery_number, shipped_lots=shipment.shipped_lots
    )
    key = f"{shipment.shipment_id}/ship"
    planned = PlannedPosting(
        erp_of(shipment.plant_id), "ship_delivery", shipment.plant_id, shipment.shipment_id, key, payload
    )
    return AskPartner(planned, meta.traceparent)


def tell_partner(event: PartnerChanged, meta: EventMeta) -> AskPartner:
    """The fact's own id makes each word about a partner a document of its own."""
    payload = erp_postings_pb2.TellPartner(plant_id=meta.plant_id, partner=event.partner)
    key = f"{meta.plant_id}/{meta.order_key}"
    return AskPartner(PlannedPosting(WMS, "tell_partner", meta.plant_id, key, meta.event_id, payload), meta.traceparent)


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


def ask_verdict(event: InspectionOpened, meta: EventMeta) -> AskPartner:
    said = event.inspection
    key = said.inspection_id
    return AskPartner(
        PlannedPosting(QMS, "ask_verdict", said.plant_id, said.work_order_id, key, said), meta.traceparent
    )


def open_case(event: NonconformanceOpened, meta: EventMeta) -> AskPartner:
    said = event.nonconformance
    key = said.nonconformance_id
    return AskPartner(PlannedPosting(QMS, "open_case", said.plant_id, said.work_order_id, key, said), meta.traceparent)


def open_work_request(event: WorkRequestOpened, meta: EventMeta) -> AskPartner:
    said = event.work_request
    planned = PlannedPosting(CMMS, OPEN_WORK_REQUEST, said.plant_id, meta.order_key, said.work_request_id, said)
    return AskPartner(planned, meta.traceparent)


def _order_of(posting: Posting) -> str:
    is_order = posting.kind in ORDER_KINDS or (
        posting.kind in LOT_KINDS and not posting.order_key.startswith(OF_NO_ORDER)
    )
    return posting.order_key if is_order else ""


def posting_fact(outcome: PostingOutcome, at: datetime) -> Any:
    posting, sent = outcome.posting, outcome.sent
    common = {
        "posting_id": posting.posting_id,
        "plant_id": posting.plant_id,
        "partner_id": posting.partner_id,
        "posting_kind": posting.kind,
        "work_order_id": _order_of(posting),
    }
    if outcome.state == "acknowledged":
        figures = [
            gateway_events_pb2.PostingFigure(name=name, value=value) for name, value in sorted(outcome.answer.items())
        ]
        return gateway_events_pb2.PostingAcknowledged(
            **common, sent_record=sent, foreign_number=outcome.foreign_id, figures=figures
        )
    if outcome.state == "refused":
        return gateway_events_pb2.PostingRefused(
            **common, sent_record=sent, refusal_reason=outcome.reason, refusal_text=outcome.text
        )
    return gateway_events_pb2.PostingUnknown(**common, sent_record=sent)


def erp_order_delayed(order: ErpOrder, command: RecordDelay) -> Any:
    """The plant side does not take an order yet."""
    return gateway_events_pb2.ErpOrderDelayed(
        plant_id=order.plant_id,
        work_order_id=order.work_order_id,
        erp_order_number=order.erp_order_number,
        delay_reason=command.reason,
        delay_text=command.text[:1000],
    )


def step_refused(order: ErpOrder, command: RecordTold) -> Any:
    """The plant side refused what the ERP changed."""
    return gateway_events_pb2.PostingRefused(
        posting_id=f"{command.work_order_id}/{command.refused_step}",
        plant_id=order.plant_id,
        partner_id="production",
        posting_kind=f"{command.refused_step}_work_order",
        work_order_id=order.work_order_id,
        refusal_reason=command.refusal_reason,
        refusal_text=command.refusal_text,
    )


# --- holds, inspections and maintenance


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


def reserve_spare_part(event: SparePartNeeded, meta: EventMeta) -> AskPartner:
    part = event.spare_part
    payload = erp_postings_pb2.ReserveSparePart(
        work_request_id=event.work_request_id,
        asset_id=event.asset_id,
        item_id=part.item_id,
        quantity=part.quantity,
        cost_centre_id=event.cost_centre_id,
    )
    key = f"{event.work_request_id}/{part.item_id}"
    return _of_asset("reserve_spare_part", event.plant_id, event.asset_id, key, payload, meta)


def record_downtime(event: DowntimeRecorded, meta: EventMeta) -> AskPartner:
    said = event.downtime
    payload = erp_postings_pb2.RecordDowntime(
        downtime_id=said.downtime_id,
        asset_id=said.asset_id,
        line_id=said.line_id,
        fault_code=said.fault_code,
        start_time=said.start_time,
        end_time=said.end_time,
        cost_centre_id=said.cost_centre_id,
    )
    key = f"{said.plant_id}-{said.downtime_id}"
    return _of_asset("record_downtime", said.plant_id, said.asset_id, key, payload, meta)


def _of_asset(kind: str, plant_id: str, asset_id: str, key: str, payload: Any, meta: EventMeta) -> AskPartner:
    return AskPartner(
        PlannedPosting(erp_of(plant_id), kind, plant_id, f"asset:{asset_id}", key, payload), meta.traceparent
    )
