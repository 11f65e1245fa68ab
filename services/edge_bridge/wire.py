"""The edge bridge's words on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from isthmus.edge.v1 import (
    edge_events_pb2,
    edge_service_pb2,
    laboratory_postings_pb2,
    mes_postings_pb2,
)
from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.production.v1 import confirmation_pb2, work_order_pb2
from isthmus.quality.v1 import inspection_pb2, test_specification_pb2
from servicekit.domain import BusinessKey, Quantity
from servicekit.facts import EventMeta
from servicekit.use_case import PlannedPosting
from servicekit.wire import (
    duration_message,
    key_message,
    key_of_message,
    quantity_message,
    quantity_of,
    seconds_of,
    time_of,
    timestamp,
)
from services.edge_bridge.domain.evidence import Evidence, HistorianRead, Question
from services.edge_bridge.domain.plant_order import PlantOrder
from services.edge_bridge.domain.station import Observed, StationState

STATES = {
    StationState.UNKNOWN: edge_events_pb2.STATION_STATE_UNSPECIFIED,
    StationState.IDLE: edge_events_pb2.STATION_STATE_IDLE,
    StationState.RUNNING: edge_events_pb2.STATION_STATE_RUNNING,
    StationState.FAULT: edge_events_pb2.STATION_STATE_FAULT,
}
RELEASE, CHANGE, CANCEL = "release", "change", "cancel"  # steps that the MES is asked for


@dataclass(frozen=True, slots=True)
class Scrap:
    quantity: Quantity
    reason_code: str


@dataclass(frozen=True, slots=True)
class Consumption:
    item_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class ReportConfirmation:
    """A confirmation as a plant system or app said it. The order by our id, or by the MES's number."""

    business_key: BusinessKey
    plant_id: str
    work_order_id: str
    mes_order_number: str
    operation_sequence: int
    good: Quantity
    scraps: tuple[Scrap, ...]
    labour: Quantity
    consumptions: tuple[Consumption, ...]
    output_lot_id: str
    occur_time: datetime
    operator_id: str
    is_final: bool
    is_late: bool = False
    source: PlantRecord | None = None  # what was read; not part of what was said


@dataclass(frozen=True, slots=True)
class ReportReversal:
    business_key: BusinessKey
    plant_id: str
    work_order_id: str
    mes_order_number: str
    confirmation_key: BusinessKey
    reversal_reason: str
    occur_time: datetime
    is_late: bool = False
    source: PlantRecord | None = None


@dataclass(frozen=True, slots=True)
class GiveToMes:
    """A step of a work order that the plant's MES must know."""

    step: str
    order: PlantOrder
    message: work_order_pb2.WorkOrder
    cancel_reason: str = ""


@dataclass(frozen=True, slots=True)
class ObserveStation:
    """What a line said of a station at one moment."""

    plant_id: str
    line_id: str
    station_id: str
    mes_order_number: str
    operation_sequence: int
    good: int
    scrap: int
    state: StationState
    cycle_time_ms: int
    fault_code: int
    source_time: datetime
    is_uncertain: bool
    is_late: bool


@dataclass(frozen=True, slots=True)
class AdvanceFeed:
    feed_id: str
    position: str


def confirmation(request: edge_service_pb2.ConfirmOperationRequest) -> ReportConfirmation:
    said = request.confirmation
    return ReportConfirmation(
        business_key=key_of_message(request.business_key),
        plant_id=said.plant_id,
        work_order_id=said.work_order_id,
        mes_order_number="",
        operation_sequence=said.operation_sequence,
        good=quantity_of(said.good_quantity),
        scraps=tuple(Scrap(quantity_of(s.quantity), s.reason_code) for s in said.scraps),
        labour=seconds_of(said.labour_duration),
        consumptions=tuple(Consumption(c.item_id, c.lot_id, quantity_of(c.quantity)) for c in said.consumptions),
        output_lot_id=said.output_lot_id,
        occur_time=time_of(said.occur_time),
        operator_id=said.operator_id,
        is_final=said.is_final,
    )


def reversal(request: edge_service_pb2.ReverseConfirmationRequest, now: datetime) -> ReportReversal:
    return ReportReversal(
        business_key=key_of_message(request.business_key),
        plant_id=request.plant_id,
        work_order_id=request.work_order_id,
        mes_order_number="",
        confirmation_key=key_of_message(request.confirmation_key),
        reversal_reason=request.reversal_reason,
        occur_time=now,
    )


