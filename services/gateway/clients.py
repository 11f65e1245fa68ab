"""The services that the gateway calls, each by one long-lived channel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import grpc

from isthmus.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from isthmus.quality.v1.quality_service_pb2_grpc import QualityServiceStub
from servicekit import channel as channels

DEADLINE = 5.0  # seconds for a call, its retries in it
REFUSALS = frozenset(
    {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS}
)
RETRY = {  # as protos/README.md asks of callers: every call carries its business key
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}
OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.enable_retries", 1),
    ("grpc.service_config", json.dumps(RETRY)),
)


@dataclass(frozen=True, slots=True)
class Clients:
    """`quality` is None where the settings name none."""

    master_data: Any
    production: Any
    inventory: Any
    quality: Any = None


def channel(address: str) -> grpc.aio.Channel:
    """To a service of ours: a call that nobody answered is made again."""
    return channels.channel(address, OPTIONS)


def connect(master_data: str, production: str, inventory: str, quality: str = "") -> Clients:
    return Clients(
        MasterDataServiceStub(channel(master_data)),
        ProductionServiceStub(channel(production)),
        InventoryServiceStub(channel(inventory)),
        QualityServiceStub(channel(quality)) if quality else None,
    )
