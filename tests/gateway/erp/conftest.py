"""Private, seeded copies of the real ERPs of both releases, and clients of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.tryton import install
from servicekit.postings import PostingKind
from services.gateway.erp.canonical import ErpSettings
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_postings import posting_kinds
from tests.gateway.erp.user import TrytonUser
from tests.support.ports import free_port

PLANTS = {"6.0": "aachen", "8.0": "brno"}
READY_SECONDS = 60.0


@dataclass
class ErpServer:
    """A running server and what it was seeded with."""

    plant_id: str
    series: str
    home: Path
    port: int
    seed: dict[str, Any]
    process: subprocess.Popen[bytes]

    def freeze(self) -> None:
        """The server neither answers nor breaks its connections."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def settings(self, **other: Any) -> ErpSettings:
        said = {
            "plant_id": self.plant_id,
            "family": "tryton",
            "url": f"http://localhost:{self.port}",
            "database": "erp",
            "user": "gateway",
            "password": self.seed["users"]["gateway"],
        }
        return ErpSettings(**{**said, **other})


def start(plant_id: str, series: str, home: Path) -> ErpServer:
    port = free_port()
    install.prepare(plant_id, home, port, print, series)
    log = (home / "server.log").open("wb")
    environment = {**os.environ, "PYTHONPATH": ""}
    process = subprocess.Popen(install.command(home), stdout=log, stderr=log, env=environment)
    deadline = time.monotonic() + READY_SECONDS
    while not install.is_ready(port, series):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError((home / "server.log").read_text()[-2000:])
    return ErpServer(plant_id, series, home, port, json.loads((home / "seed.json").read_text()), process)


@pytest.fixture(scope="session", params=list(PLANTS))
def erp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErpServer]:
    """A real ERP. Session-scoped: tests make orders of their own in it and leave them there."""
    series = request.param
    server = start(PLANTS[series], series, tmp_path_factory.mktemp(f"erp-{series}"))
    planner = TrytonUser(server.seed, "admin")
    for component, _ in install.SEEDS[server.plant_id].components:
        for lot_id, _ in component.opening:
            planner.count(component.code, lot_id, "10000")
    yield server
    server.thaw()
    server.process.terminate()
    server.process.wait(10)


@pytest.fixture
async def client(erp: ErpServer) -> AsyncIterator[TrytonClient]:
    """The adapter's client, logged in as the gateway."""
    made = TrytonClient(erp.settings())
    await made.connect()
    yield made
    await made.close()


@pytest.fixture(scope="session")
def planner(erp: ErpServer) -> TrytonUser:
    """The ERP's administrator, who plans, and who may do everything."""
    return TrytonUser(erp.seed, "admin")


@pytest.fixture(scope="session")
def raw(erp: ErpServer) -> TrytonUser:
    """The gateway's user, raw."""
    return TrytonUser(erp.seed, "gateway")


@pytest.fixture
def kinds(client: TrytonClient) -> dict[str, PostingKind]:
    """What the gateway can ask this ERP for."""
    return posting_kinds(client)


@pytest.fixture
def item(erp: ErpServer) -> str:
    """What the plant makes."""
    return install.SEEDS[erp.plant_id].product.code