def give_to_mes(step: str, said: work_order_pb2.WorkOrder, meta: EventMeta, cancel_reason: str = "") -> GiveToMes:
    order = PlantOrder(
        said.work_order_id, said.plant_id, said.item_id, said.planned_quantity.unit_code, "", meta.traceparent
    )
    return GiveToMes(step, order, said, cancel_reason)


def confirmation_message(command: ReportConfirmation, order: PlantOrder) -> confirmation_pb2.Confirmation:
    message = confirmation_pb2.Confirmation(
        plant_id=command.plant_id,
        work_order_id=order.work_order_id,
        operation_sequence=command.operation_sequence,
        good_quantity=quantity_message(command.good),
        labour_duration=duration_message(command.labour),
        output_lot_id=command.output_lot_id,
        occur_time=timestamp(command.occur_time),
        operator_id=command.operator_id,
        is_final=command.is_final,
    )
    for scrap in command.scraps:
        message.scraps.add(quantity=quantity_message(scrap.quantity), reason_code=scrap.reason_code)
    for used in command.consumptions:
        message.consumptions.add(item_id=used.item_id, lot_id=used.lot_id, quantity=quantity_message(used.quantity))
    return message


def reversal_reported(command: ReportReversal, order: PlantOrder) -> Any:
    return edge_events_pb2.ReversalReported(
        plant_id=command.plant_id,
        work_order_id=order.work_order_id,
        confirmation_key=key_message(command.confirmation_key),
        reversal_reason=command.reversal_reason,
        source_record=command.source,
    )


def production_event(command: ObserveStation, observed: Observed, work_order_id: str) -> Any:
    return edge_events_pb2.ProductionEventRecorded(
        plant_id=command.plant_id,
        line_id=command.line_id,
        station_id=command.station_id,
        work_order_id=work_order_id,
        operation_sequence=command.operation_sequence,
        state=STATES[command.state],
        good_count_from=observed.before.good,
        good_count_to=observed.after.good,
        scrap_count_from=observed.before.scrap,
        scrap_count_to=observed.after.scrap,
        counter_epoch=observed.after.counter_epoch,
        cycle_time_ms=command.cycle_time_ms,
        fault_code=command.fault_code,
        source_time=timestamp(command.source_time),
        is_uncertain=command.is_uncertain,
    )


def mes_posting(command: GiveToMes, order: PlantOrder) -> PlannedPosting:
    """The MES keeps our key: the order's id for its release, and the id with the step for what comes later."""
    message = work_order_pb2.WorkOrder()
    message.CopyFrom(command.message)
    message.mes_order_number = order.mes_order_number
    kinds: dict[str, tuple[str, str, Any]] = {
        RELEASE: ("dispatch_work_order", order.work_order_id, mes_postings_pb2.DispatchWorkOrder(work_order=message)),
        CHANGE: (
            "change_work_order",
            f"{order.work_order_id}/change/{message.etag}",
            mes_postings_pb2.ChangeDispatchedWorkOrder(work_order=message),
        ),
        CANCEL: (
            "cancel_work_order",
            f"{order.work_order_id}/cancel",
            mes_postings_pb2.CancelDispatchedWorkOrder(work_order=message, cancel_reason=command.cancel_reason),
        ),
    }
    kind, key, payload = kinds[command.step]
    return PlannedPosting(f"mes-{order.plant_id}", kind, order.plant_id, order.work_order_id, key, payload)


STEP_OF_KIND = {"dispatch_work_order": RELEASE, "change_work_order": CHANGE, "cancel_work_order": CANCEL}


def accepted(order: PlantOrder, step: str, sent: PlantRecord | None) -> Any:
    return edge_events_pb2.WorkOrderAccepted(
        plant_id=order.plant_id,
        work_order_id=order.work_order_id,
        mes_order_number=order.mes_order_number,
        accepted_step=step,
        sent_record=sent,
    )


def refused(order: PlantOrder, step: str, reason: str, sent: PlantRecord | None) -> Any:
    return edge_events_pb2.WorkOrderRefused(
        plant_id=order.plant_id,
        work_order_id=order.work_order_id,
        refused_step=step,
        refusal_reason=reason,
        sent_record=sent,
    )


# --- laboratory and historian

LABORATORY = test_specification_pb2.EVIDENCE_SOURCE_LABORATORY
HISTORIAN = test_specification_pb2.EVIDENCE_SOURCE_HISTORIAN
TAKE_SAMPLE = "take_sample"  # what the laboratory is asked for


@dataclass(frozen=True, slots=True)
class OpenInspection:
    """What an inspection wants to know of this plant: `sample` is None where the laboratory has nothing to measure."""

    sample: PlannedPosting | None
    reads: tuple[HistorianRead, ...]
    traceparent: str


