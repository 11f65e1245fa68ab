"""Quality's words on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from isthmus.edge.v1.edge_events_pb2 import HistorianEvidenceReported, LabResultReported, SampleTaken
from isthmus.gateway.v1.gateway_events_pb2 import PostingAcknowledged
from isthmus.production.v1.production_events_pb2 import OperationConfirmed
from isthmus.quality.v1 import (
    inspection_pb2,
    nonconformance_pb2,
    quality_events_pb2,
    quality_service_pb2,
    test_specification_pb2,
)
from servicekit.domain import BusinessKey, Quantity
from servicekit.facts import EventMeta
from servicekit.use_case import Fact
from servicekit.wire import (
    date_message,
    date_of,
    key_of_message,
    plant_day,
    quantity_message,
    quantity_of,
    time_of,
    timestamp,
)
from services.quality.domain.inspection import (
    Disposition,
    Gap,
    HistorianEvidence,
    Inspection,
    TestResult,
    Verdict,
    VerdictOutcome,
    is_evidence_within,
)
from services.quality.domain.nonconformance import Nonconformance
from services.quality.domain.test_specification import (
    Characteristic,
    EvidenceSource,
    Statistic,
    TestSpecification,
)

SOURCES = {
    source: test_specification_pb2.EvidenceSource.Value(f"EVIDENCE_SOURCE_{source.name}") for source in EvidenceSource
}
STATISTICS = {s: test_specification_pb2.Statistic.Value(f"STATISTIC_{s.name}") for s in Statistic}
DISPOSITIONS = {d: inspection_pb2.Disposition.Value(f"DISPOSITION_{d.name}") for d in Disposition}
OUTCOMES = {o: inspection_pb2.VerdictOutcome.Value(f"VERDICT_OUTCOME_{o.name}") for o in VerdictOutcome}


def _word(words: Any, number: int) -> Any:
    """The domain's word of an enum value; None if it is none that we know."""
    return next((word for word, value in words.items() if value == number), None)


@dataclass(frozen=True, slots=True)
class RecordTestSpecification:
    business_key: BusinessKey
    specification: TestSpecification


@dataclass(frozen=True, slots=True)
class ReachCheckpoint:
    """A confirmation, as production booked it."""

    plant_id: str
    work_order_id: str
    item_id: str
    lot_id: str
    operation_sequence: int
    good: Quantity
    occur_time: datetime
    plant_day: date


@dataclass(frozen=True, slots=True)
class RegisterSample:
    business_key: BusinessKey | None
    plant_id: str
    inspection_id: str
    sample_number: str


@dataclass(frozen=True, slots=True)
class RecordTestResult:
    business_key: BusinessKey | None
    plant_id: str
    sample_number: str
    result: TestResult
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class RecordHistorianEvidence:
    business_key: BusinessKey | None
    plant_id: str
    inspection_id: str
    evidence: HistorianEvidence
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class RecordVerdict:
    business_key: BusinessKey
    plant_id: str
    inspection_id: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class NoteCase:
    """The QMS has a nonconformance, under its own number."""

    nonconformance_id: str
    qms_case_number: str


# --- requests and facts that come in


def record_test_specification(
    request: quality_service_pb2.RecordTestSpecificationRequest,
) -> RecordTestSpecification:
    said = request.test_specification
    specification = TestSpecification(
        said.plant_id,
        said.test_specification_id,
        said.item_id,
        said.version,
        date_of(said, "effective_start_date") or date.min,
        date_of(said, "effective_end_date"),
        said.checkpoint_operation_sequence,
        tuple(_characteristic(c) for c in said.characteristics),
        said.needs_verdict,
    )
    return RecordTestSpecification(key_of_message(request.business_key), specification)


def _characteristic(said: test_specification_pb2.Characteristic) -> Characteristic:
    return Characteristic(
        said.characteristic_id,
        said.description,
        _word(SOURCES, said.evidence_source),
        said.unit_code,
        quantity_of(said.lower_limit) if said.HasField("lower_limit") else None,
        quantity_of(said.upper_limit) if said.HasField("upper_limit") else None,
        said.tag_id,
        _word(STATISTICS, said.statistic),
        said.required_dwell_duration.ToTimedelta(),
        said.allowed_gap_duration.ToTimedelta(),
    )


