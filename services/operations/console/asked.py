"""Whom the console asks: stubs of operations itself, of every service's desk, and of the plants' bridges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.common.v1.business_key_pb2 import BusinessKey
from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceStub
from isthmus.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from isthmus.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from isthmus.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from servicekit.channel import channel

DEADLINE = 5.0  # seconds of a call; a plant that is cut off is shown as such after it
BRIDGE_DEADLINE = 1.0
ROWS_MOST = 2000  # of a list on one page


@dataclass(frozen=True, slots=True)
class Asked:
    """`desks` by service name; `bridges` by plant; a service that the settings do not name is None."""

    operations: Any
    gateway: Any
    master_data: Any
    inventory: Any
    desks: Mapping[str, Any]
    bridges: Mapping[str, Any]
    plants: tuple[str, ...]
    trace_url: str


def connect(
    own: str,
    gateway: str,
    desks: Mapping[str, str],
    bridges: Mapping[str, str],
    plants: tuple[str, ...],
    trace_url: str,
) -> Asked:
    """Channels connect when they are first used."""
    return Asked(
        OperationsServiceStub(channel(own)),
        GatewayServiceStub(channel(gateway)) if gateway else None,
        MasterDataServiceStub(channel(desks["master_data"])) if "master_data" in desks else None,
        InventoryServiceStub(channel(desks["inventory"])) if "inventory" in desks else None,
        {name: LaneServiceStub(channel(at)) for name, at in desks.items()},
        {plant: EdgeServiceStub(channel(at)) for plant, at in bridges.items()},
        plants,
        trace_url,
    )


def key_of(act: str, number: str) -> BusinessKey:
    """The business key of something that is done here; asked for again under the same number it is done once."""
    return BusinessKey(source_system="console", document_type=act, document_number=number)


async def rows(call: Any, request: Any, field: str, most: int = ROWS_MOST) -> AsyncIterator[Any]:
    """Rows of a List call, so many at most."""
    left = most
    while left > 0:
        response = await call(request, timeout=DEADLINE)
        for row in list(getattr(response, field))[:left]:
            left -= 1
            yield row
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token
