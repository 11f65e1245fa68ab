"""States, downtimes and counters of a machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.maintenance.domain.asset import (
    Asset,
    CounterBackwards,
    Counters,
    MachineState,
    TimeImplausible,
    change_state,
    require_plausible,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PRESS = Asset("aachen", "PRESS-1", "stamping press", "LINE-1", True, "4711", "EQ-100")
IDLE, RUNNING, DOWN = MachineState.IDLE, MachineState.RUNNING, MachineState.DOWN


def said(asset: Asset, state: MachineState, fault: int = 0, minutes: int = 0, *, unsure: bool = False) -> Asset | None:
    change = change_state(asset, state, fault, NOW + timedelta(minutes=minutes), is_uncertain=unsure)
    return change.asset if change is not None else None


def test_a_downtime_begins_with_down_and_ends_with_anything_else() -> None:
    begun = change_state(PRESS, DOWN, 17, NOW, is_uncertain=False)
    assert begun is not None
    assert begun.started is not None
    assert (begun.started.downtime_id, begun.started.fault_code) == ("PRESS-1-20261124T120000.000Z", 17)
    ended = change_state(begun.asset, IDLE, 0, NOW + timedelta(minutes=5), is_uncertain=False)
    assert ended is not None
    assert (ended.is_ended, ended.started) == (True, None)


def test_what_is_old_repeated_or_unsure_changes_nothing() -> None:
    down = said(PRESS, DOWN, 17)
    assert down is not None
    assert said(down, DOWN, 17, 1) is None
    assert said(down, RUNNING, 0, -1) is None
    assert said(down, RUNNING, 0, 0) is None
    assert said(PRESS, DOWN, 17, unsure=True) is None
    assert said(PRESS, MachineState.UNKNOWN) is None


def test_another_fault_while_down_is_noted_and_is_no_downtime_of_its_own() -> None:
    down = said(PRESS, DOWN, 17)
    assert down is not None
    again = change_state(down, DOWN, 18, NOW + timedelta(minutes=1), is_uncertain=False)
    assert again is not None
    assert (again.asset.fault_code, again.started, again.is_ended) == (18, None, False)
    assert again.asset.state_time == NOW


@pytest.mark.parametrize("wrong", [datetime(1970, 1, 1, tzinfo=UTC), NOW + timedelta(minutes=6)])
def test_a_clock_that_is_wrong_is_refused(wrong: datetime) -> None:
    with pytest.raises(TimeImplausible):
        require_plausible("PRESS-1", wrong, NOW)


def steps(cuts: list[int]) -> list[Counters]:
    """One epoch's run from 0 to the last cut, reported in parts; cycles are twice the seconds."""
    ends = sorted(cuts)
    return [Counters(0, begin, end, 2 * begin, 2 * end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.data())
def test_a_run_counts_once_however_it_is_cut_and_repeated(cuts: list[int], data: st.DataObject) -> None:
    told = steps(cuts)
    asset = PRESS
    for number, step in enumerate(told):
        again = told[data.draw(st.integers(0, number))]  # late or twice, after newer ones
        asset = asset.counted(step).counted(again)
    assert (asset.runtime_seconds, asset.cycle_count) == (max(cuts), 2 * max(cuts))


def test_a_hole_in_what_was_reported_counts_for_the_machine_ran() -> None:
    asset = PRESS.counted(Counters(0, 0, 100, 0, 10)).counted(Counters(0, 150, 200, 15, 20))
    assert (asset.runtime_seconds, asset.cycle_count) == (200, 20)


def test_a_counter_that_begins_anew_goes_on_counting_and_its_old_epoch_is_over() -> None:
    asset = PRESS.counted(Counters(0, 65_000, 65_535, 0, 10)).counted(Counters(1, 0, 40, 0, 4))
    assert (asset.runtime_seconds, asset.cycle_count) == (575, 14)
    assert asset.counted(Counters(0, 0, 65_535, 0, 99)) == asset
    assert asset.runtime_hours.value == Decimal("0.159722")


def test_a_counter_that_runs_backwards_is_refused() -> None:
    with pytest.raises(CounterBackwards) as refusal:
        PRESS.counted(Counters(0, 100, 99, 0, 0))
    assert refusal.value.facts == {"asset_id": "PRESS-1", "counter": "runtime", "from": "100", "to": "99"}


def test_a_record_of_its_owner_keeps_what_the_machine_said() -> None:
    running = replace(PRESS, state=RUNNING, runtime_seconds=7)
    other = running.recorded(replace(PRESS, description="large press"))
    assert (other.description, other.state, other.runtime_seconds) == ("large press", RUNNING, 7)
