"""Planted bugs: what the guards of the kit stand against, each taken away alone, in this process only."""

from __future__ import annotations

from collections.abc import Callable, Iterable

BUGS: dict[str, Callable[[], None]] = {}


def plant(names: Iterable[str]) -> None:
    for name in names:
        BUGS[name]()