@dataclass(frozen=True, slots=True)
class ReportLabResult:
    """A value as the laboratory reported it, by its own sample number."""

    business_key: BusinessKey
    plant_id: str
    sample_number: str
    characteristic_id: str
    value: Quantity
    revision: int
    occur_time: datetime
    is_late: bool
    source: PlantRecord | None = None


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """What the historian showed when a standing question was put to it."""

    business_key: BusinessKey
    read: HistorianRead
    evidence: Evidence
    is_late: bool

    @classmethod
    def of(cls, connector_id: str, read: HistorianRead, evidence: Evidence, *, is_late: bool) -> ReportEvidence:
        key = BusinessKey(connector_id, "historian_evidence", read.inspection_id, read.characteristic_id)
        return cls(key, read, evidence, is_late)


def open_inspection(said: inspection_pb2.Inspection, traceparent: str) -> OpenInspection:
    measured = [c for c in said.test_specification.characteristics if c.evidence_source == LABORATORY]
    asked = [c for c in said.test_specification.characteristics if c.evidence_source == HISTORIAN]
    sample = take_sample(said, measured) if measured else None
    return OpenInspection(sample, tuple(historian_read(said, c, traceparent) for c in asked), traceparent)


def take_sample(
    said: inspection_pb2.Inspection, measured: list[test_specification_pb2.Characteristic]
) -> PlannedPosting:
    payload = laboratory_postings_pb2.TakeSample(
        plant_id=said.plant_id,
        inspection_id=said.inspection_id,
        work_order_id=said.work_order_id,
        item_id=said.item_id,
        lot_id=said.lot_id,
        characteristics=measured,
    )
    key = f"{said.inspection_id}/sample"
    return PlannedPosting(f"lims-{said.plant_id}", TAKE_SAMPLE, said.plant_id, said.work_order_id, key, payload)


def historian_read(
    said: inspection_pb2.Inspection, asked: test_specification_pb2.Characteristic, traceparent: str
) -> HistorianRead:
    question = Question(
        start_time=time_of(said.batch_start_time),
        end_time=time_of(said.checkpoint_time),
        lower_limit=_limit(asked, "lower_limit"),
        upper_limit=_limit(asked, "upper_limit"),
        allowed_gap=timedelta(microseconds=asked.allowed_gap_duration.ToMicroseconds()),
    )
    return HistorianRead(
        said.inspection_id,
        asked.characteristic_id,
        said.plant_id,
        said.work_order_id,
        asked.tag_id,
        asked.unit_code,
        question,
        False,
        traceparent,
    )


def _limit(asked: test_specification_pb2.Characteristic, name: str) -> Decimal | None:
    return quantity_of(getattr(asked, name)).value if asked.HasField(name) else None  # type: ignore[arg-type]


def sample_taken(asked: laboratory_postings_pb2.TakeSample, sample_number: str, sent: PlantRecord | None) -> Any:
    return edge_events_pb2.SampleTaken(
        plant_id=asked.plant_id,
        inspection_id=asked.inspection_id,
        work_order_id=asked.work_order_id,
        sample_number=sample_number,
        sent_record=sent,
    )


def lab_result_reported(command: ReportLabResult) -> Any:
    result = inspection_pb2.TestResult(
        characteristic_id=command.characteristic_id,
        value=quantity_message(command.value),
        revision=command.revision,
        occur_time=timestamp(command.occur_time),
    )
    return edge_events_pb2.LabResultReported(
        plant_id=command.plant_id, sample_number=command.sample_number, result=result, source_record=command.source
    )


def evidence_reported(read: HistorianRead, shown: Evidence) -> Any:
    message = inspection_pb2.HistorianEvidence(
        characteristic_id=read.characteristic_id,
        tag_id=read.tag_id,
        start_time=timestamp(read.question.start_time),
        end_time=timestamp(read.question.end_time),
        reading_count=shown.reading_count,
    )
    message.dwell_duration.FromTimedelta(shown.dwell)
    if shown.minimum is not None and shown.maximum is not None:
        message.minimum.CopyFrom(quantity_message(Quantity(shown.minimum, read.unit_code)))
        message.maximum.CopyFrom(quantity_message(Quantity(shown.maximum, read.unit_code)))
    for gap in shown.gaps:
        message.gaps.add(start_time=timestamp(gap.start_time), end_time=timestamp(gap.end_time))
    return edge_events_pb2.HistorianEvidenceReported(
        plant_id=read.plant_id,
        inspection_id=read.inspection_id,
        work_order_id=read.work_order_id,
        evidence=message,
    )
