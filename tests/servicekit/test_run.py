"""A service ends when it is told to."""

from __future__ import annotations

import asyncio

from servicekit.run import end_of


async def deaf_once() -> None:
    """Loses its first cancellation, as the broker's client may."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def part() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(deaf_once())


async def test_a_part_that_lost_its_cancellation_ends_all_the_same() -> None:
    tasks = [asyncio.ensure_future(part())]
    begun = asyncio.Event()
    asyncio.get_running_loop().call_soon(begun.set)
    await begun.wait()
    async with asyncio.timeout(10):
        ended = await end_of(tasks)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended)
