"""Clocks on business steps: steps in any order, a breach said once, and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from services.operations.domain.sla import (
    Change,
    Meaning,
    Sla,
    SlaClock,
    Standing,
    Step,
    Tier,
    Verdict,
    Waiting,
    clock_of,
    judge,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AT = "mes-acceptance", "aachen"
SECOND = timedelta(seconds=1)
SLA = Sla(Tier.REAL_TIME, limit=60 * SECOND, debounce=10 * SECOND)
FINE, BREACHED = Standing(*AT), Standing(*AT, is_breached=True, since_time=NOW)


def a_step(meaning: Meaning, seconds: int = 0, work_order_id: str = "aachen-1") -> Step:
    return Step(*AT, "aachen-1", work_order_id, meaning, NOW + seconds * SECOND)


def waits(seconds: int) -> Waiting:
    """Work that waits for so long."""
    return Waiting(*AT, 1, NOW - seconds * SECOND, "aachen-1")


def after(*steps: Step) -> SlaClock:
    clock = clock_of(steps[0])
    for step in steps:
        clock = clock.after(step)
    return clock


def test_a_clock_runs_from_its_start_to_the_step_that_was_waited_for() -> None:
    started = after(a_step(Meaning.START))
    assert (started.open_time, started.close_time, started.is_reached) == (NOW, None, False)
    stopped = started.after(a_step(Meaning.REACHED, 5))
    assert (stopped.open_time, stopped.close_time, stopped.is_reached) == (NOW, NOW + 5 * SECOND, True)


def test_steps_that_are_heard_in_another_order_or_again_make_the_same_clock() -> None:
    steps = a_step(Meaning.START), a_step(Meaning.REACHED, 5)
    assert {after(*heard) for heard in permutations([*steps, *steps])} == {after(*steps)}


def test_what_was_cancelled_or_refused_waits_no_longer_and_was_not_reached() -> None:
    ended = after(a_step(Meaning.START), a_step(Meaning.ENDED, 5))
    assert (ended.close_time, ended.is_reached) == (NOW + 5 * SECOND, False)


def test_a_clock_is_of_the_order_that_its_start_names() -> None:
    heard = after(a_step(Meaning.REACHED, work_order_id="lot:PUMP-100:P-1"), a_step(Meaning.START))
    assert heard.work_order_id == "aachen-1"


@pytest.mark.parametrize("waiting", [Waiting(*AT), waits(0), waits(60)])
def test_what_waits_within_the_limit_is_no_breach(waiting: Waiting) -> None:
    assert judge(SLA, waiting, FINE, None, NOW) == Verdict(None)


def test_a_breach_is_said_when_it_was_seen_for_the_debounce_however_old_the_work_is() -> None:
    assert judge(SLA, waits(7200), FINE, None, NOW) == Verdict(NOW)
    assert judge(SLA, waits(7200), FINE, NOW - 9 * SECOND, NOW) == Verdict(NOW - 9 * SECOND)
    assert judge(SLA, waits(7200), FINE, NOW - 10 * SECOND, NOW).change is Change.BREACHED


def test_a_look_within_the_limit_begins_the_debounce_anew() -> None:
    seen_since = judge(SLA, waits(0), FINE, NOW - 9 * SECOND, NOW).seen_since
    assert judge(SLA, waits(61), FINE, seen_since, NOW + 5 * SECOND) == Verdict(NOW + 5 * SECOND)


def test_a_breach_that_was_said_is_not_said_again() -> None:
    assert judge(SLA, waits(7200), BREACHED, NOW - 600 * SECOND, NOW).change is None


def test_a_breach_is_over_when_nothing_waits_beyond_the_limit() -> None:
    assert judge(SLA, waits(59), BREACHED, NOW - 600 * SECOND, NOW) == Verdict(None, Change.RECOVERED)
    assert judge(SLA, Waiting(*AT), BREACHED, None, NOW) == Verdict(None, Change.RECOVERED)
