"""What the local system reads back from its ERPs, while people and adapters go on in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deploy.local.readback import Erp
from tests.gateway.erp.conftest import ErpServer
from tests.gateway.erp.user import TrytonUser

pytestmark = pytest.mark.flow


class Overtaken(Erp):
    """A reader that somebody overtakes between two of its requests."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def search(self, model: str, domain: list[Any], fields: list[str]) -> list[dict[str, Any]]:
        found = super().search(model, domain, fields)
        if model == "stock.shipment.out":
            self.meanwhile()
        return found


def test_moves_that_the_erp_throws_away_between_two_readings_are_not_done(erp: ErpServer, planner: TrytonUser) -> None:
    delivery, number = planner.delivery("1")
    moves = planner.read("stock.shipment.out", delivery, "outgoing_moves")["outgoing_moves"]
    reader = Overtaken(erp.seed)
    reader.meanwhile = lambda: planner.call("stock.move", "delete", moves)
    assert reader.deliveries()[number] == (False, {})
