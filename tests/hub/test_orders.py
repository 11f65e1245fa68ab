"""What a released order says of itself on running services, on both databases."""

from __future__ import annotations

from datetime import date

import grpc
import pytest

from isthmus.production.v1 import production_service_pb2 as messages
from isthmus.production.v1.work_order_pb2 import Demand
from servicekit.errors import from_rpc_error
from servicekit.wire import date_message
from tests.hub.conftest import Calls
from tests.support.eventually import eventually
from tests.support.requests import a_release

pytestmark = pytest.mark.connected


async def test_an_order_keeps_for_whom_it_is_made(calls: Calls) -> None:
    wanted = Demand(sales_order_number="SO-7", partner_id="CUST-100", requested_date=date_message(date(2026, 12, 1)))
    release, plain = a_release("DEMAND-1"), a_release("DEMAND-2")
    release.work_order.demand.CopyFrom(wanted)
    await eventually(lambda: is_released(calls, release) and is_released(calls, plain))
    kept = calls.production.GetWorkOrder(messages.GetWorkOrderRequest(work_order_id="aachen-DEMAND-1"), timeout=10)
    assert kept.work_order.demand == wanted
    other = calls.production.GetWorkOrder(messages.GetWorkOrderRequest(work_order_id="aachen-DEMAND-2"), timeout=10)
    assert not other.work_order.HasField("demand")


def is_released(calls: Calls, release: messages.ReleaseWorkOrderRequest) -> bool:
    try:
        calls.production.ReleaseWorkOrder(release, timeout=10)
    except grpc.RpcError as error:
        if from_rpc_error(error)[1] == "ITEM_UNKNOWN":  # production has not heard of it yet
            return False
        raise
    return True
