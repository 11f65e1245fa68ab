"""What the gateway does when it hears a fact that an ERP or a partner must know."""

from __future__ import annotations

from isthmus.inventory.v1.inventory_events_pb2 import (
    LotHeld,
    LotReleased,
    OutputStored,
    ShipmentAdvised,
    ShipmentConfirmed,
    StockAdjusted,
    StockTransferred,
)
from isthmus.maintenance.v1.maintenance_events_pb2 import DowntimeRecorded, SparePartNeeded, WorkRequestOpened
from isthmus.masterdata.v1.masterdata_events_pb2 import PartnerChanged
from isthmus.production.v1.production_events_pb2 import (
    ConfirmationReversed,
    OperationConfirmed,
    WorkOrderCompleted,
)
from isthmus.quality.v1.quality_events_pb2 import (
    DispositionDecided,
    InspectionAdvanced,
    InspectionOpened,
    NonconformanceOpened,
)
from servicekit.facts import Do, EventMeta, consumes
from services.gateway import hold_wire, partner_wire, stock_wire, use_cases, wire


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
    return Do(use_cases.ask_partner, partner_wire.announce_receipt(event, meta))


@consumes(ShipmentAdvised)
def announce_shipment(event: ShipmentAdvised, meta: EventMeta) -> Do:
    """When the ERP waits for a delivery, let the warehouse pick and ship it."""
    return Do(use_cases.ask_partner, partner_wire.announce_shipment(event, meta))


@consumes(PartnerChanged)
def tell_partner(event: PartnerChanged, meta: EventMeta) -> Do:
    """When a supplier or customer is new or another, let the plant's warehouse know."""
    return Do(use_cases.ask_partner, partner_wire.tell_partner(event, meta))


@consumes(ShipmentConfirmed)
def ship_delivery(event: ShipmentConfirmed, meta: EventMeta) -> Do:
    """When the warehouse shipped, finish the delivery in the ERP."""
    return Do(use_cases.ask_partner, partner_wire.ship_delivery(event, meta))


@consumes(StockAdjusted)
def adjust_in_erp(event: StockAdjusted, meta: EventMeta) -> Do:
    """When stock was set right, set it right in the ERP."""
    return Do(use_cases.change_in_erp, stock_wire.adjust(event, meta))


@consumes(StockTransferred)
def transfer_in_erp(event: StockTransferred, meta: EventMeta) -> Do:
    """When stock went from one place to another, let the ERP know where it is."""
    return Do(use_cases.change_in_erp, stock_wire.transfer(event, meta))


# --- holds, inspections and maintenance


@consumes(LotHeld)
def hold_in_erp(event: LotHeld, meta: EventMeta) -> Do:
    """When a lot is held, set it aside in the ERP, and let the warehouse pick it for nobody."""
    return Do(use_cases.hold_in_erp, hold_wire.hold(event, meta))


@consumes(LotReleased)
def release_in_erp(event: LotReleased, meta: EventMeta) -> Do:
    """When no hold of a lot stands any more, put it back in the ERP's storage, and let the warehouse pick it."""
    return Do(use_cases.release_in_erp, hold_wire.release(event, meta))


@consumes(DispositionDecided)
def inspect_in_erp(event: DispositionDecided, meta: EventMeta) -> Do:
    """When a lot passed or failed, record its inspection in the ERP."""
    return Do(use_cases.inspect_in_erp, hold_wire.inspect(event))


@consumes(InspectionAdvanced)
def complete_inspection_in_erp(event: InspectionAdvanced, meta: EventMeta) -> Do | None:
    """When more is known of a lot that was decided before all was there, tell the ERP: it waits for every point it asks."""
    said = hold_wire.inspect(event)
    return Do(use_cases.inspect_in_erp, said) if said.is_decided else None


@consumes(SparePartNeeded)
def reserve_spare_part(event: SparePartNeeded, meta: EventMeta) -> Do:
    """When work needs a part, let the ERP plan it."""
    return Do(use_cases.ask_erp, partner_wire.reserve_spare_part(event, meta))


@consumes(DowntimeRecorded)
def record_downtime(event: DowntimeRecorded, meta: EventMeta) -> Do | None:
    """When an asset that stops its line was down, tell the ERP of the line's downtime."""
    if not event.downtime.stops_line:
        return None
    return Do(use_cases.ask_erp, partner_wire.record_downtime(event, meta))


@consumes(InspectionOpened)
def ask_verdict(event: InspectionOpened, meta: EventMeta) -> Do | None:
    """When a lot is at a checkpoint that needs the QMS's word, ask for it."""
    if not event.inspection.test_specification.needs_verdict:
        return None
    return Do(use_cases.ask_partner, partner_wire.ask_verdict(event, meta))


@consumes(NonconformanceOpened)
def open_case(event: NonconformanceOpened, meta: EventMeta) -> Do:
    """When a lot failed, open a case in the QMS."""
    return Do(use_cases.ask_partner, partner_wire.open_case(event, meta))


@consumes(WorkRequestOpened)
def open_work_request(event: WorkRequestOpened, meta: EventMeta) -> Do:
    """When a machine asks for work, open it in the CMMS."""
    return Do(use_cases.ask_partner, partner_wire.open_work_request(event, meta))
