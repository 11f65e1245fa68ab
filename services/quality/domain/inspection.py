"""The inspection of a lot: takes what laboratory, historian and QMS say, in any order and as often as they say it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from servicekit.domain import DomainError, Kind, Quantity
from services.quality.domain.test_specification import Characteristic, EvidenceSource, Statistic, TestSpecification

CLOCK_SKEW = timedelta(minutes=5)  # how far a source's clock may be ahead of ours or behind the plant's


class Disposition(enum.Enum):
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


class VerdictOutcome(enum.Enum):
    PASSED = "passed"
    FAILED = "failed"


class InspectionMissing(DomainError):
    """There is no inspection of this id; its checkpoint may be on the way."""

    reason, kind = "INSPECTION_MISSING", Kind.MISSING


class SampleUnknown(DomainError):
    """No inspection has this sample; its registration may be on the way."""

    reason, kind = "SAMPLE_UNKNOWN", Kind.MISSING


class SampleMismatch(DomainError):
    """The sample belongs to another inspection, or the inspection has another sample."""

    reason, kind = "SAMPLE_MISMATCH", Kind.PRECONDITION


class CharacteristicUnknown(DomainError):
    """The specification has no such characteristic of this source."""

    reason, kind = "CHARACTERISTIC_UNKNOWN", Kind.INVALID


class ResultUnitMismatch(DomainError):
    """The value's unit is not the characteristic's."""

    reason, kind = "RESULT_UNIT_MISMATCH", Kind.INVALID


class RevisionConflict(DomainError):
    """One revision was said with two contents."""

    reason, kind = "REVISION_CONFLICT", Kind.KEY_CONFLICT


class VerdictContradicts(DomainError):
    """Another decision of the QMS says the opposite for this lot."""

    reason, kind = "VERDICT_CONTRADICTS", Kind.PRECONDITION


class EvidenceOutsideBatch(DomainError):
    """The evidence is not of the batch's time."""

    reason, kind = "EVIDENCE_OUTSIDE_BATCH", Kind.INVALID


class TimeImplausible(DomainError):
    """The time is ahead of our clock, or before the batch began, by more than five minutes."""

    reason, kind = "TIME_IMPLAUSIBLE", Kind.INVALID


