"""The gateway's words on the wire and in the domain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from isthmus.gateway.v1 import erp_postings_pb2, gateway_events_pb2
from isthmus.production.v1.production_events_pb2 import (
    ConfirmationReversed,
    OperationConfirmed,
    WorkOrderCompleted,
    WorkOrderTotals,
)
from servicekit import foreign
from servicekit.domain import BusinessKey
from servicekit.postings import Posting, PostingOutcome
from servicekit.use_case import PlannedPosting
from servicekit.wire import date_of, quantity_of
from services.gateway.domain.erp_order import ErpOrder, Step
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
        source_record=foreign.shown(seen.source),
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
