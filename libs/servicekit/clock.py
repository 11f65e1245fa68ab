"""The only now() and the only randomness of the suite, so that tests can move the one and seed the other."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta

_offset = timedelta()


def now() -> datetime:
    """The time as an aware UTC datetime."""
    return datetime.now(UTC) + _offset


def monotonic() -> float:
    """Seconds for durations and deadlines; never goes back."""
    return time.monotonic()


def shift(offset: timedelta) -> None:
    """Move the clock, for tests of clock jumps."""
    global _offset
    _offset = offset


def new_id() -> str:
    """A random id of 32 hex digits."""
    return secrets.token_hex(16)


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC: how instants stand in the databases."""
    return int(instant.timestamp() * 1_000_000) if instant.microsecond == 0 else _exact_micros(instant)


def _exact_micros(instant: datetime) -> int:
    return int(instant.replace(microsecond=0).timestamp()) * 1_000_000 + instant.microsecond


def instant(value: int) -> datetime:
    """The aware UTC datetime of `micros`."""
    return datetime.fromtimestamp(value // 1_000_000, UTC) + timedelta(microseconds=value % 1_000_000)
