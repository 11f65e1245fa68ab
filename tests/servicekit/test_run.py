"""A service ends when it is told to."""

from __future__ import annotations

import asyncio
import gc
from weakref import ref

from servicekit.run import COLLECTED_AFTER, calm_collector, end_of


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


class Node:
    """May stand in a cycle, and be looked for when it is gone."""

    def __init__(self) -> None:
        self.itself = self


def test_the_collector_passes_over_what_stands_and_still_takes_what_goes() -> None:
    usual, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        calm_collector()
        assert gc.get_freeze_count() > frozen + 1000
        gone = ref(Node())
        assert gone() is not None
        made: list[list[object]] = [[] for _ in range(2 * COLLECTED_AFTER)]
        assert gone() is None, f"{len(made)} objects later"
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
