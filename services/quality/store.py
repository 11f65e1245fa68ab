"""Quality's tables, and how their rows become nouns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from servicekit.clock import instant, micros
from servicekit.domain import Quantity, plain
from servicekit.rows import Rows, table
from servicekit.use_case import Store
from services.quality.domain.batch import Batch, Sample
from services.quality.domain.inspection import (
    Disposition,
    Gap,
    HistorianEvidence,
    Inspection,
    InspectionMissing,
    TestResult,
    Verdict,
    VerdictOutcome,
)
from services.quality.domain.nonconformance import Nonconformance
from services.quality.domain.test_specification import (
    Characteristic,
    EvidenceSource,
    Statistic,
    TestSpecification,
    TestSpecificationMissing,
)

MICROSECOND = timedelta(microseconds=1)

# --- what is kept as JSON inside a row: amounts as [value, unit], instants and durations in microseconds


def _amount(quantity: Quantity | None) -> list[str] | None:
    return [plain(quantity.value), quantity.unit_code] if quantity is not None else None


def _quantity(kept: list[str] | None) -> Quantity | None:
    return Quantity(Decimal(kept[0]), kept[1]) if kept is not None else None


def _known(kept: list[str]) -> Quantity:
    return Quantity(Decimal(kept[0]), kept[1])


def _moment(time: datetime | None) -> int | None:
    return micros(time) if time is not None else None


def _characteristic(c: Characteristic) -> dict[str, Any]:
    return {
        "id": c.characteristic_id,
        "description": c.description,
        "source": c.evidence_source.value if c.evidence_source else "",
        "unit": c.unit_code,
        "lower": _amount(c.lower_limit),
        "upper": _amount(c.upper_limit),
        "tag": c.tag_id,
        "statistic": c.statistic.value if c.statistic else "",
        "dwell": c.required_dwell // MICROSECOND,
        "gap": c.allowed_gap // MICROSECOND,
    }


def _characteristics(kept: Iterable[Mapping[str, Any]]) -> tuple[Characteristic, ...]:
    return tuple(
        Characteristic(
            c["id"],
            c["description"],
            EvidenceSource(c["source"]) if c["source"] else None,
            c["unit"],
            _quantity(c["lower"]),
            _quantity(c["upper"]),
            c["tag"],
            Statistic(c["statistic"]) if c["statistic"] else None,
            c["dwell"] * MICROSECOND,
            c["gap"] * MICROSECOND,
        )
        for c in kept
    )


def _specification_columns(s: TestSpecification) -> dict[str, Any]:
    return {
        "plant_id": s.plant_id,
        "test_specification_id": s.test_specification_id,
        "item_id": s.item_id,
        "version": s.version,
        "effective_start_date": s.effective_start_date.isoformat(),
        "effective_end_date": s.effective_end_date.isoformat() if s.effective_end_date else None,
        "checkpoint_operation_sequence": s.checkpoint_operation_sequence,
        "characteristics": json.dumps([_characteristic(c) for c in s.characteristics]),
        "needs_verdict": s.needs_verdict,
        "revision": s.revision,
    }


def _specification(r: Any) -> TestSpecification:
    return TestSpecification(
        r.plant_id,
        r.test_specification_id,
        r.item_id,
        r.version,
        date.fromisoformat(r.effective_start_date),
        date.fromisoformat(r.effective_end_date) if r.effective_end_date else None,
        r.checkpoint_operation_sequence,
        _characteristics(json.loads(r.characteristics)),
        bool(r.needs_verdict),
        r.revision,
    )


def _evidence(e: HistorianEvidence) -> dict[str, Any]:
    return {
        "id": e.characteristic_id,
        "tag": e.tag_id,
        "start": micros(e.start_time),
        "end": micros(e.end_time),
        "count": e.reading_count,
        "minimum": _amount(e.minimum),
        "maximum": _amount(e.maximum),
        "dwell": e.dwell // MICROSECOND,
        "gaps": [[micros(gap.start_time), micros(gap.end_time)] for gap in e.gaps],
    }


def _evidences(text: str) -> tuple[HistorianEvidence, ...]:
    return tuple(
        HistorianEvidence(
            e["id"],
            e["tag"],
            instant(e["start"]),
            instant(e["end"]),
            e["count"],
            _quantity(e["minimum"]),
            _quantity(e["maximum"]),
            e["dwell"] * MICROSECOND,
            tuple(Gap(instant(begin), instant(end)) for begin, end in e["gaps"]),
        )
        for e in json.loads(text)
    )


def _results(text: str) -> tuple[TestResult, ...]:
    return tuple(TestResult(i, _known(value), revision, instant(at)) for i, value, revision, at in json.loads(text))


def _verdict(text: str) -> Verdict | None:
    kept = json.loads(text)
    if kept is None:
        return None
    number, revision, outcome, who, remark, at = kept
    return Verdict(number, revision, VerdictOutcome(outcome), who, remark, instant(at))


def _verdict_text(v: Verdict | None) -> str:
    if v is None:
        return "null"
    return json.dumps([v.qms_number, v.revision, v.outcome.value, v.decided_by, v.remark, micros(v.occur_time)])


# --- the tables

TEST_SPECIFICATIONS = Rows(
    table(
        "test_specifications",
        "plant_id test_specification_id item_id version effective_start_date effective_end_date characteristics",
        small="checkpoint_operation_sequence revision",
        flags="needs_verdict",
    ),
    TestSpecification,
    key=("plant_id", "test_specification_id"),
    owner=("plant_id", "item_id"),
    from_row=_specification,
    to_row=_specification_columns,
    missing=TestSpecificationMissing,
)

BATCHES = Rows(
    table("batches", "work_order_id", "start_time"),
    Batch,
    key=("work_order_id",),
    from_row=lambda r: Batch(r.work_order_id, instant(r.start_time)),
    to_row=lambda b: {"work_order_id": b.work_order_id, "start_time": micros(b.start_time)},
)

SAMPLES = Rows(
    table("samples", "plant_id sample_number inspection_id"),
    Sample,
    key=("plant_id", "sample_number"),
    from_row=lambda r: Sample(r.plant_id, r.sample_number, r.inspection_id),
    to_row=lambda s: {"plant_id": s.plant_id, "sample_number": s.sample_number, "inspection_id": s.inspection_id},
)


def _inspection(r: Any) -> Inspection:
    return Inspection(
        inspection_id=r.inspection_id,
        plant_id=r.plant_id,
        work_order_id=r.work_order_id,
        item_id=r.item_id,
        lot_id=r.lot_id,
        operation_sequence=r.operation_sequence,
        specification=_specification(SimpleNamespace(**json.loads(r.specification))),
        batch_start_time=instant(r.batch_start_time),
        checkpoint_time=instant(r.checkpoint_time),
        sample_number=r.sample_number,
        results=_results(r.results),
        evidences=_evidences(r.evidences),
        verdict=_verdict(r.verdict),
        disposition=Disposition(r.disposition),
        disposition_reasons=tuple(json.loads(r.disposition_reasons)),
        missing_evidences=tuple(json.loads(r.missing_evidences)),
        disposition_time=instant(r.disposition_time) if r.disposition_time is not None else None,
        traceparent=r.traceparent,
        version=r.version,
    )


def _inspection_columns(i: Inspection) -> dict[str, Any]:
    return {
        "inspection_id": i.inspection_id,
        "plant_id": i.plant_id,
        "work_order_id": i.work_order_id,
        "item_id": i.item_id,
        "lot_id": i.lot_id,
        "operation_sequence": i.operation_sequence,
        "specification": json.dumps(_specification_columns(i.specification)),
        "batch_start_time": micros(i.batch_start_time),
        "checkpoint_time": micros(i.checkpoint_time),
        "sample_number": i.sample_number,
        "results": json.dumps(
            [[r.characteristic_id, _amount(r.value), r.revision, micros(r.occur_time)] for r in i.results]
        ),
        "evidences": json.dumps([_evidence(e) for e in i.evidences]),
        "verdict": _verdict_text(i.verdict),
        "disposition": i.disposition.value,
        "disposition_reasons": json.dumps(i.disposition_reasons),
        "missing_evidences": json.dumps(i.missing_evidences),
        "disposition_time": _moment(i.disposition_time),
        "traceparent": i.traceparent,
        "version": i.version,
    }


INSPECTIONS = Rows(
    table(
        "inspections",
        "inspection_id plant_id work_order_id item_id lot_id specification sample_number results evidences verdict "
        "disposition disposition_reasons missing_evidences traceparent",
        "batch_start_time checkpoint_time disposition_time version",
        "operation_sequence",
    ),
    Inspection,
    key=("inspection_id",),
    from_row=_inspection,
    to_row=_inspection_columns,
    missing=InspectionMissing,
)

NONCONFORMANCES = Rows(
    table(
        "nonconformances",
        "nonconformance_id plant_id inspection_id work_order_id item_id lot_id failure_reasons qms_case_number",
        "open_time",
        flags="is_after_release",
    ),
    Nonconformance,
    key=("nonconformance_id",),
    from_row=lambda r: Nonconformance(
        r.nonconformance_id,
        r.plant_id,
        r.inspection_id,
        r.work_order_id,
        r.item_id,
        r.lot_id,
        tuple(json.loads(r.failure_reasons)),
        bool(r.is_after_release),
        instant(r.open_time),
        r.qms_case_number,
    ),
    to_row=lambda n: {
        "nonconformance_id": n.nonconformance_id,
        "plant_id": n.plant_id,
        "inspection_id": n.inspection_id,
        "work_order_id": n.work_order_id,
        "item_id": n.item_id,
        "lot_id": n.lot_id,
        "failure_reasons": json.dumps(n.failure_reasons),
        "is_after_release": n.is_after_release,
        "open_time": micros(n.open_time),
        "qms_case_number": n.qms_case_number,
    },
)

STORE = Store("quality", (TEST_SPECIFICATIONS, BATCHES, SAMPLES, INSPECTIONS, NONCONFORMANCES))
