"""Tells the open orders of a line that it was blocked or freed, page by page, for ever."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from servicekit.database import Again
from servicekit.domain import DomainError
from servicekit.run import Kit
from services.production import line_use_cases, queries
from services.production.domain.line import Line
from services.production.line_wire import TellOrders

log = structlog.get_logger()
LOOK_SECONDS = 0.5
PAGE = 100  # orders a transaction: a line may have thousands


async def serve(kit: Kit) -> None:
    """Run until cancelled. Cut off in the middle it begins the line anew: who was told is not told again."""
    while True:
        try:
            for line in await kit.database.read(queries.lines_to_tell):
                await tell(kit, line)
        except (DomainError, Again) as fault:
            log.warning("telling of lines pauses", fault=str(fault))
        await asyncio.sleep(LOOK_SECONDS)


async def tell(kit: Kit, line: Line) -> None:
    after, is_last = "", False
    while not is_last:
        orders = await kit.database.read(partial(queries.open_orders_of_line, line=line, after=after, most=PAGE))
        is_last = len(orders) < PAGE
        command = TellOrders(line.plant_id, line.line_id, tuple(orders), line.changes, is_last)
        await kit.door.run(line_use_cases.tell_orders, command)
        after = orders[-1] if orders else after