def reach_checkpoint(event: OperationConfirmed, meta: EventMeta) -> ReachCheckpoint:
    said = event.confirmation
    at = time_of(said.occur_time)
    return ReachCheckpoint(
        meta.plant_id,
        said.work_order_id,
        event.item_id,
        said.output_lot_id,
        said.operation_sequence,
        quantity_of(said.good_quantity),
        at,
        plant_day(said.shift_id, at),
    )


def register_sample(request: quality_service_pb2.RegisterSampleRequest) -> RegisterSample:
    key = key_of_message(request.business_key)
    return RegisterSample(key, request.plant_id, request.inspection_id, request.sample_number)


def sample_taken(event: SampleTaken, meta: EventMeta) -> RegisterSample:
    return RegisterSample(meta.business_key, event.plant_id, event.inspection_id, event.sample_number)


def record_test_result(request: quality_service_pb2.RecordTestResultRequest) -> RecordTestResult:
    key = key_of_message(request.business_key)
    return RecordTestResult(key, request.plant_id, request.sample_number, _result(request.result))


def result_reported(event: LabResultReported, meta: EventMeta) -> RecordTestResult:
    return RecordTestResult(meta.business_key, event.plant_id, event.sample_number, _result(event.result), meta.is_late)


def _result(said: inspection_pb2.TestResult) -> TestResult:
    return TestResult(said.characteristic_id, quantity_of(said.value), said.revision, time_of(said.occur_time))


def record_evidence(request: quality_service_pb2.RecordHistorianEvidenceRequest) -> RecordHistorianEvidence:
    key = key_of_message(request.business_key)
    return RecordHistorianEvidence(key, request.plant_id, request.inspection_id, _evidence(request.evidence))


def evidence_reported(event: HistorianEvidenceReported, meta: EventMeta) -> RecordHistorianEvidence:
    evidence = _evidence(event.evidence)
    return RecordHistorianEvidence(meta.business_key, event.plant_id, event.inspection_id, evidence, meta.is_late)


def _evidence(said: inspection_pb2.HistorianEvidence) -> HistorianEvidence:
    return HistorianEvidence(
        said.characteristic_id,
        said.tag_id,
        time_of(said.start_time),
        time_of(said.end_time),
        said.reading_count,
        quantity_of(said.minimum) if said.HasField("minimum") else None,
        quantity_of(said.maximum) if said.HasField("maximum") else None,
        said.dwell_duration.ToTimedelta(),
        tuple(Gap(time_of(gap.start_time), time_of(gap.end_time)) for gap in said.gaps),
    )


def note_case(event: PostingAcknowledged) -> NoteCase | None:
    """None: the gateway asked for something else."""
    named = next((figure.value for figure in event.figures if figure.name == "nonconformance"), "")
    return NoteCase(named, event.foreign_number) if named else None


def record_verdict(request: quality_service_pb2.RecordVerdictRequest) -> RecordVerdict:
    said = request.verdict
    verdict = Verdict(
        said.qms_number,
        said.revision,
        _word(OUTCOMES, said.outcome),
        said.decided_by,
        said.remark,
        time_of(said.occur_time),
    )
    return RecordVerdict(key_of_message(request.business_key), request.plant_id, request.inspection_id, verdict)


# --- messages and facts that go out


def specification_message(specification: TestSpecification) -> test_specification_pb2.TestSpecification:
    end = specification.effective_end_date
    message = test_specification_pb2.TestSpecification(
        test_specification_id=specification.test_specification_id,
        plant_id=specification.plant_id,
        item_id=specification.item_id,
        version=specification.version,
        effective_start_date=date_message(specification.effective_start_date),
        effective_end_date=date_message(end) if end is not None else None,
        checkpoint_operation_sequence=specification.checkpoint_operation_sequence,
        needs_verdict=specification.needs_verdict,
        etag=str(specification.revision),
    )
    for c in specification.characteristics:
        said = message.characteristics.add(
            characteristic_id=c.characteristic_id,
            description=c.description,
            evidence_source=SOURCES[c.evidence_source] if c.evidence_source else 0,
            unit_code=c.unit_code,
            lower_limit=quantity_message(c.lower_limit) if c.lower_limit is not None else None,
            upper_limit=quantity_message(c.upper_limit) if c.upper_limit is not None else None,
            tag_id=c.tag_id,
            statistic=STATISTICS[c.statistic] if c.statistic else 0,
        )
        _set_duration(said.required_dwell_duration, c.required_dwell)
        _set_duration(said.allowed_gap_duration, c.allowed_gap)
    return message


