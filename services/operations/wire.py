"""Operations' words of reconciliation on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf import json_format

from isthmus.gateway.v1.gateway_service_pb2 import PartnerBooking
from isthmus.inventory.v1 import inventory_transaction_pb2 as inventory
from isthmus.operations.v1 import lane_service_pb2, operations_events_pb2, operations_service_pb2
from isthmus.operations.v1 import reconciliation_pb2 as messages
from servicekit.domain import BusinessKey
from servicekit.use_case import Fact
from servicekit.wire import key_of_message, quantity_message, quantity_of, time_of, timestamp
from services.operations import order_wire
from services.operations.domain.order_comparison import OrderVariance
from services.operations.domain.reconciliation import (
    OPENING,
    Asked,
    Booking,
    Difference,
    Reconciliation,
    State,
    ToldVariance,
    Variance,
)

WMS = "wms"
SCRAP = "scrap"  # the place of a plant that is no stock
STOCK_CHANGES = ("adjustment/", "transfer/")  # how the ids of documents begin by which people change stock


@dataclass(frozen=True, slots=True)
class ReconcilePlant:
    business_key: BusinessKey
    plant_id: str


@dataclass(frozen=True, slots=True)
class EndReconciliation:
    """A comparison is over, well or badly."""

    reconciliation: Reconciliation
    variances: tuple[Variance, ...] = ()
    order_variances: tuple[OrderVariance, ...] = ()


def reconcile_plant(request: operations_service_pb2.ReconcilePlantRequest) -> ReconcilePlant:
    return ReconcilePlant(key_of_message(request.business_key), request.plant_id)


# --- what others' books say


def erp_view(line: inventory.InventoryTransaction) -> Booking | None:
    """A ledger line as the ERP should have it: under its order or delivery. What stays within the plant it never sees."""
    kind = line.movement_type
    if line.document_id.startswith(STOCK_CHANGES):
        return _stock_change(line)
    if kind in (inventory.MOVEMENT_TYPE_TRANSFER, inventory.MOVEMENT_TYPE_SCRAP):
        return None
    if kind == inventory.MOVEMENT_TYPE_OPENING_BALANCE:
        return _booking(line, OPENING, "")
    if kind == inventory.MOVEMENT_TYPE_SHIPMENT:
        shipment_id = line.document_id.removeprefix("shipment/")
        return _booking(line, shipment_id, shipment_id)
    return _booking(line, line.work_order_id or line.document_id, line.work_order_id)


def _stock_change(line: inventory.InventoryTransaction) -> Booking | None:
    """Told under its document, in the order of the lot or item. A transfer within the plant's stock comes to nothing."""
    if line.location_id == SCRAP:
        return None
    other = f"lot:{line.item_id}:{line.lot_id}" if line.lot_id else f"item:{line.item_id}"
    return _booking(line, line.document_id, line.work_order_id or other)


def wms_view(line: inventory.InventoryTransaction) -> Booking | None:
    """A ledger line as the warehouse should have it: each output was announced under its document, shipments have their id."""
    if line.movement_type == inventory.MOVEMENT_TYPE_OUTPUT:
        return _booking(line, line.document_id, line.work_order_id)
    if line.movement_type == inventory.MOVEMENT_TYPE_SHIPMENT:
        shipment_id = line.document_id.removeprefix("shipment/")
        return _booking(line, shipment_id, shipment_id)
    return None


def _booking(line: inventory.InventoryTransaction, document_id: str, order_id: str) -> Booking:
    quantity = quantity_of(line.quantity)
    return Booking(document_id, line.item_id, line.lot_id, quantity, time_of(line.record_time), order_id)


def partner_booking(line: PartnerBooking) -> Booking:
    quantity = quantity_of(line.quantity)
    return Booking(line.document_id, line.item_id, line.lot_id, quantity, time_of(line.book_time), is_ours=line.is_ours)


def asked(posting: lane_service_pb2.Posting) -> Asked:
    text = posting.text or posting.reason
    return Asked(posting.partner_id, posting.posting_kind, posting.order_key, posting.state, text)


# --- what we say


def reconciliation_message(said: Reconciliation) -> messages.Reconciliation:
    message = messages.Reconciliation(
        reconciliation_id=said.reconciliation_id,
        plant_id=said.plant_id,
        state=messages.ReconciliationState.Value(f"RECONCILIATION_STATE_{said.state.name}"),
        start_time=timestamp(said.start_time),
        end_time=timestamp(said.end_time) if said.end_time else None,
        compared_count=said.compared,
        open_variance_count=said.open_variances,
        explained_variance_count=said.explained_variances,
        failure_text=said.failure_text,
    )
    for book in said.read_books.split():
        system_id, count = book.split("=")
        message.read_books.add(system_id=system_id, line_count=int(count))
    return message


def variance_message(said: Variance) -> messages.StockVariance:
    return messages.StockVariance(
        reconciliation_id=said.reconciliation_id,
        plant_id=said.plant_id,
        system_id=said.system_id,
        item_id=said.item_id,
        lot_id=said.lot_id,
        ledger_quantity=quantity_message(said.ledger),
        partner_quantity=quantity_message(said.partner),
        causes=[_cause_message(cause) for cause in said.causes],
        unexplained_quantity=quantity_message(said.unexplained),
        is_open=said.is_open,
    )


def _cause_message(cause: Difference) -> messages.VarianceCause:
    return messages.VarianceCause(
        document_id=cause.document_id,
        kind=messages.CauseKind.Value(f"CAUSE_KIND_{cause.cause.name}"),
        ledger_quantity=quantity_message(cause.ledger),
        partner_quantity=quantity_message(cause.partner),
        text=cause.text,
    )


def told_variance(number: int, said: Variance) -> ToldVariance:
    return ToldVariance(said.reconciliation_id, number, json_format.MessageToJson(variance_message(said), indent=None))


def variance_of(told: ToldVariance) -> messages.StockVariance:
    return json_format.Parse(told.content, messages.StockVariance())


def facts(command: EndReconciliation, at: datetime) -> list[Fact]:
    """Each variance that needs a person, then the end. A comparison that failed says nothing of stock and orders."""
    said = command.reconciliation

    def fact(data: Any) -> Fact:
        return Fact(data, said.plant_id, f"reconciliation:{said.plant_id}", said.reconciliation_id, at)

    found: list[Any] = [
        operations_events_pb2.VarianceFound(variance=variance_message(v)) for v in command.variances if v.is_open
    ]
    found += [
        operations_events_pb2.OrderVarianceFound(variance=order_wire.variance_message(v))
        for v in command.order_variances
        if v.is_open
    ]
    ended = operations_events_pb2.ReconciliationCompleted(reconciliation=reconciliation_message(said))
    return [*map(fact, found), fact(ended)] if said.state is State.COMPLETED else []
