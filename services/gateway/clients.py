"""The services that the gateway calls, each by one long-lived channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from isthmus.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub

DEADLINE = 5.0  # seconds for a call
OPTIONS = (("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_permit_without_calls", 1))


@dataclass(frozen=True, slots=True)
class Clients:
    master_data: Any
    production: Any
    inventory: Any


def connect(master_data: str, production: str, inventory: str) -> Clients:
    """Channels connect when they are first used, and again by themselves."""
    return Clients(
        MasterDataServiceStub(grpc.aio.insecure_channel(master_data, options=OPTIONS)),
        ProductionServiceStub(grpc.aio.insecure_channel(production, options=OPTIONS)),
        InventoryServiceStub(grpc.aio.insecure_channel(inventory, options=OPTIONS)),
    )