@dataclass(frozen=True, slots=True)
class TestResult:
    """The laboratory's value; `revision` counts its corrections."""

    characteristic_id: str
    value: Quantity
    revision: int
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    start_time: datetime
    end_time: datetime

    def __str__(self) -> str:
        return f"gap from {self.start_time:%Y-%m-%d %H:%M:%S} to {self.end_time:%H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class HistorianEvidence:
    """What a tag showed over the batch; no minimum: there was no good reading."""

    characteristic_id: str
    tag_id: str
    start_time: datetime
    end_time: datetime
    reading_count: int
    minimum: Quantity | None
    maximum: Quantity | None
    dwell: timedelta
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the QMS decided; `revision` counts changes of this decision."""

    qms_number: str
    revision: int
    outcome: VerdictOutcome
    decided_by: str
    remark: str
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class Inspection:
    """The question, with everything that was said to answer it. `specification` is as it was when the inspection opened."""

    inspection_id: str
    plant_id: str
    work_order_id: str
    item_id: str
    lot_id: str
    operation_sequence: int
    specification: TestSpecification
    batch_start_time: datetime
    checkpoint_time: datetime
    sample_number: str = ""
    results: tuple[TestResult, ...] = ()
    evidences: tuple[HistorianEvidence, ...] = ()
    verdict: Verdict | None = None
    disposition: Disposition = Disposition.PENDING
    disposition_reasons: tuple[str, ...] = ()
    missing_evidences: tuple[str, ...] = ()
    disposition_time: datetime | None = None
    traceparent: str = ""
    version: int = 1

    def result(self, characteristic_id: str) -> TestResult | None:
        return next((r for r in self.results if r.characteristic_id == characteristic_id), None)

    def evidence(self, characteristic_id: str) -> HistorianEvidence | None:
        return next((e for e in self.evidences if e.characteristic_id == characteristic_id), None)

    def with_sample(self, sample_number: str) -> Inspection:
        """SAMPLE_MISMATCH."""
        if self.sample_number not in ("", sample_number):
            raise SampleMismatch(
                sample_number=sample_number, inspection_id=self.inspection_id, known=self.sample_number
            )
        return replace(self, sample_number=sample_number)

    def with_result(self, new: TestResult, now: datetime) -> Inspection:
        """CHARACTERISTIC_UNKNOWN, RESULT_UNIT_MISMATCH, TIME_IMPLAUSIBLE, REVISION_CONFLICT. Older ones change nothing."""
        characteristic = self._characteristic(new.characteristic_id, EvidenceSource.LABORATORY)
        _require_unit(characteristic, new.value)
        self._require_plausible(new.occur_time, now)
        known = self.result(new.characteristic_id)
        if known is not None and not _is_newer(known, new, self, characteristic_id=new.characteristic_id):
            return self
        others = [r for r in self.results if r.characteristic_id != new.characteristic_id]
        return replace(self, results=tuple(sorted([*others, new], key=lambda r: r.characteristic_id)))

    def with_evidence(self, new: HistorianEvidence) -> Inspection:
        """CHARACTERISTIC_UNKNOWN, RESULT_UNIT_MISMATCH, EVIDENCE_OUTSIDE_BATCH. What was asked last holds."""
        characteristic = self._characteristic(new.characteristic_id, EvidenceSource.HISTORIAN)
        for value in (new.minimum, new.maximum):
            if value is not None:
                _require_unit(characteristic, value)
        if (new.start_time, new.end_time) != (self.batch_start_time, self.checkpoint_time):
            begin, end = new.start_time.isoformat(), new.end_time.isoformat()
            raise EvidenceOutsideBatch(inspection_id=self.inspection_id, start_time=begin, end_time=end)
        others = [e for e in self.evidences if e.characteristic_id != new.characteristic_id]
        return replace(self, evidences=tuple(sorted([*others, new], key=lambda e: e.characteristic_id)))

    def with_verdict(self, new: Verdict, now: datetime) -> Inspection:
        """TIME_IMPLAUSIBLE, REVISION_CONFLICT, VERDICT_CONTRADICTS. An older revision changes nothing."""
        self._require_plausible(new.occur_time, now)
        known = self.verdict
        if known is not None and known.qms_number != new.qms_number:
            if known.outcome is not new.outcome:
                raise VerdictContradicts(
                    inspection_id=self.inspection_id, qms_number=new.qms_number, known=known.qms_number
                )
            return self
        if known is not None and not _is_newer(known, new, self, qms_number=new.qms_number):
            return self
        return replace(self, verdict=new)

    def _characteristic(self, characteristic_id: str, source: EvidenceSource) -> Characteristic:
        found = self.specification.characteristic(characteristic_id, source)
        if found is None:
            raise CharacteristicUnknown(inspection_id=self.inspection_id, characteristic_id=characteristic_id)
        return found

    def _require_plausible(self, occur_time: datetime, now: datetime) -> None:
        if not self.batch_start_time - CLOCK_SKEW <= occur_time <= now + CLOCK_SKEW:
            raise TimeImplausible(occur_time=occur_time.isoformat())


def _require_unit(characteristic: Characteristic, value: Quantity) -> None:
    if value.unit_code != characteristic.unit_code:
        name, expected = characteristic.characteristic_id, characteristic.unit_code
        raise ResultUnitMismatch(characteristic_id=name, unit_code=value.unit_code, expected=expected)


def _is_newer(known: TestResult | Verdict, new: TestResult | Verdict, inspection: Inspection, **name: str) -> bool:
    if known.revision == new.revision and known != new:
        raise RevisionConflict(inspection_id=inspection.inspection_id, **name, revision=new.revision)
    return new.revision > known.revision


# --- disposition


@dataclass(frozen=True, slots=True)
class Judgement:
    """`missing`: ids of characteristics that nobody has spoken of, or not so that it counts; and "verdict"."""

    disposition: Disposition
    reasons: tuple[str, ...]
    missing: tuple[str, ...]


def judge(inspection: Inspection) -> Judgement:
    """What all that was said comes to. Pure in what is there: the order in which it came does not matter."""
    verdict = inspection.verdict
    absent, gaps, failures = _evidence(inspection)
    if verdict is not None and verdict.outcome is VerdictOutcome.FAILED:
        failures.append(f"the QMS failed it in {verdict.qms_number}: {verdict.remark or 'without a remark'}")
    is_concession = verdict is not None and verdict.outcome is VerdictOutcome.PASSED and verdict.revision > 1
    if verdict is not None and is_concession and not absent:
        told = f"passed by {verdict.decided_by or 'the QMS'} in {verdict.qms_number}, revision {verdict.revision}"
        return Judgement(Disposition.PASSED, (told, *failures, *gaps.values()), ())
    if verdict is None and inspection.specification.needs_verdict:
        absent.append("verdict")
    missing = tuple(sorted([*absent, *gaps]))
    if failures:
        return Judgement(Disposition.FAILED, tuple(failures), missing)
    if missing:
        return Judgement(Disposition.PENDING, tuple(gaps.values()), missing)
    count = len(inspection.specification.characteristics)
    return Judgement(Disposition.PASSED, (f"all {count} characteristics are inside their limits",), ())


def _evidence(inspection: Inspection) -> tuple[list[str], dict[str, str], list[str]]:
    """(ids that nobody has spoken of, by id why what was said is no evidence, failures in plant words)."""
    absent: list[str] = []
    gaps: dict[str, str] = {}
    failures: list[str] = []
    for characteristic in inspection.specification.characteristics:
        name = characteristic.characteristic_id
        if characteristic.evidence_source is EvidenceSource.LABORATORY:
            result = inspection.result(name)
            if result is None:
                absent.append(name)
            elif not characteristic.is_within(result.value):
                failures.append(f"{name} is {result.value}, limits are {characteristic.limits}")
            continue
        evidence = inspection.evidence(name)
        if evidence is None:
            absent.append(name)
        elif told := historian_failure(characteristic, evidence):
            failures.append(told)
        elif evidence.gaps or evidence.minimum is None:
            why = str(evidence.gaps[0]) if evidence.gaps else "no good reading"
            gaps[name] = f"{name} ({evidence.tag_id}): {why}"
    return absent, gaps, failures


def historian_failure(characteristic: Characteristic, evidence: HistorianEvidence) -> str:
    """Why it fails, in plant words; empty: what was seen is inside. What a gap hides can still make a dwell long enough."""
    name = characteristic.characteristic_id
    if characteristic.statistic is Statistic.DWELL:
        hidden = sum((gap.end_time - gap.start_time for gap in evidence.gaps), timedelta())
        if evidence.minimum is None or evidence.dwell + hidden >= characteristic.required_dwell:
            return ""
        return f"{name} was {evidence.dwell} at {characteristic.limits}, required is {characteristic.required_dwell}"
    for value in (evidence.minimum, evidence.maximum):
        if value is not None and not characteristic.is_within(value):
            return f"{name} reached {value}, limits are {characteristic.limits}"
    return ""


def is_evidence_within(characteristic: Characteristic, evidence: HistorianEvidence) -> bool:
    """Inside the limits, and nothing is hidden by a gap."""
    is_seen = evidence.minimum is not None and not evidence.gaps
    return is_seen and not historian_failure(characteristic, evidence)


def disposed(inspection: Inspection, now: datetime) -> Inspection:
    """The inspection with its judgement, as one change."""
    judgement = judge(inspection)
    is_changed = judgement.disposition is not inspection.disposition
    return replace(
        inspection,
        disposition=judgement.disposition,
        disposition_reasons=judgement.reasons,
        missing_evidences=judgement.missing,
        disposition_time=now if is_changed else inspection.disposition_time,
        version=inspection.version + 1,
    )
