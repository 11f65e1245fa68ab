"""Facts in business words: one small function a fact type; what has none stands in no timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message

from isthmus.common.v1.quantity_pb2 import Quantity
from isthmus.edge.v1 import edge_events_pb2
from isthmus.gateway.v1 import gateway_events_pb2
from isthmus.inventory.v1 import inventory_events_pb2
from isthmus.production.v1 import production_events_pb2
from isthmus.quality.v1 import inspection_pb2, quality_events_pb2


@dataclass(frozen=True, slots=True)
class Told:
    """`numbers` are new names of the order; `item_id` if the fact says it."""

    work_order_id: str
    text: str
    numbers: Sequence[str] = ()
    item_id: str = ""
    is_alarm: bool = False
    is_variance: bool = False


UNITS = {
    "CEL": "degrees C",
    "P1": "%",
    "Q30": "pH",
    "C62": "pcs",
    "BX": "boxes",
    "KGM": "kg",
    "GRM": "g",
    "LTR": "l",
    "MTR": "m",
    "SEC": "s",
}


def amount(quantity: Quantity) -> str:
    return f"{quantity.value} {UNITS.get(quantity.unit_code, quantity.unit_code)}"


def _erp_order_noticed(e: Any) -> Told:
    text = f"ERP ({e.erp_release}) released order {e.erp_order_number}: {amount(e.quantity)} of {e.item_id}"
    return Told(e.work_order_id, text, [e.work_order_id, e.erp_order_number], e.item_id)


def _released(e: Any) -> Told:
    order = e.work_order
    text = f"production took the order: {amount(order.planned_quantity)}, {len(order.operations)} operations"
    numbers = [order.erp_order_number]
    if order.HasField("demand"):
        wanted = order.demand
        text += f", for sales order {wanted.sales_order_number}" + (
            f" of {wanted.partner_id}" if wanted.partner_id else ""
        )
        numbers.append(wanted.sales_order_number)
    return Told(order.work_order_id, text, numbers, order.item_id)


def _changed(e: Any) -> Told:
    due = e.work_order.due_date
    text = f"the ERP changed the order: {amount(e.work_order.planned_quantity)}, due {due.year}-{due.month:02}-{due.day:02}"
    return Told(e.work_order.work_order_id, text)


def _cancelled(e: Any) -> Told:
    return Told(e.work_order.work_order_id, f"the order was cancelled: {e.cancel_reason}")


def _accepted(e: Any) -> Told:
    words = {"release": f"MES accepted the order as {e.mes_order_number}", "change": "MES accepted the change"}
    text = words.get(e.accepted_step, f"MES accepted the {e.accepted_step}")
    return Told(e.work_order_id, text, [e.mes_order_number])


def _refused(e: Any) -> Told:
    return Told(e.work_order_id, f"MES refused the {e.refused_step}: {e.refusal_reason}", is_alarm=True)


def _dispatched(e: Any) -> Told:
    return Told(e.work_order.work_order_id, f"dispatched to the line as {e.work_order.mes_order_number}")


def _declined(e: Any) -> Told:
    text = f"production shows the refused {e.declined_step}: {e.decline_reason}"
    return Told(e.work_order.work_order_id, text, is_alarm=True)


def _reported(e: Any) -> Told:
    said = e.confirmation
    text = f"the plant reported operation {said.operation_sequence}: {amount(said.good_quantity)} good"
    return Told(said.work_order_id, text)


def _reversal_reported(e: Any) -> Told:
    return Told(e.work_order_id, f"the plant takes a confirmation back: {e.reversal_reason}")


def _confirmed(e: Any) -> Told:
    said = e.confirmation
    scrap = sum((Decimal(s.quantity.value) for s in said.scraps), Decimal(0))
    lost = f", {scrap} scrap" if scrap else ""
    lot = f", lot {said.output_lot_id}" if said.output_lot_id else ""
    text = f"operation {said.operation_sequence} booked: {amount(said.good_quantity)} good{lost}{lot}, shift {said.shift_id}"
    return Told(said.work_order_id, text, [said.output_lot_id] if said.output_lot_id else [])


def _reversed(e: Any) -> Told:
    said = e.confirmation
    return Told(said.work_order_id, f"operation {said.operation_sequence} reversed: {e.reversal_reason}")


def _order_held(e: Any) -> Told:
    return Told(e.work_order.work_order_id, f"the order is held: {'; '.join(e.work_order.hold_reasons)}", is_alarm=True)


def _order_resumed(e: Any) -> Told:
    return Told(e.work_order.work_order_id, "the order may go on: its lines are free")


def _completed(e: Any) -> Told:
    order = e.work_order
    text = f"order complete: {amount(order.good_quantity)} good, {amount(order.scrap_quantity)} scrap"
    return Told(order.work_order_id, text)


def _reopened(e: Any) -> Told:
    return Told(e.work_order.work_order_id, "order has open quantity again")


def _variance(e: Any) -> Told:
    text = (
        f"line and MES differ at operation {e.operation_sequence}: counted {amount(e.counted_good)} good and "
        f"{amount(e.counted_scrap)} scrap, confirmed {amount(e.confirmed_good)} and {amount(e.confirmed_scrap)}"
    )
    return Told(e.work_order_id, text, is_alarm=True, is_variance=True)


def _moved(e: Any) -> Told:
    return Told(e.work_order_id, f"inventory booked {len(e.transactions)} ledger lines")


def _stored(e: Any) -> Told:
    return Told(e.work_order_id, f"output in stock: {amount(e.quantity)}, lot {e.lot_id}", [e.lot_id])


def _received(e: Any) -> Told:
    return Told(e.work_order_id, f"warehouse took in {amount(e.quantity)}, lot {e.lot_id}")


def _shipped(e: Any) -> Told:
    text = f"{amount(e.quantity)} of lot {e.lot_id} shipped with delivery {e.erp_delivery_number}"
    return Told(e.work_order_id, text, [e.shipment_id])


def _sample_taken(e: Any) -> Told:
    return Told(e.work_order_id, f"the laboratory took sample {e.sample_number}", [e.sample_number])


def _evidence_reported(e: Any) -> Told:
    said = e.evidence
    span = f"{said.tag_id}: {amount(said.minimum)} to {amount(said.maximum)}" if said.reading_count else said.tag_id
    gaps = f", {len(said.gaps)} gaps" if said.gaps else ""
    return Told(e.work_order_id, f"the historian showed {span} in {said.reading_count} readings{gaps}")


def _inspection_opened(e: Any) -> Told:
    said = e.inspection
    missing = ", ".join(said.missing_evidences)
    return Told(
        said.work_order_id, f"lot {said.lot_id} is inspected; needed: {missing}", [said.lot_id] if said.lot_id else []
    )


def _inspection_advanced(e: Any) -> Told:
    said = e.inspection
    missing = ", ".join(said.missing_evidences) or "nothing"
    return Told(said.work_order_id, f"{e.said} of lot {said.lot_id} came in; still missing: {missing}")


def _disposition(e: Any) -> Told:
    said = e.inspection
    word = inspection_pb2.Disposition.Name(said.disposition).removeprefix("DISPOSITION_").lower()
    is_failed = said.disposition == inspection_pb2.DISPOSITION_FAILED
    return Told(
        said.work_order_id, f"lot {said.lot_id} {word}: {'; '.join(said.disposition_reasons)}", is_alarm=is_failed
    )


def _nonconformance(e: Any) -> Told:
    said = e.nonconformance
    after = " after its release" if said.is_after_release else ""
    return Told(said.work_order_id, f"a nonconformance case is opened for lot {said.lot_id}{after}", is_alarm=True)


def _held(e: Any) -> Told:
    return Told(e.hold.work_order_id, f"lot {e.hold.lot_id} is held: {e.hold.hold_reason}")


def _lot_released(e: Any) -> Told:
    rest = "it may be used" if e.is_available else "another hold stands"
    return Told(e.hold.work_order_id, f"a hold of lot {e.hold.lot_id} is over: {e.hold.release_reason}; {rest}")


def _recalled(e: Any) -> Told:
    left = "; ".join(
        f"{amount(s.quantity)} with delivery {s.erp_delivery_number} to {s.customer_name}" for s in e.recalled_shipments
    )
    text = f"lot {e.hold.lot_id} failed after its release; already shipped: {left or 'nothing'}"
    return Told(e.hold.work_order_id, text, is_alarm=True)


def _held_shipped(e: Any) -> Told:
    said = e.shipment
    text = f"{amount(said.quantity)} of lot {e.hold.lot_id} left with delivery {said.erp_delivery_number} although it is held"
    return Told(e.hold.work_order_id, text, is_alarm=True)


def _adjusted(e: Any) -> Told:
    name = f"lot {e.lot_id}" if e.lot_id else e.item_id
    sign = "" if e.quantity.value.startswith("-") else "+"
    text = f"{name} at {e.location_id} was set right by {sign}{amount(e.quantity)}: {e.adjustment_reason}"
    return Told(e.work_order_id, text)


def _transferred(e: Any) -> Told:
    name = f"lot {e.lot_id}" if e.lot_id else e.item_id
    text = f"{amount(e.quantity)} of {name} went from {e.from_location_id} to {e.to_location_id}: {e.transfer_reason}"
    return Told(e.work_order_id, text)


POSTINGS = {
    "complete_work_order": "ERP completed the order",
    "correct_work_order": "ERP took the correction",
    "announce_receipt": "warehouse knows of the lot",
    "adjust_stock": "ERP took the adjustment",
    "transfer_stock": "ERP took the transfer",
}


def _acknowledged(e: Any) -> Told:
    figures = ", ".join(f"{f.name} {f.value}" for f in e.figures)
    return Told(e.work_order_id, f"{POSTINGS.get(e.posting_kind, e.posting_kind)} ({figures})")


def _erp_order_delayed(e: Any) -> Told:
    return Told(e.work_order_id, f"the order waits: {e.delay_text or e.delay_reason}", is_alarm=True)


def _posting_refused(e: Any) -> Told:
    text = f"{e.partner_id} refused {e.posting_kind.replace('_', ' ')}: {e.refusal_reason} {e.refusal_text}"
    return Told(e.work_order_id, text, is_alarm=True)


def _posting_unknown(e: Any) -> Told:
    return Told(e.work_order_id, f"no answer of {e.partner_id} to {e.posting_kind.replace('_', ' ')}: it is looked up")


BY_TYPE: Mapping[type[Message], Callable[[Any], Told]] = {
    gateway_events_pb2.ErpOrderNoticed: _erp_order_noticed,
    gateway_events_pb2.ErpOrderDelayed: _erp_order_delayed,
    gateway_events_pb2.PostingAcknowledged: _acknowledged,
    gateway_events_pb2.PostingRefused: _posting_refused,
    gateway_events_pb2.PostingUnknown: _posting_unknown,
    production_events_pb2.WorkOrderReleased: _released,
    production_events_pb2.WorkOrderChanged: _changed,
    production_events_pb2.WorkOrderCancelled: _cancelled,
    production_events_pb2.WorkOrderDispatched: _dispatched,
    production_events_pb2.WorkOrderDeclined: _declined,
    production_events_pb2.OperationConfirmed: _confirmed,
    production_events_pb2.ConfirmationReversed: _reversed,
    production_events_pb2.WorkOrderCompleted: _completed,
    production_events_pb2.WorkOrderReopened: _reopened,
    production_events_pb2.WorkOrderHeld: _order_held,
    production_events_pb2.WorkOrderResumed: _order_resumed,
    production_events_pb2.CounterVarianceFound: _variance,
    edge_events_pb2.WorkOrderAccepted: _accepted,
    edge_events_pb2.WorkOrderRefused: _refused,
    edge_events_pb2.ConfirmationReported: _reported,
    edge_events_pb2.ReversalReported: _reversal_reported,
    edge_events_pb2.SampleTaken: _sample_taken,
    edge_events_pb2.HistorianEvidenceReported: _evidence_reported,
    inventory_events_pb2.InventoryMoved: _moved,
    inventory_events_pb2.OutputStored: _stored,
    inventory_events_pb2.GoodsReceived: _received,
    inventory_events_pb2.OutputShipped: _shipped,
    inventory_events_pb2.LotHeld: _held,
    inventory_events_pb2.LotReleased: _lot_released,
    inventory_events_pb2.RecallRaised: _recalled,
    inventory_events_pb2.HeldLotShipped: _held_shipped,
    inventory_events_pb2.StockAdjusted: _adjusted,
    inventory_events_pb2.StockTransferred: _transferred,
    quality_events_pb2.InspectionOpened: _inspection_opened,
    quality_events_pb2.InspectionAdvanced: _inspection_advanced,
    quality_events_pb2.DispositionDecided: _disposition,
    quality_events_pb2.NonconformanceOpened: _nonconformance,
}


TELLERS = {message.DESCRIPTOR.full_name: teller for message, teller in BY_TYPE.items()}


def tell(fact_type: str, content: Any) -> Told | None:
    """The fact in business words; None if it belongs to no order's timeline."""
    teller = TELLERS.get(fact_type)
    told = teller(content) if teller is not None and content is not None else None
    return told if told is not None and told.work_order_id else None
