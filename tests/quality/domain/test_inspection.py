"""What comes of what is said of a lot, in whichever order it is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.domain import Quantity
from services.quality.domain.inspection import (
    CharacteristicUnknown,
    Disposition,
    EvidenceOutsideBatch,
    Gap,
    HistorianEvidence,
    Inspection,
    ResultUnitMismatch,
    RevisionConflict,
    SampleMismatch,
    TestResult,
    TimeImplausible,
    Verdict,
    VerdictContradicts,
    VerdictOutcome,
    judge,
)
from services.quality.domain.test_specification import (
    Characteristic,
    CharacteristicInvalid,
    CharacteristicRepeated,
    EvidenceSource,
    Statistic,
    TestSpecification,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BEGIN, END = NOW - timedelta(hours=4), NOW - timedelta(hours=1)
PASSED, FAILED, PENDING = Disposition.PASSED, Disposition.FAILED, Disposition.PENDING


def amount(value: str, unit: str) -> Quantity:
    return Quantity(Decimal(value), unit)


PH = Characteristic("ph", "acidity", EvidenceSource.LABORATORY, "Q30", amount("6.5", "Q30"), amount("8.5", "Q30"))
HEAT = Characteristic(
    "heat",
    "reactor temperature",
    EvidenceSource.HISTORIAN,
    "CEL",
    amount("70", "CEL"),
    amount("90", "CEL"),
    "reactor1.temperature",
    Statistic.RANGE,
    allowed_gap=timedelta(minutes=1),
)
DWELL = replace(HEAT, characteristic_id="dwell", statistic=Statistic.DWELL, required_dwell=timedelta(minutes=30))
SPECIFICATION = TestSpecification(
    "ghent", "SPEC-1", "RESIN-5", "3", date(2026, 1, 1), None, 30, (PH, HEAT, DWELL), needs_verdict=True
)
OPENED = Inspection("ghent-1~30~B-1", "ghent", "ghent-1", "RESIN-5", "B-1", 30, SPECIFICATION, BEGIN, END)


def a_result(value: str = "7.1", revision: int = 1, unit: str = "Q30", **changes: Any) -> TestResult:
    return replace(TestResult("ph", amount(value, unit), revision, NOW - timedelta(minutes=30)), **changes)


def shown(name: str = "heat", low: str = "75", high: str = "85", minutes: int = 40, *gaps: Gap) -> HistorianEvidence:
    levels = amount(low, "CEL"), amount(high, "CEL")
    return HistorianEvidence(name, "reactor1.temperature", BEGIN, END, 180, *levels, timedelta(minutes=minutes), gaps)


def a_verdict(outcome: VerdictOutcome = VerdictOutcome.PASSED, revision: int = 1, number: str = "Q-7") -> Verdict:
    return Verdict(number, revision, outcome, "meyer", "as agreed", NOW - timedelta(minutes=10))


GOOD = [a_result(), shown(), shown("dwell"), a_verdict()]
GAP = Gap(BEGIN + timedelta(minutes=60), BEGIN + timedelta(minutes=75))


def say(inspection: Inspection, said: Any) -> Inspection:
    if isinstance(said, TestResult):
        return inspection.with_result(said, NOW)
    if isinstance(said, HistorianEvidence):
        return inspection.with_evidence(said)
    return inspection.with_verdict(said, NOW)


def judged(*said: Any) -> Any:
    inspection = OPENED
    for one in said:
        inspection = say(inspection, one)
    return judge(inspection)


def test_a_lot_passes_when_all_is_there_and_inside() -> None:
    assert judged(*GOOD).disposition is PASSED
    assert judged(*GOOD).missing == ()


@pytest.mark.parametrize(("left_out", "missing"), list(enumerate(["ph", "heat", "dwell", "verdict"])))
def test_a_lot_is_pending_while_anything_is_missing(left_out: int, missing: str) -> None:
    judgement = judged(*(said for number, said in enumerate(GOOD) if number != left_out))
    assert (judgement.disposition, judgement.missing) == (PENDING, (missing,))


@pytest.mark.parametrize("value", ["6.5", "8.5"])
def test_a_value_on_a_limit_is_inside(value: str) -> None:
    assert judged(a_result(value), *GOOD[1:]).disposition is PASSED


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (a_result("9.1"), "ph is 9.1 Q30, limits are 6.5 to 8.5 Q30"),
        (shown(high="90.1"), "heat reached 90.1 CEL, limits are 70 to 90 CEL"),
        (shown(low="69.9"), "heat reached 69.9 CEL, limits are 70 to 90 CEL"),
        (shown("dwell", minutes=29), "dwell was 0:29:00 at 70 to 90 CEL, required is 0:30:00"),
        (a_verdict(VerdictOutcome.FAILED), "the QMS failed it in Q-7: as agreed"),
    ],
)
def test_a_lot_fails_by_the_first_thing_that_is_outside_and_says_it(bad: Any, told: str) -> None:
    judgement = judged(bad)
    assert (judgement.disposition, judgement.reasons) == (FAILED, (told,))


def test_a_gap_is_no_evidence_it_neither_passes_nor_fails_a_lot() -> None:
    for said in (shown("heat", "75", "85", 40, GAP), shown("dwell", "75", "85", 20, GAP)):
        others = [one for one in GOOD if getattr(one, "characteristic_id", "") != said.characteristic_id]
        judgement = judged(said, *others)
        assert (judgement.disposition, judgement.missing) == (PENDING, (said.characteristic_id,))
        assert "gap from 2026-11-24 09:00:00 to 09:15:00 UTC" in judgement.reasons[0]


def test_what_is_seen_outside_the_limits_fails_also_beside_a_gap() -> None:
    assert judged(shown("heat", "75", "95", 40, GAP)).disposition is FAILED
    assert judged(shown("dwell", "75", "85", 10, GAP)).disposition is FAILED  # the gap cannot hide what lacks


def test_a_tag_without_a_good_reading_is_no_evidence() -> None:
    nothing = replace(shown(), minimum=None, maximum=None, reading_count=0)
    assert judged(GOOD[0], nothing, *GOOD[2:]).missing == ("heat",)


def test_a_later_revision_of_the_verdict_releases_what_failed_but_not_what_nobody_measured() -> None:
    concession = a_verdict(revision=2)
    bad = [a_result("9.1"), *GOOD[1:3]]
    assert judged(*bad, a_verdict()).disposition is FAILED
    assert judged(*bad, a_verdict(), concession).disposition is PASSED
    assert judged(*bad[1:], concession).disposition is PENDING
    assert judged(*GOOD[:3], a_verdict(), a_verdict(VerdictOutcome.FAILED, 2)).disposition is FAILED


def test_a_correction_of_a_result_counts_and_an_older_one_does_not() -> None:
    assert judged(a_result("9.1"), a_result("8.4", 2), a_result("9.1"), *GOOD[1:]).disposition is PASSED


def test_a_laboratory_whose_clock_shows_minutes_may_say_a_little_before_the_batch() -> None:
    said = judged(a_result(occur_time=BEGIN - timedelta(minutes=5)), *GOOD[1:])
    assert said.disposition is PASSED


SAID = [a_result("9.1"), a_result("8.4", 2), shown(), shown("dwell"), a_verdict(), a_verdict(VerdictOutcome.FAILED, 2)]


@given(st.permutations(SAID), st.lists(st.sampled_from(SAID), max_size=4))
def test_order_and_repetition_change_nothing(order: list[Any], again: list[Any]) -> None:
    assert judged(*order, *again) == judged(*SAID)


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (a_result(unit="P1"), ResultUnitMismatch),
        (replace(shown(), maximum=amount("85", "BAR")), ResultUnitMismatch),
        (a_result(characteristic_id="heat"), CharacteristicUnknown),
        (replace(shown(), characteristic_id="ph"), CharacteristicUnknown),
        (a_result(occur_time=datetime(1970, 1, 1, tzinfo=UTC)), TimeImplausible),
        (a_result(occur_time=NOW + timedelta(minutes=6)), TimeImplausible),
        (a_result(occur_time=BEGIN - timedelta(minutes=5, seconds=1)), TimeImplausible),
        (replace(a_verdict(), occur_time=datetime(1970, 1, 1, tzinfo=UTC)), TimeImplausible),
        (replace(shown(), end_time=END + timedelta(seconds=1)), EvidenceOutsideBatch),
        (a_result("7.2"), RevisionConflict),
        (a_verdict(VerdictOutcome.FAILED), RevisionConflict),
        (a_verdict(VerdictOutcome.FAILED, number="Q-8"), VerdictContradicts),
    ],
)
def test_what_cannot_be_is_refused(said: Any, refusal: type[Exception]) -> None:
    inspection = say(say(OPENED, a_result()), a_verdict())
    with pytest.raises(refusal):
        say(inspection, said)


def test_a_second_decision_that_says_the_same_changes_nothing() -> None:
    inspection = say(OPENED, a_verdict())
    assert say(inspection, a_verdict(number="Q-8")) == inspection


def test_an_inspection_has_one_sample() -> None:
    with pytest.raises(SampleMismatch):
        OPENED.with_sample("L-1").with_sample("L-2")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lower_limit": None, "upper_limit": None}, "lower_limit"),
        ({"upper_limit": amount("6", "Q30")}, "upper_limit"),
        ({"unit_code": "CEL"}, "unit_code"),
        ({"evidence_source": None}, "evidence_source"),
        ({"evidence_source": EvidenceSource.HISTORIAN}, "tag_id"),
    ],
)
def test_a_characteristic_that_cannot_be_judged_is_refused(changes: dict[str, Any], field: str) -> None:
    wrong = replace(SPECIFICATION, characteristics=(replace(PH, **changes),))
    with pytest.raises(CharacteristicInvalid) as refusal:
        wrong.check()
    assert refusal.value.facts["field"] == field


def test_characteristics_have_ids_of_their_own() -> None:
    SPECIFICATION.check()
    with pytest.raises(CharacteristicRepeated):
        replace(SPECIFICATION, characteristics=(PH, PH)).check()
