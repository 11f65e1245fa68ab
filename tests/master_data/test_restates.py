"""What is said again for a reader that is added later."""

from __future__ import annotations

from services.master_data.restates import RESTATES
from services.master_data.use_cases import ENTITIES


def test_every_entity_is_said_again() -> None:
    said = [restates.rows.noun for restates in RESTATES]
    assert said[: len(ENTITIES)] == [rows.noun for rows in ENTITIES.values()]
