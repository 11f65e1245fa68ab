"""Decisions of quality, on what they have seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from servicekit.domain import BusinessKey
from servicekit.use_case import Decision
from services.quality import use_cases, wire
from services.quality.domain.batch import Batch, Sample
from services.quality.domain.inspection import (
    Disposition,
    Inspection,
    InspectionMissing,
    SampleMismatch,
    SampleUnknown,
    VerdictOutcome,
)
from services.quality.domain.nonconformance import opened
from services.quality.store import INSPECTIONS, STORE, TEST_SPECIFICATIONS
from tests.quality.domain.test_inspection import (
    BEGIN,
    DWELL,
    END,
    NOW,
    OPENED,
    SPECIFICATION,
    a_result,
    a_verdict,
    amount,
    shown,
)
from tests.support.seen import facts_of, seen

KEY = BusinessKey("lims", "result", "1")
SAMPLE = Sample("ghent", "L-1", OPENED.inspection_id)
ALL_BUT_PH = replace(
    OPENED, sample_number="L-1", evidences=(shown("dwell"), shown()), verdict=a_verdict(), missing_evidences=("ph",)
)


def a_checkpoint(**changes: Any) -> wire.ReachCheckpoint:
    command = wire.ReachCheckpoint("ghent", "ghent-1", "RESIN-5", "B-1", 30, amount("500", "KGM"), END, END.date())
    return replace(command, **changes)


def test_a_lot_at_its_checkpoint_is_inspected_from_the_first_confirmation_on() -> None:
    first = use_cases.decide_checkpoint(
        seen(STORE, SPECIFICATION), a_checkpoint(operation_sequence=10, lot_id="", occur_time=BEGIN), NOW
    )
    assert (list(first.changed), facts_of(first)) == ([Batch("ghent-1", BEGIN)], [])
    decision = use_cases.decide_checkpoint(seen(STORE, SPECIFICATION, *first.changed), a_checkpoint(), NOW)
    assert facts_of(decision) == ["InspectionOpened"]
    (inspection,) = (noun for noun in decision.changed if isinstance(noun, Inspection))
    assert (inspection.inspection_id, inspection.batch_start_time) == (OPENED.inspection_id, BEGIN)
    assert inspection.missing_evidences == ("dwell", "heat", "ph", "verdict")


@pytest.mark.parametrize(
    ("nouns", "changes"),
    [
        ([], {}),
        ([SPECIFICATION], {"operation_sequence": 20}),
        ([SPECIFICATION], {"lot_id": ""}),
        ([SPECIFICATION], {"good": amount("0", "KGM")}),
        ([SPECIFICATION, OPENED], {}),
        ([replace(SPECIFICATION, effective_end_date=END.date() - timedelta(days=1))], {}),
        ([replace(SPECIFICATION, effective_start_date=END.date() + timedelta(days=1))], {}),
    ],
)
def test_what_is_no_checkpoint_of_a_new_lot_opens_nothing(nouns: list[object], changes: dict[str, Any]) -> None:
    decision = use_cases.decide_checkpoint(seen(STORE, *nouns), a_checkpoint(**changes), NOW)
    assert facts_of(decision) == []


def test_ids_of_inspections_do_not_meet() -> None:
    """An order's number may end like an operation's, and a lot's begin like one."""
    every = [SPECIFICATION, replace(SPECIFICATION, test_specification_id="S-2", checkpoint_operation_sequence=20)]
    first = a_checkpoint(work_order_id="ghent-1", operation_sequence=30, lot_id="20-X")
    second = a_checkpoint(work_order_id="ghent-1-30", operation_sequence=20, lot_id="X")
    opened_first = use_cases.decide_checkpoint(seen(STORE, *every), first, NOW)
    state = seen(STORE, *every, *opened_first.changed)
    assert facts_of(use_cases.decide_checkpoint(state, second, NOW)) == ["InspectionOpened"]


def the_result(value: str = "7.1", revision: int = 1) -> wire.RecordTestResult:
    return wire.RecordTestResult(KEY, "ghent", "L-1", a_result(value, revision))


def test_the_last_evidence_decides_and_says_what_was_before() -> None:
    decision = use_cases.decide_result(seen(STORE, SAMPLE, ALL_BUT_PH), the_result(), NOW)
    assert facts_of(decision) == ["DispositionDecided"]
    said: Any = decision.facts[0].data
    assert said.previous_disposition == wire.DISPOSITIONS[Disposition.PENDING]
    assert (decision.facts[0].order_key, decision.facts[0].business_key) == ("ghent-1", KEY)


