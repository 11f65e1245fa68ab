"""What production does when it hears a fact."""

from __future__ import annotations

from isthmus.edge.v1.edge_events_pb2 import (
    ConfirmationReported,
    ProductionEventRecorded,
    ReversalReported,
    WorkOrderAccepted,
    WorkOrderRefused,
)
from isthmus.maintenance.v1.maintenance_events_pb2 import DowntimeRecorded, DowntimeStarted
from isthmus.masterdata.v1.masterdata_events_pb2 import (
    BillOfMaterialsReleased,
    ItemChanged,
    ResourceChanged,
    RoutingReleased,
)
from servicekit.facts import Do, EventMeta, consumes
from services.production import confirmation_use_cases, confirmation_wire, line_use_cases, line_wire, use_cases, wire


@consumes(ItemChanged)
def record_item(event: ItemChanged, meta: EventMeta) -> Do:
    """When master data changes an item, keep our copy."""
    return Do(use_cases.record_item, wire.item(event, meta))


@consumes(BillOfMaterialsReleased)
def record_bill_of_materials(event: BillOfMaterialsReleased, meta: EventMeta) -> Do:
    """When master data releases a bill of materials, keep that it is known."""
    return Do(use_cases.record_bill_of_materials, wire.bill_of_materials(event, meta))


@consumes(RoutingReleased)
def record_routing(event: RoutingReleased, meta: EventMeta) -> Do:
    """When master data releases a routing, keep that it is known."""
    return Do(use_cases.record_routing, wire.routing(event, meta))


@consumes(ResourceChanged)
def record_resource(event: ResourceChanged, meta: EventMeta) -> Do:
    """When master data changes a resource, keep whether work may be planned on it."""
    return Do(use_cases.record_resource, wire.resource(event, meta))


@consumes(ConfirmationReported)
def confirm_operation(event: ConfirmationReported, meta: EventMeta) -> Do:
    """When the plant confirms work, book it: the same document as a call with this key."""
    return Do(
        confirmation_use_cases.confirm_operation, confirmation_wire.confirm_reported(event, meta), is_document=True
    )


@consumes(ReversalReported)
def reverse_confirmation(event: ReversalReported, meta: EventMeta) -> Do:
    """When the plant takes a confirmation back, reverse it."""
    return Do(
        confirmation_use_cases.reverse_confirmation, confirmation_wire.reverse_reported(event, meta), is_document=True
    )


@consumes(WorkOrderAccepted)
def record_acceptance(event: WorkOrderAccepted, meta: EventMeta) -> Do:
    """When the plant's MES has an order, note its number."""
    return Do(use_cases.record_acceptance, wire.acceptance(event, meta))


@consumes(WorkOrderRefused)
def record_refusal(event: WorkOrderRefused, meta: EventMeta) -> Do:
    """When the plant's MES refuses an order or a change of it, show it."""
    return Do(use_cases.record_acceptance, wire.refusal(event, meta))


@consumes(ProductionEventRecorded)
def count_pieces(event: ProductionEventRecorded, meta: EventMeta) -> Do | None:
    """When a line counts pieces for an order, keep them as evidence."""
    command = wire.count_pieces(event, meta)
    return Do(use_cases.count_pieces, command) if command is not None else None


@consumes(DowntimeStarted)
def block_line(event: DowntimeStarted, meta: EventMeta) -> Do | None:
    """When an asset that stops its line goes down, block the line."""
    command = line_wire.block_line(event)
    return Do(line_use_cases.block_line, command) if command is not None else None


@consumes(DowntimeRecorded)
def free_line(event: DowntimeRecorded, meta: EventMeta) -> Do | None:
    """When its downtime is over, free the line."""
    command = line_wire.free_line(event)
    return Do(line_use_cases.free_line, command) if command is not None else None
