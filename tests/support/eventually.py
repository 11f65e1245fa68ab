"""Waits until something is so, and says what was so instead when it never was."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
EVERY = 0.05


async def eventually(look: Callable[[], T | Awaitable[T]], *, within: float = 15.0) -> T:
    """The first true answer of `look`. Assertion errors inside it count as "not yet"."""
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            seen = look()
            answer = await seen if inspect.isawaitable(seen) else seen
            if answer:
                return answer
            last = answer
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s; last seen: {last!r}")
        await asyncio.sleep(EVERY)


def wait_until_nothing(look: Callable[[], list[str]], *, within: float = 15.0) -> None:
    """The same for what has no loop of its own: waits until nothing is left of what `look` lists."""
    deadline = time.monotonic() + within
    while left := look():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s; left: {left}")
        time.sleep(EVERY)
