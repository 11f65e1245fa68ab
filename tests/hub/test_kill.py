"""kill -9 in the middle: what was acknowledged stands once, and goes on by itself."""

from __future__ import annotations

from itertools import count

import grpc
import pytest

from isthmus.inventory.v1.inventory_service_pb2 import ListInventoryTransactionsRequest
from isthmus.production.v1.production_service_pb2 import ConfirmOperationRequest
from tests.hub.conftest import Calls
from tests.hub.test_refusals import a_released_order
from tests.support.eventually import eventually
from tests.support.requests import a_confirmation

pytestmark = pytest.mark.connected
NUMBERS = count(1)


@pytest.mark.parametrize("victim", ["production", "inventory"])
async def test_an_acknowledged_confirmation_reaches_the_ledger_once_through_a_kill(calls: Calls, victim: str) -> None:
    order_id = await a_released_order(calls, "100")
    sent: list[ConfirmOperationRequest] = []
    for number in range(30):
        request = a_confirmation(f"kill-{victim}-{next(NUMBERS)}", order_id, good="1")
        used = request.confirmation.consumptions.add(item_id=f"PART-{number}")
        used.quantity.value, used.quantity.unit_code = "1", "C62"
        sent.append(request)
        if number == 15:
            calls.hub.kill(victim)
            calls.hub.start(victim)

        def confirmed(request: ConfirmOperationRequest = request) -> bool:
            try:
                calls.production.ConfirmOperation(request, timeout=5)
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    return False
                raise
            return True

        await eventually(confirmed, within=60)

    def booked() -> bool:
        request = ListInventoryTransactionsRequest(plant_id="aachen", work_order_id=order_id, page_size=500)
        try:
            lines = calls.inventory.ListInventoryTransactions(request, timeout=5).transactions
        except grpc.RpcError:
            return False
        assert sorted(line.item_id for line in lines) == sorted(f"PART-{n}" for n in range(30))
        return True

    await eventually(booked, within=60)
