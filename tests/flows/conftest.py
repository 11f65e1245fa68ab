"""The system of `isthmus up`, once for all tests here, on ports and in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from deploy.local import ports
from deploy.local.foreign import Place
from deploy.local.plant import Plants
from deploy.local.tryton.plants import SEEDS
from tests.gateway.erp.user import TrytonUser
from tests.support.eventually import eventually
from tests.support.isthmus import Isthmus, free_base

UP_SECONDS = 180  # the ERP databases may have to be made


class LocalSystem:
    """What a user of the running system does and sees."""

    def __init__(self, isthmus: Isthmus) -> None:
        self.isthmus = isthmus
        self.ports = ports.table(isthmus.base)
        self.plants = Plants(Place(isthmus.home, self.ports, {plant: SEEDS[plant] for plant in isthmus.plants}))

    def ask(self, *arguments: str) -> Any:
        """A command's JSON."""
        answer = self.isthmus.run(*arguments, "--json")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)

    def process(self, service: str) -> dict[str, Any]:
        return next(row for row in self.ask("ps") if row["service"] == service)

    def tells(self, order: str, words: str) -> bool:
        """The order's timeline says so. Not yet known, or nobody there to ask, is no."""
        try:
            return self.plants.tells(order, words)
        except (SystemExit, grpc.RpcError):
            return False

    @asynccontextmanager
    async def order_in_flight(self) -> AsyncIterator[str]:
        """A new order of aachen, in its MES; the line begins it when the caller is done."""
        self.plants.hold_rest(is_held=True)
        try:
            _, number = TrytonUser(self.plants.seeds["aachen"], "admin").released_order("2")
            order = f"aachen-{number}"
            await eventually(lambda: self.tells(order, "MES accepted the order"), within=60)
            yield order
        finally:
            self.plants.hold_rest(is_held=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo goes first: it is timed, and wants the machine before the kept-up system has it."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


@pytest.fixture(scope="package")
def local_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """For this package only, so that the tests after it have the machine for themselves."""
    home: Path = tmp_path_factory.mktemp("isthmus") / "home"
    isthmus = Isthmus(free_base(), home, ("aachen", "brno"), {"GATEWAY_FULL_SYNC_HOURS": "0.003"})
    answer = isthmus.run("up", within=UP_SECONDS)
    try:
        assert answer.code == 0, answer.err
        yield LocalSystem(isthmus)
    finally:
        isthmus.run("down")
        assert isthmus.left_running() == []
