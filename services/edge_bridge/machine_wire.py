"""The edge bridge's words about machines, on the wire and in the domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.edge.v1 import edge_events_pb2, telemetry_pb2
from isthmus.maintenance.v1 import asset_pb2
from servicekit.domain import Quantity
from servicekit.wire import quantity_message, timestamp
from services.edge_bridge.domain.machine import Advance, Look, MachineState
from services.edge_bridge.domain.watch import Faults, Window, Worth


@dataclass(frozen=True, slots=True)
class ObserveMachine:
    """What of a machine's signals is worth saying. `modulus`: where its counters roll over."""

    plant_id: str
    worth: Worth
    modulus: int
    is_late: bool


MACHINE_STATES = {
    state: asset_pb2.MachineState.Value(f"MACHINE_STATE_{state.name}") for state in list(MachineState)[1:]
}
ALL_MACHINE_STATES = {MachineState.UNKNOWN: asset_pb2.MACHINE_STATE_UNSPECIFIED, **MACHINE_STATES}


def telemetry(plant_id: str, look: Look, units: Mapping[str, str]) -> telemetry_pb2.MachineTelemetry:
    message = telemetry_pb2.MachineTelemetry(
        plant_id=plant_id,
        asset_id=look.asset_id,
        state=ALL_MACHINE_STATES[look.state],
        fault_code=look.fault_code,
        runtime_seconds=look.stand.runtime,
        cycle_count=look.stand.cycles,
        source_time=timestamp(look.source_time),
    )
    for measure_id, value in sorted(look.measures.items()):
        quantity = quantity_message(Quantity(value, units[measure_id])) if value is not None else None
        message.values.add(measure_id=measure_id, value=quantity)
    return message


def machine_state_reported(command: ObserveMachine) -> Any:
    look = command.worth.look
    return edge_events_pb2.MachineStateReported(
        plant_id=command.plant_id,
        asset_id=look.asset_id,
        state=MACHINE_STATES[look.state],
        fault_code=look.fault_code,
        source_time=timestamp(look.source_time),
        is_uncertain=look.is_uncertain,
    )


def counters_advanced(command: ObserveMachine, advance: Advance) -> Any:
    return edge_events_pb2.MachineCountersAdvanced(
        plant_id=command.plant_id,
        asset_id=command.worth.look.asset_id,
        counter_epoch=advance.epoch,
        runtime_seconds_from=advance.begin.runtime,
        runtime_seconds_to=advance.end.runtime,
        cycle_count_from=advance.begin.cycles,
        cycle_count_to=advance.end.cycles,
        source_time=timestamp(command.worth.look.source_time),
    )


def measurement_summarised(command: ObserveMachine, window: Window) -> Any:
    return edge_events_pb2.MeasurementSummarised(
        plant_id=command.plant_id,
        asset_id=command.worth.look.asset_id,
        measure_id=window.measure_id,
        start_time=timestamp(window.start_time),
        end_time=timestamp(window.end_time),
        reading_count=window.reading_count,
        minimum=quantity_message(Quantity(window.minimum, window.unit_code)),
        maximum=quantity_message(Quantity(window.maximum, window.unit_code)),
        latest=quantity_message(Quantity(window.latest, window.unit_code)),
        bad_reading_count=window.bad_reading_count,
    )


def faults_reported(command: ObserveMachine, faults: Faults) -> Any:
    return edge_events_pb2.FaultsReported(
        plant_id=command.plant_id,
        asset_id=command.worth.look.asset_id,
        fault_code=faults.fault_code,
        fault_count=faults.fault_count,
        first_time=timestamp(faults.first_time),
        last_time=timestamp(faults.last_time),
    )
