"""A database of the toy service, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from servicekit.database import Database
from servicekit.door import Door
from tests.support import toy


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    opened = toy.open_database(database_url, tmp_path / "versions")
    yield opened
    opened.close()


@asynccontextmanager
async def served(database: Database) -> AsyncIterator[Door]:
    """A door of this database, while it works."""
    made = Door(database, toy.STORE, lambda _slots: None)
    serving = asyncio.ensure_future(made.serve()) if database.is_sqlite else None
    yield made
    if serving is not None:
        serving.cancel()


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    async with served(database) as made:
        yield made
