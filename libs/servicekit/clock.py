"""The only now() and the only randomness of the suite, so that tests can move the one and seed the other."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_offset = timedelta()
# Seeded once by the system: asking it for every id hands the interpreter to another thread in the middle of a transaction.
_ids = random.Random(secrets.randbits(256))  # noqa: S311 - ids are no secrets


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
    return f"{_ids.getrandbits(128):032x}"


def new_span_id() -> str:
    """A random id of 16 hex digits."""
    return f"{_ids.getrandbits(64):016x}"


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC: how instants stand in the databases."""
    since = instant - EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def instant(value: int) -> datetime:
    """The aware UTC datetime of `micros`."""
    return EPOCH + timedelta(microseconds=value)
