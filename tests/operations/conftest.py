"""The console over real processes: operations and the toy service, each with a database of its own, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from servicekit.database import Database
from tests.operations import told
from tests.support import toy
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import Hub


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Hub:
    found = Hub(tmp_path, lambda _name: database_url)
    found.urls["operations"] = database_url
    return found


@pytest.fixture
def toy_store(request: pytest.FixtureRequest, database_url: str, hub: Hub, tmp_path: Path) -> Iterator[Database]:
    """The toy service's database, with its process, whose desk the console knows as "inventory"."""
    url = f"sqlite:///{tmp_path / 'toy.db'}"
    if not database_url.startswith("sqlite"):
        url = request.getfixturevalue("postgres").fresh()
    store = toy.open_database(url, tmp_path / "toy")
    hub.urls["inventory"] = url
    yield store
    store.close()


@pytest.fixture
def console(
    hub: Hub, toy_store: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    told.fill(database_url)
    hub.ports["operations"] = free_port()
    at = f"127.0.0.1:{free_port()}"
    names = ("operations", "inventory")
    desks = {name: hub.address(name) for name in names} | {"quality": f"127.0.0.1:{free_port()}"}
    monkeypatch.setenv("OPERATIONS_CONSOLE_LISTEN", at)
    monkeypatch.setenv("OPERATIONS_DESKS", json.dumps(desks))
    monkeypatch.setenv("INVENTORY_VERSIONS", str(hub.home / "toy"))
    hub.broker.start()
    try:
        hub.start("operations")
        hub.start("inventory", "tests.support.toy_service")
        hub.wait_ready(*names)
        with httpx.Client(
            base_url=f"http://{at}", timeout=20, follow_redirects=True, headers={"origin": f"http://{at}"}
        ) as client:
            asyncio.run(eventually(lambda: answers(client, names), within=30))
            yield client
    finally:
        hub.stop()


def answers(client: httpx.Client, names: Sequence[str]) -> bool:
    """The console does, and its services to it: those that were sought before they listened are sought again in a second."""
    try:
        page = client.get("/exceptions")
    except httpx.ConnectError:
        return False
    return page.is_success and not any(f"{name} does not answer" in page.text for name in names)
