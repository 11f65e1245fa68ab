"""Calls of our own services from the command line and the demo: by gRPC, as any app would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceStub
from isthmus.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from isthmus.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from isthmus.maintenance.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from isthmus.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from isthmus.quality.v1.quality_service_pb2_grpc import QualityServiceStub

DEADLINE = 10.0
STUBS: dict[str, Any] = {
    "production": ProductionServiceStub,
    "inventory": InventoryServiceStub,
    "quality": QualityServiceStub,
    "maintenance": MaintenanceServiceStub,
    "operations": OperationsServiceStub,
    "gateway": GatewayServiceStub,
    "edge_bridge": EdgeServiceStub,
}
HUB = ("master_data", "production", "inventory", "quality", "maintenance", "gateway", "operations")


def services(plants: Iterable[str]) -> list[str]:
    """Every service of a system with these plants, as `isthmus ps` names them."""
    return [*HUB, *(f"edge_bridge-{plant}" for plant in plants)]


@contextmanager
def stub(ports: Mapping[str, int], name: str, kind: Any = None) -> Iterator[Any]:
    """A stub of a service, or of its support desk."""
    with grpc.insecure_channel(f"127.0.0.1:{ports[name]}") as channel:
        yield (kind or STUBS[name.split("-", maxsplit=1)[0]])(channel)


@contextmanager
def desk(ports: Mapping[str, int], name: str) -> Iterator[Any]:
    with stub(ports, name, LaneServiceStub) as found:
        yield found


def pages(call: Any, request: Any, field: str) -> Iterator[Any]:
    """All rows of a List call."""
    while True:
        response = call(request, timeout=DEADLINE)
        yield from getattr(response, field)
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token
