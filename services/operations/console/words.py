"""What pages are made of, and how times, durations and foreign text are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from servicekit import clock

Shown = tuple[str, dict[str, Any]]  # a page's template and what it shows


class Goto(NamedTuple):
    """Where the browser goes on after something was done."""

    path: str


class Refused(Exception):
    """The console itself says no; nothing was done. `reason` is one word, the text says what to do, `status` is HTTP's."""

    def __init__(self, reason: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.reason, self.status = reason, status


TEXT_MOST = 2000  # characters of a field that somebody else filled
# Marks that turn the direction of text: what a field holds must not rearrange what stands around it.
MARKS = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C], "\N{REPLACEMENT CHARACTER}"
)


def at(stamp: Any) -> datetime | None:
    """A timestamp of a message; None where there is none."""
    return stamp.ToDatetime(tzinfo=UTC) if stamp.seconds or stamp.nanos else None


def when(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def long(span: timedelta | None) -> str:
    """A duration, to two places: "1 d 3 h", "2 min 5 s", "0.3 s"."""
    if span is None:
        return ""
    seconds = span.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    parts = [
        (int(seconds // 86400), "d"),
        (int(seconds // 3600) % 24, "h"),
        (int(seconds // 60) % 60, "min"),
        (int(seconds) % 60, "s"),
    ]
    begun = next(index for index, (value, _) in enumerate(parts) if value)
    return " ".join(f"{value} {unit}" for value, unit in parts[begun : begun + 2] if value)


def since(moment: datetime | None) -> str:
    return long(max(clock.now() - moment, timedelta())) if moment else ""


def foreign(text: object) -> str:
    """Text of somebody else's: bounded, and without marks that would turn the text around it."""
    said = str(text)
    short = said if len(said) <= TEXT_MOST else f"{said[:TEXT_MOST]} ... ({len(said):,} characters)"
    return short.translate(MARKS)


FILTERS = {"when": when, "long": long, "since": since, "foreign": foreign}
