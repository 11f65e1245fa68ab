"""Named places on the way do - record - tell at which a service kills itself, once, when the harness asked for it.

Asked for by a file `<service>.at.<point>`; the service takes it away, writes the point to `hits`, and dies by SIGKILL.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from servicekit import door, lanes, outbox, position
from servicekit.batch import Batch
from servicekit.database import Database
from servicekit.inbox import Inbox
from servicekit.poster import Poster
from servicekit.relay import Relay

# Which services pass a point in a run: every one of them must have died there once.
ALL = ("production", "inventory", "gateway", "operations", "edge_bridge-aachen", "edge_bridge-brno", "edge_bridge-graz")
TELLERS = tuple(name for name in ALL if name != "operations")  # operations says nothing
# Bridges ask their MES for something at the beginning of a run only, so the points of postings are the gateway's.
POINTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "rows loaded": ("what a batch needs is read, nothing is decided", ALL),
    "facts numbered": ("all is written, nothing is committed", TELLERS),
    "before commit": ("the last statement is done", ALL),
    "after commit": ("committed, nobody knows", ALL),
    "before answer": ("committed and passed to the relay, the caller has no answer", ("production",)),
    "before relay": ("facts are committed, the relay has not heard of them", TELLERS),
    "mid publish": ("the first of several messages is on its way", TELLERS),
    "before mark": ("the stream has the facts, the outbox does not know it", TELLERS),
    "position saved": ("the reader's position is written, not committed", ALL),
    "fact taken": (
        "a fact is committed, the reader has not gone on; a record is taken, its feed's position is not",
        ALL,
    ),
    "before foreign call": ("a posting is on record as sent, and is not", ("gateway",)),
    "after foreign draft": ("the partner has a draft, we have no record of it", ("gateway",)),
    "after foreign booking": ("the partner has booked, we have no record of it", ("gateway",)),
    "lane worked off": ("a lane's head has taken effect, nothing is committed", ("production", "inventory")),
}


def everywhere() -> list[tuple[str, str]]:
    """Each point at each service that passes it."""
    return [(service, point) for point, (_, services) in POINTS.items() for service in services]


def wish(control: Path, service: str, point: str) -> Path:
    return control / f"{service}.at.{point}"


def hits(control: Path) -> set[tuple[str, str]]:
    """Where services died."""
    path = control / "hits"
    lines = path.read_text().splitlines() if path.exists() else []
    return {(line.split("\t")[0], line.split("\t")[1]) for line in lines}


class Points:
    def __init__(self, service: str, control: Path) -> None:
        self._service, self._control = service, control

    def reached(self, point: str) -> None:
        wanted = wish(self._control, self._service, point)
        if not wanted.exists():
            return
        wanted.unlink(missing_ok=True)
        with (self._control / "hits").open("a") as told:
            told.write(f"{self._service}\t{point}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def wrap(service: str, control: Path) -> None:
    """Put the points around the kit's functions."""
    reached = Points(service, control).reached
    _after(Batch, "load", lambda *_: reached("rows loaded"))
    _after(outbox, "append", lambda result, *_: reached("facts numbered") if result else None)
    _around_commits(reached)
    _before(door, "_answer", lambda *_: reached("before answer"))
    _before(Relay, "told", lambda _, facts: reached("before relay") if facts else None)
    _before(Client, "publish", _mid_publish(reached))
    _after(Relay, "_publish", lambda *_: reached("before mark"))
    _after(position, "save", lambda result, tx, consumer, moved: reached("position saved") if moved else None)
    _after(Inbox, "take", lambda *_: reached("fact taken"))
    _before(Poster, "_draft", lambda *_: reached("before foreign call"))
    _before(Poster, "_book", lambda *_: reached("before foreign call"))
    _before(Poster, "_move", lambda _, row, to, **more: _after_draft(reached, to))
    _before(Poster, "_acknowledge", lambda *_: reached("after foreign booking"))
    _after(lanes, "drop", lambda *_: reached("lane worked off"))


def _around_commits(reached: Callable[[str], None]) -> None:
    """Of transactions that do business: that number facts, or move a reader's position."""
    write, business = Database.write, threading.local()

    async def watched(self: Database, work: Callable[[Any], Any]) -> Any:
        is_business = False

        def then(tx: Any) -> Any:
            nonlocal is_business
            business.is_seen = False
            result = work(tx)
            is_business = business.is_seen
            if is_business:
                reached("before commit")
            return result

        result = await write(self, then)
        if is_business:
            reached("after commit")
        return result

    def seen(*_: Any) -> None:
        business.is_seen = True

    Database.write = watched  # type: ignore[method-assign]
    _after(outbox, "append", lambda result, *_: seen() if result else None)
    _after(position, "save", lambda result, tx, consumer, moved: seen() if moved else None)


def _mid_publish(reached: Callable[[str], None]) -> Callable[..., None]:
    """Before the second message of an atomic batch, or of several that go one behind the other: all but the last want no answer."""
    is_begun = False

    def look(_: Client, *_sent: Any, reply: str = "", headers: dict[str, str] | None = None) -> None:
        nonlocal is_begun
        said = headers or {}
        if is_begun or said.get("Nats-Batch-Sequence") == "2":
            reached("mid publish")
        is_begun = "Nats-Expected-Last-Sequence" in said and "Nats-Batch-Id" not in said and not reply

    return look


def _after_draft(reached: Callable[[str], None], to: Any) -> None:
    if to.state == "drafted":
        reached("after foreign draft")


def _before(owner: Any, name: str, look: Callable[..., None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        look(*arguments, **more)
        return original(*arguments, **more)

    setattr(owner, name, wrapped)


def _after(owner: Any, name: str, look: Callable[..., None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        result = original(*arguments, **more)
        look(result, *arguments, **more)
        return result

    @functools.wraps(original)
    async def awaited(*arguments: Any, **more: Any) -> Any:
        result = await original(*arguments, **more)
        look(result, *arguments, **more)
        return result

    setattr(owner, name, awaited if inspect.iscoroutinefunction(original) else wrapped)
