"""Makes a plant's allocations anew after what they follow from has changed."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from servicekit.database import Again, Tx
from servicekit.domain import DomainError
from servicekit.run import Kit
from services.inventory import hold_use_cases, queries
from services.inventory.domain.allocation import AllocationMark
from services.inventory.store import ALLOCATION_MARKS

log = structlog.get_logger()
LOOK_SECONDS = 0.5


async def serve(kit: Kit) -> None:
    """Run until cancelled. Changes of stock, holds and deliveries count up a mark; what is behind it is computed again."""
    while True:
        try:
            due = await kit.database.read(_due)
        except DomainError as fault:
            log.warning("allocating pauses", fault=str(fault))
            due = []
        for mark in due:
            await _reallocate(kit, mark)
        await asyncio.sleep(LOOK_SECONDS)


def _due(tx: Tx) -> list[AllocationMark]:
    return ALLOCATION_MARKS.select(tx, "told < changes ORDER BY plant_id", ())


async def _reallocate(kit: Kit, mark: AllocationMark) -> None:
    """One plant's; a plant that can't tell its facts keeps no other from its own."""
    try:
        await kit.door.run(hold_use_cases.reallocate, await kit.database.read(partial(queries.reallocation, mark=mark)))
    except (DomainError, Again) as fault:
        log.warning("allocating pauses", plant_id=mark.plant_id, fault=str(fault))
