"""What the gateway does when it hears a fact that an ERP or a partner must know."""

from __future__ import annotations

from isthmus.inventory.v1.inventory_events_pb2 import OutputStored, ShipmentAdvised, ShipmentConfirmed
from isthmus.production.v1.production_events_pb2 import (
    ConfirmationReversed,
    OperationConfirmed,
    WorkOrderCompleted,
)
from servicekit.facts import Do, EventMeta, consumes
from services.gateway import use_cases, wire


@consumes(WorkOrderCompleted)
def complete_in_erp(event: WorkOrderCompleted, meta: EventMeta) -> Do:
    """When a work order is complete, complete it in the ERP."""
    return Do(use_cases.complete_in_erp, wire.complete(event))


@consumes(OperationConfirmed)
def correct_in_erp(event: OperationConfirmed, meta: EventMeta) -> Do:
    """When work is confirmed after completion, correct the ERP."""
    return Do(use_cases.correct_in_erp, wire.correct(event))


@consumes(ConfirmationReversed)
def take_back_in_erp(event: ConfirmationReversed, meta: EventMeta) -> Do:
    """When a confirmation is reversed after completion, take it back in the ERP."""
    return Do(use_cases.correct_in_erp, wire.correct(event))


@consumes(OutputStored)
def announce_receipt(event: OutputStored, meta: EventMeta) -> Do:
    """When a lot comes out of an order, let the warehouse expect it."""
    return Do(use_cases.ask_partner, wire.announce_receipt(event, meta))


@consumes(ShipmentAdvised)
def announce_shipment(event: ShipmentAdvised, meta: EventMeta) -> Do:
    """When the ERP waits for a delivery, let the warehouse pick and ship it."""
    return Do(use_cases.ask_partner, wire.announce_shipment(event, meta))


@consumes(ShipmentConfirmed)
def ship_delivery(event: ShipmentConfirmed, meta: EventMeta) -> Do:
    """When the warehouse shipped, finish the delivery in the ERP."""
    return Do(use_cases.ask_partner, wire.ship_delivery(event, meta))
