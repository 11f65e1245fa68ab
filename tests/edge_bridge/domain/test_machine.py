"""What of a machine's signals is said, and that counters lose nothing that the device said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.edge_bridge.domain.machine import Advance, Look, Machine, MachineState, Stand
from services.edge_bridge.domain.watch import Measure, Watch, Window, is_worth_saying

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MODULUS = 65536
MINUTE = timedelta(minutes=1)
VIBRATION = Measure("vibration", "C16", Decimal("0.5"), MINUTE, 5)
RUNNING, DOWN, IDLE = MachineState.RUNNING, MachineState.DOWN, MachineState.IDLE
FIRST = Machine("PRESS-1", RUNNING, 0, 0, Stand(0, 0), {})


def a_look(
    state: MachineState = RUNNING,
    fault: int = 0,
    stand: tuple[int, int] = (0, 0),
    measures: Mapping[str, Decimal | None] | None = None,
) -> Look:
    return Look("PRESS-1", state, fault, Stand(*stand), measures or {}, NOW)


def a_watch(known: Machine = FIRST) -> Watch:
    return Watch(known, (VIBRATION,), 5 * MINUTE, MINUTE)


def test_the_first_stand_belongs_to_nobody() -> None:
    machine, told = Machine("PRESS-1").counted(Stand(900, 90), Stand(900, 90), MODULUS)
    assert (machine.stand, told) == (Stand(900, 90), [])


def test_counters_advance_within_their_epoch() -> None:
    machine, told = FIRST.counted(Stand(90, 9), Stand(100, 10), MODULUS)
    assert told == [Advance(0, Stand(0, 0), Stand(100, 10))]
    assert machine.counted(Stand(100, 10), Stand(100, 10), MODULUS)[1] == []


def test_a_counter_that_rolls_over_ran_to_its_end_and_the_other_goes_on() -> None:
    before = replace(FIRST, stand=Stand(65_400, 70))
    machine, told = before.counted(Stand(65_500, 80), Stand(40, 82), MODULUS)
    assert told == [Advance(0, Stand(65_400, 70), Stand(65_536, 82)), Advance(1, Stand(0, 82), Stand(40, 82))]
    assert (machine.counter_epoch, machine.stand) == (1, Stand(40, 82))


def test_a_device_that_was_reset_ran_to_what_was_seen_last() -> None:
    before = replace(FIRST, stand=Stand(1_000, 10))
    _, told = before.counted(Stand(1_200, 12), Stand(5, 0), MODULUS)
    assert told == [Advance(0, Stand(1_000, 10), Stand(1_200, 12)), Advance(1, Stand(0, 0), Stand(5, 0))]


@given(st.lists(st.integers(0, 12_000), min_size=1, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_what_rolls_over_is_counted_exactly_whatever_is_said_when_and_after_any_restart(
    steps: list[int], said: list[bool]
) -> None:
    total, stands = 0, [Stand(0, 0)]
    for step in steps:
        total += step
        stands.append(Stand(total % MODULUS, total % MODULUS))
    machine, counted = FIRST, 0
    for (before, now), is_due in zip(pairwise(stands), said, strict=False):
        if is_due or now.runtime < before.runtime:
            machine, told = machine.counted(before, now, MODULUS)
            counted += sum(advance.end.runtime - advance.begin.runtime for advance in told)
    _, told = machine.counted(stands[-1], stands[-1], MODULUS)
    counted += sum(advance.end.runtime - advance.begin.runtime for advance in told)
    assert counted == total


def test_a_change_of_state_is_worth_saying_at_once_and_with_it_the_counters() -> None:
    watch = a_watch()
    watch.take(a_look(), NOW)
    assert watch.take(a_look(stand=(1, 0)), NOW) is None
    worth = watch.take(a_look(DOWN, 17, (2, 0)), NOW)
    assert worth is not None
    assert worth.is_counter_due
    assert is_worth_saying(FIRST, worth.look)
    assert not is_worth_saying(replace(FIRST, state=DOWN, fault_code=17), worth.look)
    assert is_worth_saying(replace(FIRST, state=DOWN, fault_code=17), a_look(DOWN, 18))
    assert not is_worth_saying(FIRST, a_look(MachineState.UNKNOWN))
    assert not is_worth_saying(FIRST, a_look(RUNNING, 17))  # it runs on: its faults are counted


def test_counters_are_said_now_and_then_and_at_once_when_they_begin_anew() -> None:
    watch = a_watch()
    watch.take(a_look(stand=(10, 1)), NOW)
    assert watch.take(a_look(stand=(20, 2)), NOW + MINUTE) is None
    back = watch.take(a_look(stand=(3, 0)), NOW + 2 * MINUTE)
    assert back is not None
    assert (back.is_counter_due, back.seen) == (True, Stand(20, 2))
    assert watch.take(a_look(stand=(4, 0)), NOW + 7 * MINUTE) is not None


def told_faults(watch: Watch, codes: list[int], every: timedelta, begin: datetime) -> list[tuple[int, int]]:
    found = []
    for number, code in enumerate(codes):
        worth = watch.take(a_look(DOWN if code else RUNNING, code), begin + number * every)
        found += [(faults.fault_code, faults.fault_count) for faults in (worth.faults if worth else ())]
    return found


def test_a_fault_that_repeats_is_said_at_once_and_then_with_its_count() -> None:
    second = timedelta(seconds=1)
    flapping = [17, 0] * 20
    assert told_faults(a_watch(), [*flapping, *[0] * 40], second, NOW) == [(17, 1), (17, 19)]
    assert told_faults(a_watch(), [17] * 20, second, NOW) == [(17, 1)]  # it stands: it came once


def windows(values: list[str | None], every: timedelta = timedelta(seconds=20)) -> list[Window]:
    watch, found = a_watch(), []
    for number, value in enumerate(values):
        measures = {"vibration": Decimal(value) if value is not None else None}
        worth = watch.take(a_look(measures=measures), NOW + number * every)
        found += list(worth.windows) if worth else []
    return found


def test_a_window_is_said_when_it_leaves_the_deadband_and_once_in_a_while_all_the_same() -> None:
    calm = ["4.0", "4.1", "4.2"] * 7
    first, alive = windows(calm)
    assert (first.minimum, first.maximum, first.latest, first.reading_count) == (
        Decimal("4.0"),
        Decimal("4.2"),
        Decimal("4.2"),
        3,
    )
    assert alive.start_time >= first.end_time + 4 * MINUTE
    assert [w.maximum for w in windows(["4.0"] * 3 + ["4.0", "6.0", "4.0"] + ["4.0"] * 2)] == [
        Decimal("4.0"),
        Decimal("6.0"),
    ]


def test_readings_of_bad_quality_are_in_no_figure_and_counted() -> None:
    (window,) = windows(["4.0", None, "5.0", "5.0"])
    assert (window.reading_count, window.bad_reading_count, window.maximum) == (2, 1, Decimal("5.0"))
    assert windows([None] * 9) == []


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=200))
def test_a_watch_holds_no_more_than_it_needs(codes: list[int]) -> None:
    watch = a_watch()
    for number, code in enumerate(codes):
        watch.take(a_look(DOWN, code, measures={"vibration": Decimal(code)}), NOW + timedelta(milliseconds=number))
    assert len(watch._faults) <= 50
    assert len(watch._open["vibration"].values) <= 3
