"""A machine stops its line: the orders that need it are held, and go on when it is free, on running services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from isthmus.maintenance.v1 import asset_pb2
from isthmus.production.v1 import production_service_pb2 as messages
from servicekit.errors import from_rpc_error
from tests.hub.conftest import Calls
from tests.hub.test_maintenance import NUMBERS, a_state, an_asset
from tests.support.eventually import eventually
from tests.support.plant import Plant, plant_of
from tests.support.requests import a_confirmation, a_release, an_item

pytestmark = pytest.mark.connected
RUNNING, DOWN = asset_pb2.MACHINE_STATE_RUNNING, asset_pb2.MACHINE_STATE_DOWN


@pytest.fixture
async def plant(calls: Calls) -> AsyncIterator[Plant]:
    async with plant_of(calls.hub.home / "plant", calls.hub.broker.url, "aachen") as found:
        yield found


async def an_order(calls: Calls, line: str) -> Any:
    """An order whose last operation needs the line."""
    number = f"LN{next(NUMBERS)}"
    calls.master_data.RecordItem(an_item(), timeout=10)
    request = a_release(number)
    request.work_order.operations[1].work_centre_id = line

    def release() -> Any:
        try:
            return calls.production.ReleaseWorkOrder(request, timeout=10).work_order
        except grpc.RpcError as error:
            if from_rpc_error(error)[1] == "ITEM_UNKNOWN":  # production has not heard of it yet
                return None
            raise

    return await eventually(release)


def reasons(calls: Calls, order_id: str) -> list[str]:
    request = messages.GetWorkOrderRequest(work_order_id=order_id)
    order = calls.production.GetWorkOrder(request, timeout=10).work_order
    assert order.is_held == bool(order.hold_reasons)
    return list(order.hold_reasons)


def blocked(calls: Calls, line: str) -> list[str]:
    request = messages.ListLinesRequest(plant_id="aachen", only_blocked=True)
    found = [one for one in calls.production.ListLines(request, timeout=10).lines if one.line_id == line]
    return [block.asset_id for one in found for block in one.blocks]


async def test_an_order_is_held_while_any_machine_stops_its_line_and_its_work_is_booked_all_the_same(
    calls: Calls, plant: Plant
) -> None:
    line = f"LINE-{next(NUMBERS)}"
    presses = [f"PRESS-{next(NUMBERS)}" for _ in range(2)]
    for press in presses:
        request = an_asset(press)
        request.asset.line_id = line
        calls.maintenance.RecordAsset(request, timeout=10)
    early = await an_order(calls, line)
    assert not early.is_held
    await plant.says([a_state(press, DOWN, 1 + number, 17) for number, press in enumerate(presses)])
    await eventually(lambda: blocked(calls, line) == presses)
    assert len(reasons(calls, early.work_order_id)) == 2
    late = await an_order(calls, line)
    assert late.is_held
    assert f"line {line} is blocked" in late.hold_reasons[0]
    booked = a_confirmation(f"c-{line}", early.work_order_id, 10)
    assert calls.production.ConfirmOperation(booked, timeout=10).confirmation.good_quantity.value == "5"
    await plant.says([a_state(presses[0], RUNNING, 5)])
    await eventually(lambda: blocked(calls, line) == presses[1:])
    assert len(reasons(calls, late.work_order_id)) == 1
    await plant.says([a_state(presses[1], RUNNING, 6)])
    await eventually(lambda: blocked(calls, line) == [])
    assert reasons(calls, early.work_order_id) == reasons(calls, late.work_order_id) == []
    other = await an_order(calls, line)
    assert not other.is_held
