"""Tells a demo's story, and waits for what must come in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

PATIENCE = 180.0  # seconds for the whole story to come to rest


class Story:
    """Tells what happens, with the seconds since the beginning."""

    def __init__(self, console: Console) -> None:
        self._console, self._begun = console, time.monotonic()

    def say(self, text: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._begun:6.1f} s[/]  {text}")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def wait(self, what: str, until: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Wait for something of the story; it is told when it never comes."""
        deadline = time.monotonic() + patience
        while not (answer := until()):
            if time.monotonic() > deadline:
                raise StoryStuck(f"waited {patience:.0f} s in vain: {what}")
            time.sleep(0.2)
        return answer


class StoryStuck(Exception):
    """Something of the story never came."""
