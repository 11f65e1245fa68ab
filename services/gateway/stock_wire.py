"""Adjustments and transfers on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from isthmus.gateway.v1.erp_postings_pb2 import AdjustStock, TransferStock
from isthmus.inventory.v1.inventory_events_pb2 import StockAdjusted, StockTransferred
from servicekit.facts import EventMeta
from servicekit.use_case import PlannedPosting
from services.gateway import wire
from services.gateway.domain.stock_change import StockChange

PAYLOADS = {"adjust_stock": AdjustStock, "transfer_stock": TransferStock}


@dataclass(frozen=True, slots=True)
class ChangeInErp:
    """The stock of a lot, or of an item without lots, changed by people's word."""

    change: StockChange
    traceparent: str


def adjust(event: StockAdjusted, meta: EventMeta) -> ChangeInErp:
    payload = AdjustStock(
        item_id=event.item_id,
        lot_id=event.lot_id,
        location_id=event.location_id,
        quantity=event.quantity,
        adjustment_reason=event.adjustment_reason,
    )
    return _change(event, "adjust_stock", payload, meta)


def transfer(event: StockTransferred, meta: EventMeta) -> ChangeInErp:
    payload = TransferStock(
        item_id=event.item_id,
        lot_id=event.lot_id,
        from_location_id=event.from_location_id,
        to_location_id=event.to_location_id,
        quantity=event.quantity,
        transfer_reason=event.transfer_reason,
    )
    return _change(event, "transfer_stock", payload, meta)


def _change(event: StockAdjusted | StockTransferred, kind: str, payload: Any, meta: EventMeta) -> ChangeInErp:
    content = json_format.MessageToJson(payload, indent=None)
    of = event.document_id, event.plant_id, event.work_order_id, event.item_id, event.lot_id
    return ChangeInErp(StockChange(*of, kind, content), meta.traceparent)


def posting(change: StockChange, *, is_held: bool) -> PlannedPosting:
    """The document's own id is the key: the ERP's books are compared by it. `is_held`: the ERP was asked to set it aside."""
    payload = json_format.Parse(change.content, PAYLOADS[change.kind]())
    payload.is_held = is_held
    partner = wire.erp_of(change.plant_id)
    return PlannedPosting(partner, change.kind, change.plant_id, change.order_key, change.document_id, payload)
