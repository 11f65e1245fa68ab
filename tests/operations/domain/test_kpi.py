"""Figures of what was heard: counts, percentiles by nearest rank, and nothing where nothing was measured."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from services.operations.domain import kpi
from services.operations.domain.kpi import Heard


def confirmed(*seconds: float, is_late: bool = False) -> list[Heard]:
    return [Heard(kpi.CONFIRMED, timedelta(seconds=one), is_late) for one in seconds]


def test_each_answer_is_counted_and_what_is_late_is_told_apart() -> None:
    heard = [Heard(kpi.ACCEPTED, timedelta(), False)] * 3 + [Heard(kpi.REFUSED, timedelta(), False)]
    found = kpi.of_entries([*heard, *confirmed(1), *confirmed(7200, is_late=True)])
    assert (found["orders-accepted"], found["orders-refused"]) == (3, 1)
    assert (found["confirmations"], found["confirmations-late"]) == (2, 1)


def test_without_a_confirmation_there_is_no_lag() -> None:
    found = kpi.of_entries([])
    assert found["confirmations"] == 0
    assert not {"confirmation-lag-p50", "confirmation-lag-p95"} & set(found)


@pytest.mark.parametrize(
    ("lags", "half", "most"),
    [
        ((3,), "3", "3"),
        ((4, 1), "1", "4"),
        (tuple(range(1, 101)), "50", "95"),
        ((0.25, 0.25, 9), "0.25", "9"),
        ((-5,), "0", "0"),
    ],
)
def test_percentiles_are_values_that_were_measured(lags: tuple[float, ...], half: str, most: str) -> None:
    found = kpi.of_entries(confirmed(*lags))
    assert (found["confirmation-lag-p50"], found["confirmation-lag-p95"]) == (Decimal(half), Decimal(most))


def test_every_figure_that_is_made_has_a_meaning() -> None:
    assert set(kpi.of_entries(confirmed(1))) <= set(kpi.KPIS)
