"""What the MES has booked, asked through a bridge that is a real process, with what became of each report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from isthmus.edge.v1.edge_service_pb2 import ListMesConfirmationsRequest, MesConfirmation
from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceStub
from isthmus.operations.v1.lane_service_pb2 import ListLanesRequest
from isthmus.production.v1.production_events_pb2 import WorkOrderReleased
from servicekit.errors import from_rpc_error
from tests.edge_bridge.drivers.test_rest_mes import Terminal
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.ghent import Ghent

pytestmark = pytest.mark.connected
REPORT = {"auftrag": "FA-000001", "vorgang": "0010", "gut": "3,5", "einheit": "ST", "zeit_min": "1"}
ENDED = {"ende": "2026-11-24T13:00:00+01:00"}


class Plant:
    def __init__(self, bridge: Ghent, terminal: Terminal) -> None:
        self.bridge, self.terminal = bridge, terminal

    def book(self, page_size: int = 2, plant_id: str = "ghent") -> list[MesConfirmation]:
        request = ListMesConfirmationsRequest(plant_id=plant_id, page_size=page_size)
        found: list[MesConfirmation] = []
        with grpc.insecure_channel(f"127.0.0.1:{self.bridge.port}") as channel:
            while True:
                page = EdgeServiceStub(channel).ListMesConfirmations(request, timeout=10, wait_for_ready=True)
                found += page.confirmations
                if not (token := page.next_page_token):
                    return found
                request.page_token = token

    def refusal(self, plant_id: str) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.RpcError) as refused:
            self.book(plant_id=plant_id)
        return from_rpc_error(refused.value)[:2]


@pytest.fixture
async def plant(tmp_path: Path, broker: Broker) -> AsyncIterator[Plant]:
    terminal = Terminal(tmp_path)
    terminal.process.start()
    bridge = Ghent(tmp_path, broker, MES_ADDRESS=terminal.url)
    bridge.bridge.start()
    await eventually(terminal.is_up)
    yield Plant(bridge, terminal)
    bridge.bridge.kill()
    terminal.process.kill()


async def an_order(plant: Plant) -> None:
    """Order ghent-1 is in the MES, as FA-000001."""
    released = WorkOrderReleased()
    order = released.work_order
    order.work_order_id, order.plant_id, order.item_id = "ghent-1", "ghent", "PUMP-100"
    order.planned_quantity.value, order.planned_quantity.unit_code = "5", "C62"
    order.operations.add(sequence=10, description="Bore", work_centre_id="CNC")
    await plant.bridge.say("production-ghent", released)

    async def accepted() -> bool:
        return bool(await plant.bridge.facts("WorkOrderAccepted"))

    await eventually(accepted, within=30)


async def test_each_report_of_the_mes_is_shown_with_what_became_of_it(plant: Plant) -> None:
    await an_order(plant)
    scrap = [{"menge": "0,5", "grund": "GRAT"}]
    first = await plant.terminal.types("/api/meldungen", **REPORT, **ENDED, ausschuss=scrap)
    await plant.terminal.types(f"/api/meldungen/{first}/storno", grund="Zaehlfehler")
    await plant.terminal.types("/api/meldungen", **{**REPORT, **ENDED, "auftrag": "FA-777777", "gut": "O"})

    def read() -> list[MesConfirmation]:
        found = plant.book()
        assert len(found) == 3
        assert all(one.is_read for one in found)
        return found

    booked, reversal, unreadable = await eventually(lambda: asyncio.to_thread(read), within=30)
    assert (booked.document_number, booked.work_order_id, booked.operation_sequence) == (first, "ghent-1", 10)
    assert (booked.good_quantity.value, booked.scrap_quantity.value, booked.good_quantity.unit_code) == (
        "3.5",
        "0.5",
        "C62",
    )
    assert (reversal.reversed_document_number, reversal.work_order_id) == (first, "ghent-1")
    assert booked.take_time.ToDatetime() <= reversal.take_time.ToDatetime()
    assert (unreadable.work_order_id, unreadable.mes_order_number, unreadable.lane_key) == (
        "",
        "FA-777777",
        "mes:FA-777777",
    )
    assert "gut" in unreadable.unreadable_text
    lanes = plant.bridge.call_desk("ListLanes", ListLanesRequest()).lanes
    assert [(lane.consumer, lane.order_key) for lane in lanes] == [("mes-ghent", unreadable.lane_key)]
    assert not unreadable.HasField("take_time")
    assert not unreadable.HasField("good_quantity")


async def test_a_book_is_of_the_bridges_own_plant_and_of_an_mes_that_answers(plant: Plant) -> None:
    assert plant.refusal("brno") == (grpc.StatusCode.PERMISSION_DENIED, "PLANT_MISMATCH")
    await asyncio.to_thread(plant.terminal.process.kill)
    assert plant.refusal("ghent") == (grpc.StatusCode.UNAVAILABLE, "MES_AWAY")