def test_evidence_that_decides_nothing_advances() -> None:
    decision = use_cases.decide_result(seen(STORE, SAMPLE, OPENED), the_result(), NOW)
    assert facts_of(decision) == ["InspectionAdvanced"]
    assert decision.facts[0].data.said == "ph"  # type: ignore[attr-defined]


def test_a_lot_that_fails_opens_one_case_however_often_it_fails() -> None:
    decision = use_cases.decide_result(seen(STORE, SAMPLE, ALL_BUT_PH), the_result("9.1"), NOW)
    assert facts_of(decision) == ["DispositionDecided", "NonconformanceOpened"]
    failed = next(noun for noun in decision.changed if isinstance(noun, Inspection))
    case = opened(ALL_BUT_PH, failed, NOW)
    again = use_cases.decide_result(seen(STORE, SAMPLE, ALL_BUT_PH, case), the_result("9.2"), NOW)
    assert facts_of(again) == ["DispositionDecided"]


def test_a_lot_that_fails_after_release_says_so() -> None:
    passed = use_cases.decide_result(seen(STORE, SAMPLE, ALL_BUT_PH), the_result(), NOW).changed[0]
    command = wire.RecordVerdict(KEY, "ghent", OPENED.inspection_id, a_verdict(VerdictOutcome.FAILED, 2))
    decision = use_cases.decide_verdict(seen(STORE, passed), command, NOW)
    assert facts_of(decision) == ["DispositionDecided", "NonconformanceOpened"]
    assert decision.facts[0].data.previous_disposition == wire.DISPOSITIONS[Disposition.PASSED]  # type: ignore[attr-defined]
    assert decision.facts[1].data.nonconformance.is_after_release  # type: ignore[attr-defined]


def test_what_is_known_already_is_moot() -> None:
    known = replace(ALL_BUT_PH, results=(a_result(),))
    assert use_cases.decide_result(seen(STORE, SAMPLE, known), the_result(), NOW).moot


def test_a_result_of_an_unknown_sample_waits() -> None:
    with pytest.raises(SampleUnknown):
        use_cases.decide_result(seen(STORE, OPENED), the_result(), NOW)


def register(inspection_id: str, sample: str, *nouns: object, plant_id: str = "ghent") -> Decision:
    command = wire.RegisterSample(None, plant_id, inspection_id, sample)
    return use_cases.decide_sample(seen(STORE, *nouns), command, NOW)


def test_a_sample_is_of_one_inspection() -> None:
    assert facts_of(register(OPENED.inspection_id, "L-1", OPENED)) == ["SampleRegistered"]
    taken = replace(OPENED, sample_number="L-1")
    assert register(OPENED.inspection_id, "L-1", taken, SAMPLE).moot
    other = replace(OPENED, inspection_id="ghent-2~30~B-2")
    with pytest.raises(SampleMismatch):
        register(other.inspection_id, "L-1", other, SAMPLE)
    with pytest.raises(InspectionMissing):
        register(OPENED.inspection_id, "L-1", OPENED, plant_id="brno")


def test_a_specification_is_said_when_it_differs_and_an_inspection_keeps_its_own() -> None:
    command = wire.RecordTestSpecification(KEY, SPECIFICATION)
    assert facts_of(use_cases.decide_specification(seen(STORE), command, NOW)) == ["TestSpecificationReleased"]
    assert facts_of(use_cases.decide_specification(seen(STORE, SPECIFICATION), command, NOW)) == []
    other = wire.RecordTestSpecification(KEY, replace(SPECIFICATION, version="4", characteristics=(DWELL,)))
    decision = use_cases.decide_specification(seen(STORE, SPECIFICATION), other, NOW)
    (after,) = decision.changed
    assert after.revision == 2  # type: ignore[attr-defined]
    assert OPENED.specification == SPECIFICATION


def test_rows_give_back_what_they_were_given() -> None:
    full = replace(ALL_BUT_PH, results=(a_result(),), disposition_reasons=("why",), disposition_time=NOW)

    class Row:
        def __init__(self, columns: Any) -> None:
            self.__dict__.update(columns)

    assert INSPECTIONS.from_row(Row(INSPECTIONS.to_row(full))) == full
    assert TEST_SPECIFICATIONS.from_row(Row(TEST_SPECIFICATIONS.to_row(SPECIFICATION))) == SPECIFICATION
