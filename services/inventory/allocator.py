"""Makes a plant's allocations anew after what they follow from has changed."""

from __future__ import annotations

import asyncio

import structlog

from servicekit.database import Again, Tx
from servicekit.domain import DomainError
from servicekit.run import Kit
from services.inventory import hold_use_cases, queries, wire
from services.inventory.store import ALLOCATION_MARKS

log = structlog.get_logger()
LOOK_SECONDS = 0.5


async def serve(kit: Kit) -> None:
    """Run until cancelled. Changes of stock, holds and deliveries count up a mark; what is behind it is computed again."""
    while True:
        try:
            for command in await kit.database.read(_due):
                await kit.door.run(hold_use_cases.reallocate, command)
        except (DomainError, Again) as fault:
            log.warning("allocating pauses", fault=str(fault))
        await asyncio.sleep(LOOK_SECONDS)


def _due(tx: Tx) -> list[wire.Reallocate]:
    marks = ALLOCATION_MARKS.select(tx, "told < changes ORDER BY plant_id", ())
    return [queries.reallocation(tx, mark) for mark in marks]
