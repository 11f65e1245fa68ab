"""How the plant's line to the hub, its own systems and the bridge's disk stand, as metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from servicekit.metrics import Sample
from servicekit.run import Kit
from services.edge_bridge.driver import Connectors
from services.edge_bridge.queries import disk_of


async def look(kit: Kit, connectors: Connectors) -> Iterable[Sample]:
    """As the bridge knows it now; a disk is only known where the database is a file."""
    plant = kit.settings.plant_id
    found = [Sample("isthmus.link.connected", int(kit.broker.is_connected), {"plant": plant})]
    for one in connectors.health.values():
        labels = {"plant": plant, "connector": one.connector_id}
        found.append(Sample("isthmus.connector.connected", int(one.is_connected), labels))
    if kit.database.is_sqlite:
        disk = await asyncio.to_thread(disk_of, kit.database)
        found.append(Sample("isthmus.disk.free", disk.free, {"plant": plant}))
    return found
