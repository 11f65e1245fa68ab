"""What changes something in quality: per verb what to load, and a pure decision. The kit saves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from isthmus.quality.v1 import quality_events_pb2 as events
from isthmus.quality.v1 import quality_service_pb2 as messages
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.quality import wire
from services.quality.domain import inspection as inspections
from services.quality.domain import nonconformance
from services.quality.domain.batch import Batch, Sample
from services.quality.domain.inspection import Disposition, Inspection, SampleMismatch, SampleUnknown
from services.quality.domain.test_specification import TestSpecification
from services.quality.store import BATCHES, INSPECTIONS, NONCONFORMANCES, SAMPLES, TEST_SPECIFICATIONS

Loads = list[Key[Any] | Owned[Any]]


# --- test specifications


def decide_specification(seen: Seen, command: wire.RecordTestSpecification, now: datetime) -> Decision:
    """Keep a test specification as its owner has it now."""
    said = command.specification
    said.check()
    known = seen.get(TEST_SPECIFICATIONS.key(said.plant_id, said.test_specification_id))
    after = replace(said, revision=known.revision) if known is not None else said
    is_new = after != known
    if known is not None and is_new:
        after = replace(after, revision=known.revision + 1)
    answer = messages.RecordTestSpecificationResponse(test_specification=wire.specification_message(after))
    facts = [wire.specification_fact(after, now, command.business_key)] if is_new else []
    return Decision(changed=[after] if is_new else [], facts=facts, answer=answer)


record_test_specification = UseCase(
    name="record_test_specification",
    loads=lambda c, seen: [TEST_SPECIFICATIONS.key(c.specification.plant_id, c.specification.test_specification_id)],
    decide=decide_specification,
    fingerprint=Fingerprint.of("specification"),
    answers=messages.RecordTestSpecificationResponse,
)


# --- checkpoints and samples


def decide_checkpoint(seen: Seen, command: wire.ReachCheckpoint, now: datetime) -> Decision:
    """A lot at its release checkpoint is inspected, once; before it, an order's first confirmation begins its batch."""
    specifications = seen.all(TEST_SPECIFICATIONS.of(command.plant_id, command.item_id))
    if not specifications:
        return Decision(moot="nobody inspects the item")
    known = seen.get(BATCHES.key(command.work_order_id))
    batch = (known or Batch(command.work_order_id, command.occur_time)).heard(command.occur_time)
    changed: list[object] = [batch] if batch != known else []
    specification = _specification_at(specifications, command)
    if specification is None or seen.get(INSPECTIONS.key(_inspection_id(command))) is not None:
        return Decision(changed=changed) if changed else Decision(moot="no checkpoint, or inspected already")
    opened = _opened(command, specification, batch, seen.traceparent)
    data = events.InspectionOpened(inspection=wire.inspection_message(opened))
    fact = wire.inspection_fact(data, opened, command.occur_time)
    return Decision(changed=[*changed, opened], facts=[fact], traceparent=opened.traceparent)


def _specification_at(
    specifications: list[TestSpecification], command: wire.ReachCheckpoint
) -> TestSpecification | None:
    """The one that has its checkpoint here: of several the one that began last."""
    if not command.lot_id or command.good.value <= 0:
        return None
    effective = [
        one
        for one in specifications
        if one.checkpoint_operation_sequence == command.operation_sequence and one.is_effective(command.plant_day)
    ]
    return max(effective, key=lambda s: (s.effective_start_date, s.test_specification_id), default=None)


def _inspection_id(command: wire.ReachCheckpoint) -> str:
    return f"{command.work_order_id}~{command.operation_sequence}~{command.lot_id}"


def _opened(
    command: wire.ReachCheckpoint, specification: TestSpecification, batch: Batch, traceparent: str
) -> Inspection:
    opened = Inspection(
        _inspection_id(command),
        command.plant_id,
        command.work_order_id,
        command.item_id,
        command.lot_id,
        command.operation_sequence,
        specification,
        batch.start_time,
        command.occur_time,
        traceparent=traceparent,
    )
    return replace(opened, missing_evidences=inspections.judge(opened).missing)


reach_checkpoint = UseCase(
    name="reach_checkpoint",
    loads=lambda c, seen: [
        TEST_SPECIFICATIONS.of(c.plant_id, c.item_id),
        BATCHES.key(c.work_order_id),
        INSPECTIONS.key(_inspection_id(c)),
    ],
    decide=decide_checkpoint,
)


def decide_sample(seen: Seen, command: wire.RegisterSample, now: datetime) -> Decision:
    """Note the laboratory's own number of an inspection's sample."""
    before = _inspection(seen, command.plant_id, command.inspection_id)
    sample = seen.get(SAMPLES.key(command.plant_id, command.sample_number))
    if sample is not None and sample.inspection_id != before.inspection_id:
        raise SampleMismatch(
            sample_number=command.sample_number, inspection_id=before.inspection_id, known=sample.inspection_id
        )
    after = before.with_sample(command.sample_number)
    if after == before:
        answer = messages.RegisterSampleResponse(inspection=wire.inspection_message(before))
        return Decision(answer=answer, moot="known already", traceparent=before.traceparent)
    after = replace(after, version=after.version + 1)
    said = wire.inspection_message(after)
    return Decision(
        changed=[after, Sample(command.plant_id, command.sample_number, after.inspection_id)],
        facts=[wire.inspection_fact(events.SampleRegistered(inspection=said), after, now)],
        answer=messages.RegisterSampleResponse(inspection=said),
        traceparent=after.traceparent,
    )


