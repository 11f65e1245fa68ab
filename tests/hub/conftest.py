"""The hub's services running, on SQLite and on PostgreSQL, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from isthmus.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from isthmus.maintenance.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from isthmus.quality.v1.quality_service_pb2_grpc import QualityServiceStub
from tests.support.requests import an_item
from tests.support.running import NAMES, Hub, running_hub


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    home: Path = tmp_path_factory.mktemp(f"hub-{request.param}")
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None

    def database_url(name: str) -> str:
        return postgres.fresh() if postgres is not None else f"sqlite:///{home / name}.db"

    with running_hub(home, database_url) as found:
        yield found


class Calls:
    """Stubs of the hub's services."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.channels = {n: grpc.insecure_channel(hub.address(n)) for n in NAMES}
        self.master_data = MasterDataServiceStub(self.channels["master_data"])
        self.production = ProductionServiceStub(self.channels["production"])
        self.inventory = InventoryServiceStub(self.channels["inventory"])
        self.quality = QualityServiceStub(self.channels["quality"])
        self.maintenance = MaintenanceServiceStub(self.channels["maintenance"])
        self.desk = LaneServiceStub(self.channels["production"])


@pytest.fixture(scope="session")
def calls(hub: Hub) -> Iterator[Calls]:
    made = Calls(hub)
    made.master_data.RecordItem(an_item(), timeout=10)
    yield made
    for channel in made.channels.values():
        channel.close()
