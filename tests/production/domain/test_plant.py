"""The plant's shifts, by its own clock."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.production.domain.plant import Plant

AACHEN = Plant("aachen", "Europe/Berlin", Decimal(10))


@pytest.mark.parametrize(
    ("instant", "shift"),
    [
        (datetime(2026, 11, 24, 5, 0, tzinfo=UTC), "2026-11-24/early"),
        (datetime(2026, 11, 24, 13, 0, tzinfo=UTC), "2026-11-24/late"),
        (datetime(2026, 11, 24, 21, 0, tzinfo=UTC), "2026-11-24/night"),
        (datetime(2026, 11, 25, 4, 59, tzinfo=UTC), "2026-11-24/night"),
        (datetime(2026, 7, 1, 4, 0, tzinfo=UTC), "2026-07-01/early"),
    ],
)
def test_a_shift_is_named_by_the_plant_day_on_which_it_began(instant: datetime, shift: str) -> None:
    assert AACHEN.shift_of(instant) == shift
