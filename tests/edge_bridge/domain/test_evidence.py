"""What a tag shows over a window, and that nothing is ever read into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.edge_bridge.domain.evidence import GAPS_MOST, Evidence, Gap, Question, Reading, evidence

BEGIN = datetime(2026, 11, 25, 6, tzinfo=UTC)
HOLD = Question(BEGIN, BEGIN + timedelta(seconds=60), Decimal(78), Decimal(82), timedelta(seconds=10))


def at(second: float) -> datetime:
    return BEGIN + timedelta(seconds=second)


def good(second: float, value: str = "80") -> Reading:
    return Reading(at(second), Decimal(value), is_good=True)


def bad(second: float, value: str = "80") -> Reading:
    return Reading(at(second), Decimal(value), is_good=False)


def every_ten(value: str = "80") -> list[Reading]:
    return [good(second, value) for second in range(0, 61, 10)]


def test_a_window_full_of_good_readings_has_no_gap_and_dwells_throughout() -> None:
    seen = evidence(every_ten(), HOLD)
    assert seen == Evidence(7, Decimal(80), Decimal(80), timedelta(seconds=60), ())


def test_a_value_on_a_limit_is_inside() -> None:
    assert evidence([good(0, "78"), good(10, "82")], HOLD).dwell == timedelta(seconds=10)


def test_time_beside_a_reading_outside_the_limits_counts_for_nothing() -> None:
    readings = [*every_ten()[:3], good(30, "85"), *every_ten()[4:]]
    seen = evidence(readings, HOLD)
    assert (seen.maximum, seen.dwell) == (Decimal(85), timedelta(seconds=40))
    assert seen.gaps == ()


def test_two_readings_further_apart_than_allowed_are_a_gap_and_no_dwell() -> None:
    readings = [reading for reading in every_ten() if reading.time != at(30)]
    seen = evidence(readings, HOLD)
    assert seen.gaps == (Gap(at(20), at(40)),)
    assert seen.dwell == timedelta(seconds=40)


def test_two_readings_just_as_far_apart_as_allowed_are_no_gap() -> None:
    assert evidence([good(0), good(10)], replace(HOLD, end_time=at(10))).gaps == ()


def test_a_bad_reading_fills_no_gap_and_is_no_value() -> None:
    readings = [bad(30, "999") if reading.time == at(30) else reading for reading in every_ten()]
    seen = evidence(readings, HOLD)
    assert seen.gaps == (Gap(at(20), at(40)),)
    assert (seen.reading_count, seen.maximum) == (6, Decimal(80))


def test_what_is_missing_at_begin_and_end_is_a_gap() -> None:
    seen = evidence([good(20), good(30)], HOLD)
    assert seen.gaps == (Gap(at(0), at(20)), Gap(at(30), at(60)))


def test_without_a_good_reading_the_whole_window_is_a_gap() -> None:
    seen = evidence([bad(10)], HOLD)
    assert seen == Evidence(0, None, None, timedelta(), (Gap(at(0), at(60)),))


def test_readings_beside_the_window_are_not_asked_for() -> None:
    assert evidence([good(-1, "10"), *every_ten(), good(61, "99")], HOLD) == evidence(every_ten(), HOLD)


def test_a_limit_that_is_absent_bounds_nothing() -> None:
    open_above = replace(HOLD, upper_limit=None)
    assert evidence(every_ten("500"), open_above).dwell == timedelta(seconds=60)


def test_more_gaps_than_a_fact_holds_are_told_as_one_long_last_gap_without_dwell() -> None:
    readings = [reading for n in range(300) for reading in (good(n * 30), good(n * 30 + 5))]
    seen = evidence(readings, replace(HOLD, end_time=at(9000)))
    assert len(seen.gaps) == GAPS_MOST
    assert seen.gaps[-1] == Gap(at(199 * 30 + 5), at(9000))
    assert seen.dwell == timedelta(seconds=200 * 5)


READINGS = st.lists(
    st.builds(
        Reading,
        st.integers(-30, 150).map(at),
        st.one_of(st.none(), st.decimals("60", "100", places=1)),
        st.booleans(),
    ),
    max_size=60,
)
QUESTIONS = st.builds(
    Question,
    st.just(BEGIN),
    st.integers(0, 120).map(at),
    st.one_of(st.none(), st.decimals("60", "80", places=1)),
    st.one_of(st.none(), st.decimals("80", "100", places=1)),
    st.integers(0, 40).map(lambda seconds: timedelta(seconds=seconds)),
)


def length(gaps: Sequence[Gap]) -> timedelta:
    return sum((gap.end_time - gap.start_time for gap in gaps), timedelta())


@given(READINGS, QUESTIONS)
def test_dwell_and_gaps_are_never_longer_than_the_window(readings: list[Reading], question: Question) -> None:
    seen = evidence(readings, question)
    assert seen.dwell + length(seen.gaps) <= question.end_time - question.start_time


@given(READINGS, QUESTIONS, st.integers(0, 120), st.decimals("60", "100", places=1))
def test_a_bad_reading_more_changes_nothing(
    readings: list[Reading], question: Question, second: int, value: Decimal
) -> None:
    more = [*readings, Reading(at(second), value, is_good=False)]
    assert evidence(more, question) == evidence(readings, question)


@given(READINGS, QUESTIONS, st.randoms())
def test_the_order_of_arrival_and_repeats_do_not_matter(
    readings: list[Reading], question: Question, chance: object
) -> None:
    mixed = [*readings, *readings[:5]]
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert evidence(mixed, question) == evidence(readings, question)


@given(READINGS, QUESTIONS)
def test_gaps_lie_in_the_window_one_after_another_and_are_longer_than_allowed(
    readings: list[Reading], question: Question
) -> None:
    seen = evidence(readings, question)
    edges = [question.start_time, *(t for gap in seen.gaps for t in (gap.start_time, gap.end_time)), question.end_time]
    assert edges == sorted(edges)
    if seen.reading_count:
        assert all(gap.end_time - gap.start_time > question.allowed_gap for gap in seen.gaps)


@given(READINGS, QUESTIONS)
def test_every_figure_was_read(readings: list[Reading], question: Question) -> None:
    seen = evidence(readings, question)
    read = {reading.value for reading in readings if reading.is_good}
    assert seen.minimum is None or {seen.minimum, seen.maximum} <= read


@given(READINGS, QUESTIONS)
def test_narrower_limits_never_dwell_longer(readings: list[Reading], question: Question) -> None:
    narrow = replace(question, lower_limit=Decimal(75), upper_limit=Decimal(85))
    wide = replace(question, lower_limit=Decimal(70), upper_limit=Decimal(90))
    assert evidence(readings, narrow).dwell <= evidence(readings, wide).dwell
