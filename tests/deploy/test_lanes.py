"""Which tests a lane takes."""

from __future__ import annotations

import pytest

from deploy.local import lanes


@pytest.mark.parametrize("lane", lanes.LANES)
def test_what_takes_long_is_left_out_unless_everything_is_asked_for(lane: str) -> None:
    assert lanes.marker_of(lane, everything=False) == f"({lanes.LANES[lane]}) and not long"
    assert lanes.marker_of(lane, everything=True) == lanes.LANES[lane]
