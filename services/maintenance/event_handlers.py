"""What maintenance does when it hears a fact."""

from __future__ import annotations

from isthmus.edge.v1.edge_events_pb2 import (
    FaultsReported,
    MachineCountersAdvanced,
    MachineStateReported,
    MeasurementSummarised,
)
from isthmus.gateway.v1.gateway_events_pb2 import PostingAcknowledged
from servicekit.facts import Do, EventMeta, consumes
from services.maintenance import use_cases, wire


@consumes(MachineStateReported)
def report_state(event: MachineStateReported, meta: EventMeta) -> Do:
    """When a machine's state changes, begin or end its downtime."""
    return Do(use_cases.report_state, wire.report_state(event))


@consumes(MachineCountersAdvanced)
def count_runtime(event: MachineCountersAdvanced, meta: EventMeta) -> Do:
    """When a machine ran on, count it, and let rules by runtime look."""
    return Do(use_cases.count_runtime, wire.count_runtime(event))


@consumes(MeasurementSummarised)
def watch_measurement(event: MeasurementSummarised, meta: EventMeta) -> Do | None:
    """When a measurement left its deadband, let thresholds and trends look."""
    command = wire.watch_measurement(event)
    return Do(use_cases.watch_measurement, command) if command is not None else None


@consumes(FaultsReported)
def count_faults(event: FaultsReported, meta: EventMeta) -> Do:
    """When faults came, let rules by frequency look."""
    return Do(use_cases.count_faults, wire.count_faults(event))


@consumes(PostingAcknowledged)
def accept_work_request(event: PostingAcknowledged, meta: EventMeta) -> Do | None:
    """When the CMMS has a request, note its number."""
    command = wire.accept(event)
    return Do(use_cases.accept_work_request, command) if command is not None else None
