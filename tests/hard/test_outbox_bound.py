"""Facts that no stream holds are never dropped: at their byte bound that plant's calls are refused, and no other's."""

from __future__ import annotations

import pytest

from servicekit import outbox
from servicekit.database import Database
from servicekit.domain import DomainError, Kind
from servicekit.door import Door
from tests.support import toy
from tests.support.toy import an_add, rows

pytestmark = pytest.mark.connected


@pytest.mark.xfail(strict=True, reason="there is no byte bound of facts that wait for their stream yet")
async def test_a_plant_at_its_byte_bound_is_refused_and_no_other(
    door: Door, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "UNSTORED_BYTES_MOST", 20_000, raising=False)
    monkeypatch.setattr(toy, "PLANT", "brno")
    refused: list[DomainError] = []
    for number in range(200):
        try:
            await door.run(toy.add, an_add(str(number)))
        except DomainError as refusal:
            refused.append(refusal)
    assert refused
    assert {refusal.kind for refusal in refused} == {Kind.BUSY}
    assert await rows(database, "SELECT COUNT(*) FROM outbox") == [(200 - len(refused),)], "nothing was dropped"
    monkeypatch.setattr(toy, "PLANT", "aachen")
    await door.run(toy.add, an_add("of another plant"))
