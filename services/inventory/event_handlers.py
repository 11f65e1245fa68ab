"""What inventory does when it hears a fact."""

from __future__ import annotations

from isthmus.production.v1.production_events_pb2 import ConfirmationReversed, OperationConfirmed
from isthmus.quality.v1.inspection_pb2 import Inspection
from isthmus.quality.v1.quality_events_pb2 import DispositionDecided, InspectionOpened, TestSpecificationReleased
from servicekit.facts import Do, EventMeta, consumes
from services.inventory import hold_use_cases, hold_wire, use_cases, wire


@consumes(OperationConfirmed)
def book_confirmation(event: OperationConfirmed, meta: EventMeta) -> Do:
    """When production books a confirmation, move what went in and what came out."""
    return Do(use_cases.book_confirmation, wire.book_confirmed(event, meta))


@consumes(ConfirmationReversed)
def take_confirmation_back(event: ConfirmationReversed, meta: EventMeta) -> Do:
    """When production reverses a confirmation, move everything back."""
    return Do(use_cases.book_confirmation, wire.book_reversed(event, meta))


@consumes(TestSpecificationReleased)
def record_inspected_item(event: TestSpecificationReleased, meta: EventMeta) -> Do:
    """When quality has a test specification of an item, hold its output until it passes."""
    return Do(hold_use_cases.record_inspected_item, hold_wire.inspected_item(event.test_specification, meta))


@consumes(InspectionOpened)
def hold_until_decided(event: InspectionOpened, meta: EventMeta) -> Do | None:
    """When a lot is inspected, hold it, if its output was booked before the specification was known."""
    return _dispose(event.inspection, meta)


@consumes(DispositionDecided)
def dispose_lot(event: DispositionDecided, meta: EventMeta) -> Do | None:
    """When quality decides on a lot, hold or release it."""
    return _dispose(event.inspection, meta)


def _dispose(inspection: Inspection, meta: EventMeta) -> Do | None:
    command = hold_wire.dispose_lot(inspection, meta)
    return Do(hold_use_cases.dispose_lot, command) if command is not None else None