def _inspection(seen: Seen, plant_id: str, inspection_id: str) -> Inspection:
    """INSPECTION_MISSING, also for one of another plant."""
    found = seen.one(INSPECTIONS.key(inspection_id))
    if found.plant_id != plant_id:
        raise inspections.InspectionMissing(inspection_id=inspection_id)
    return found


register_sample = UseCase(
    name="register_sample",
    loads=lambda c, seen: [INSPECTIONS.key(c.inspection_id), SAMPLES.key(c.plant_id, c.sample_number)],
    decide=decide_sample,
    fingerprint=Fingerprint.of("plant_id", "inspection_id", "sample_number"),
    answers=messages.RegisterSampleResponse,
)


# --- evidence


def decide_result(seen: Seen, command: wire.RecordTestResult, now: datetime) -> Decision:
    """Take a laboratory result, or its correction."""
    sample = seen.get(SAMPLES.key(command.plant_id, command.sample_number))
    if sample is None:
        raise SampleUnknown(plant_id=command.plant_id, sample_number=command.sample_number)
    before = seen.one(INSPECTIONS.key(sample.inspection_id))
    after = before.with_result(command.result, now)
    at = command.result.occur_time
    return _advance(
        seen, command, before, after, now, messages.RecordTestResultResponse, command.result.characteristic_id, at
    )


def _result_loads(command: wire.RecordTestResult, seen: Seen) -> Loads:
    key = SAMPLES.key(command.plant_id, command.sample_number)
    sample = seen.get(key)
    return [key, *(_evidence_loads(sample.inspection_id) if sample is not None else ())]


def _evidence_loads(inspection_id: str) -> Loads:
    return [
        INSPECTIONS.key(inspection_id),
        NONCONFORMANCES.key(nonconformance.nonconformance_id(inspection_id)),
    ]


record_test_result = UseCase(
    name="record_test_result",
    loads=_result_loads,
    decide=decide_result,
    fingerprint=Fingerprint.of("plant_id", "sample_number", "result"),
    answers=messages.RecordTestResultResponse,
)


def decide_evidence(seen: Seen, command: wire.RecordHistorianEvidence, now: datetime) -> Decision:
    """Take what the historian showed over the batch."""
    before = _inspection(seen, command.plant_id, command.inspection_id)
    after = before.with_evidence(command.evidence)
    said = command.evidence.characteristic_id
    return _advance(seen, command, before, after, now, messages.RecordHistorianEvidenceResponse, said, now)


record_historian_evidence = UseCase(
    name="record_historian_evidence",
    loads=lambda c, seen: _evidence_loads(c.inspection_id),
    decide=decide_evidence,
    fingerprint=Fingerprint.of("plant_id", "inspection_id", "evidence"),
    answers=messages.RecordHistorianEvidenceResponse,
)


def decide_verdict(seen: Seen, command: wire.RecordVerdict, now: datetime) -> Decision:
    """Take the QMS's decision, or its revision."""
    before = _inspection(seen, command.plant_id, command.inspection_id)
    after = before.with_verdict(command.verdict, now)
    at = command.verdict.occur_time
    return _advance(seen, command, before, after, now, messages.RecordVerdictResponse, "verdict", at)


record_verdict = UseCase(
    name="record_verdict",
    loads=lambda c, seen: _evidence_loads(c.inspection_id),
    decide=decide_verdict,
    fingerprint=Fingerprint.of("plant_id", "inspection_id", "verdict"),
    answers=messages.RecordVerdictResponse,
)


def _advance(  # the one way in which evidence becomes a disposition
    seen: Seen,
    command: wire.RecordTestResult | wire.RecordHistorianEvidence | wire.RecordVerdict,
    before: Inspection,
    after: Inspection,
    now: datetime,
    answers: Any,
    said: str,
    at: datetime,
) -> Decision:
    """What follows from evidence that came in: the inspection advances, or its lot gets another disposition."""
    if after == before:
        answer = answers(inspection=wire.inspection_message(before))
        return Decision(answer=answer, moot="known already, or older", traceparent=before.traceparent)
    after = inspections.disposed(after, now)
    told = wire.inspection_message(after)
    data: Any = events.InspectionAdvanced(inspection=told, said=said)
    if after.disposition is not before.disposition:
        previous = wire.DISPOSITIONS[before.disposition]
        data = events.DispositionDecided(inspection=told, previous_disposition=previous)
    more = {"business_key": command.business_key, "is_late": getattr(command, "is_late", False)}
    changed: list[object] = [after]
    facts: list[Fact] = [wire.inspection_fact(data, after, at, **more)]
    case = NONCONFORMANCES.key(nonconformance.nonconformance_id(after.inspection_id))
    if after.disposition is Disposition.FAILED and seen.get(case) is None:
        opened = nonconformance.opened(before, after, now)
        changed.append(opened)
        cased = events.NonconformanceOpened(nonconformance=wire.nonconformance_message(opened))
        facts.append(wire.inspection_fact(cased, after, at, **more))
    return Decision(changed=changed, facts=facts, answer=answers(inspection=told), traceparent=after.traceparent)


# --- cases


def decide_note_case(seen: Seen, command: wire.NoteCase, now: datetime) -> Decision:
    """The QMS has a case, under its own number."""
    known = seen.get(NONCONFORMANCES.key(command.nonconformance_id))
    if known is None or known.qms_case_number == command.qms_case_number:
        return Decision(moot="no case of ours, or known already")
    return Decision(changed=[replace(known, qms_case_number=command.qms_case_number)])


note_case = UseCase(
    name="note_case",
    loads=lambda c, seen: [NONCONFORMANCES.key(c.nonconformance_id)],
    decide=decide_note_case,
)
