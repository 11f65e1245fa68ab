"""How the interfaces' time stands, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from servicekit import clock
from servicekit.database import Database, Tx
from servicekit.metrics import Sample
from services.operations import sla_queries
from services.operations.interfaces import Interfaces


async def look(database: Database, interfaces: Interfaces, plants: Sequence[str]) -> Iterable[Sample]:
    """Every interface of every plant, also where nothing waits."""
    return await database.read(lambda tx: list(_samples(tx, interfaces, plants)))


def _samples(tx: Tx, interfaces: Interfaces, plants: Sequence[str]) -> Iterable[Sample]:
    open_work, said, now = sla_queries.waiting(tx), sla_queries.standings(tx), clock.now()
    for plant in plants:
        for one in interfaces.all:
            labels = {"interface": one.interface_id, "plant": plant}
            waiting, standing = open_work.get((one.interface_id, plant)), said.get((one.interface_id, plant))
            oldest = waiting.oldest_open_time if waiting is not None else None
            age = max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
            is_breached = standing is not None and standing.is_breached
            yield Sample("isthmus.interface.breached", int(is_breached), labels)
            yield Sample("isthmus.interface.open", waiting.open_count if waiting is not None else 0, labels)
            yield Sample("isthmus.interface.age", age, labels)
