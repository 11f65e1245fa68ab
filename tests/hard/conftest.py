"""The toy service on both databases, as the kit's own tests have it."""

from __future__ import annotations

from tests.servicekit.conftest import database, door

__all__ = ["database", "door"]
