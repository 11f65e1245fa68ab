"""What all tests share: the broker and databases of the connected lane."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.postgres import Postgres

SKIPS = set(filter(None, os.environ.get("ALLOW_SKIP", "").split(",")))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if "postgresql" in SKIPS:
        pytest.skip("left out by ALLOW_SKIP=postgresql")
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same test on both databases, an empty one each time."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue("postgres").fresh()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test's own, for it may be killed and wiped."""
    server = Broker(tmp_path / "broker")
    server.start()
    yield server
    server.kill()
