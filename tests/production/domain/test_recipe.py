"""On which days a recipe is in use."""

from __future__ import annotations

from datetime import date

import pytest

from services.production.domain.recipe import InUse

FIRST, LAST = date(2026, 11, 10), date(2026, 11, 20)


@pytest.mark.parametrize(
    ("in_use", "day", "is_on"),
    [
        (InUse(), FIRST, True),
        (InUse(FIRST, LAST), date(2026, 11, 9), False),
        (InUse(FIRST, LAST), FIRST, True),
        (InUse(FIRST, LAST), LAST, True),
        (InUse(FIRST, LAST), date(2026, 11, 21), False),
        (InUse(FIRST), date(2036, 1, 1), True),
        (InUse(None, LAST), date(2016, 1, 1), True),
        (InUse(is_retired=True), FIRST, False),
    ],
)
def test_a_recipe_is_in_use_from_its_first_to_its_last_day(in_use: InUse, day: date, is_on: bool) -> None:
    assert in_use.is_on(day) is is_on