def _set_duration(field: Any, value: timedelta) -> None:
    if value:
        field.FromTimedelta(value)


def inspection_message(inspection: Inspection) -> inspection_pb2.Inspection:
    i = inspection
    message = inspection_pb2.Inspection(
        inspection_id=i.inspection_id,
        plant_id=i.plant_id,
        work_order_id=i.work_order_id,
        item_id=i.item_id,
        lot_id=i.lot_id,
        operation_sequence=i.operation_sequence,
        test_specification=specification_message(i.specification),
        batch_start_time=timestamp(i.batch_start_time),
        checkpoint_time=timestamp(i.checkpoint_time),
        sample_number=i.sample_number,
        disposition=DISPOSITIONS[i.disposition],
        disposition_reasons=i.disposition_reasons,
        missing_evidences=i.missing_evidences,
        disposition_time=timestamp(i.disposition_time) if i.disposition_time is not None else None,
        etag=str(i.version),
        verdict=_verdict_message(i.verdict) if i.verdict is not None else None,
    )
    for characteristic in i.specification.characteristics:
        name = characteristic.characteristic_id
        result, evidence = i.result(name), i.evidence(name)
        if result is not None:
            message.results.add(
                characteristic_id=name,
                value=quantity_message(result.value),
                revision=result.revision,
                occur_time=timestamp(result.occur_time),
                is_within_limits=characteristic.is_within(result.value),
            )
        if evidence is not None:
            message.evidences.append(_evidence_message(evidence, is_evidence_within(characteristic, evidence)))
    return message


def _verdict_message(verdict: Verdict) -> inspection_pb2.Verdict:
    return inspection_pb2.Verdict(
        qms_number=verdict.qms_number,
        revision=verdict.revision,
        outcome=OUTCOMES[verdict.outcome],
        decided_by=verdict.decided_by,
        remark=verdict.remark,
        occur_time=timestamp(verdict.occur_time),
    )


def _evidence_message(evidence: HistorianEvidence, is_within: bool) -> inspection_pb2.HistorianEvidence:
    message = inspection_pb2.HistorianEvidence(
        characteristic_id=evidence.characteristic_id,
        tag_id=evidence.tag_id,
        start_time=timestamp(evidence.start_time),
        end_time=timestamp(evidence.end_time),
        reading_count=evidence.reading_count,
        minimum=quantity_message(evidence.minimum) if evidence.minimum is not None else None,
        maximum=quantity_message(evidence.maximum) if evidence.maximum is not None else None,
        is_within_limits=is_within,
    )
    message.dwell_duration.FromTimedelta(evidence.dwell)
    for gap in evidence.gaps:
        message.gaps.add(start_time=timestamp(gap.start_time), end_time=timestamp(gap.end_time))
    return message


def nonconformance_message(case: Nonconformance) -> nonconformance_pb2.Nonconformance:
    return nonconformance_pb2.Nonconformance(
        nonconformance_id=case.nonconformance_id,
        plant_id=case.plant_id,
        inspection_id=case.inspection_id,
        work_order_id=case.work_order_id,
        item_id=case.item_id,
        lot_id=case.lot_id,
        failure_reasons=case.failure_reasons,
        is_after_release=case.is_after_release,
        open_time=timestamp(case.open_time),
        qms_case_number=case.qms_case_number,
    )


def specification_fact(specification: TestSpecification, now: datetime, key: BusinessKey | None = None) -> Fact:
    data = quality_events_pb2.TestSpecificationReleased(test_specification=specification_message(specification))
    name = specification.test_specification_id
    return Fact(data, specification.plant_id, f"test_specification:{name}", name, now, key)


def inspection_fact(data: Any, inspection: Inspection, at: datetime, **more: Any) -> Fact:
    order_id = inspection.work_order_id
    own = {"traceparent": inspection.traceparent, **more}
    return Fact(data, inspection.plant_id, order_id, inspection.inspection_id, at, **own)
