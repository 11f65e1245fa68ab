"""A customer's order in the ERP makes the demand, the delivery and the order that the plant works on."""

from __future__ import annotations

import pytest

from deploy.local import calls
from isthmus.operations.v1.operations_service_pb2 import FindOrdersRequest
from tests.flows.conftest import LocalSystem
from tests.gateway.erp.user import TrytonUser
from tests.support.eventually import eventually

pytestmark = [pytest.mark.flow, pytest.mark.timeout(330)]


@pytest.mark.parametrize("plant", ["aachen", "brno"])  # Tryton 6.0 and 8.0
async def test_what_a_customer_orders_is_made_and_found_by_the_number_of_the_sale(
    local_system: LocalSystem, plant: str
) -> None:
    user = TrytonUser(local_system.plants.seeds[plant], "admin")
    sale, made = user.sold("1")
    order = f"{plant}-{user.read('production', made, 'number')['number']}"
    await eventually(lambda: local_system.tells(order, f"for sales order {sale} of CUST-100"), within=60)
    await eventually(lambda: local_system.tells(order, "MES accepted the order"), within=60)
    with calls.stub(local_system.ports, "operations") as operations:
        found = operations.FindOrders(FindOrdersRequest(number=sale), timeout=10).orders
    assert order in [one.work_order_id for one in found]
