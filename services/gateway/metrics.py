"""How the ERPs stand, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from servicekit import clock
from servicekit.metrics import Sample
from services.gateway.follower import Binding


async def look(bindings: Mapping[str, Binding]) -> Iterable[Sample]:
    """Every plant's ERP; the age of one that was never read is ours."""
    now, found = clock.now(), []
    for plant, one in bindings.items():
        age = max(0.0, (now - (one.last_poll_time or one.begin_time)).total_seconds())
        found.append(Sample("isthmus.erp.connected", int(one.is_connected), {"plant": plant}))
        found.append(Sample("isthmus.erp.age", age, {"plant": plant}))
    return found
