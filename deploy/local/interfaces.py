"""`isthmus interfaces`: whether each way between two systems keeps its time, plant by plant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from deploy.local.calls import pages, stub
from isthmus.operations.v1 import interface_pb2
from isthmus.operations.v1 import operations_service_pb2 as messages


def interfaces(ports: Mapping[str, int], plant: str) -> list[dict[str, Any]]:
    """All interfaces of a plant, or of all plants."""
    with stub(ports, "operations") as operations:
        wanted = messages.ListInterfacesRequest(plant_id=plant)
        return [row(one) for one in pages(operations.ListInterfaces, wanted, "interfaces")]


def row(one: interface_pb2.Interface) -> dict[str, Any]:
    """An interface for people; times in UTC, empty where there is none."""
    return {
        "plant": one.plant_id,
        "interface": one.interface_id,
        "name": one.name,
        "tier": _word(interface_pb2.SlaTier.Name(one.sla_tier), "SLA_TIER_"),
        "limit": str(one.limit_duration.ToTimedelta()),
        "state": _word(interface_pb2.InterfaceState.Name(one.state), "INTERFACE_STATE_"),
        "since": _time(one.since_time),
        "open": one.open_count,
        "oldest order": one.oldest_work_order_id,
        "last good": _time(one.last_good_time),
        "owner": one.owner,
    }


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")


def _time(stamp: Timestamp) -> str:
    return f"{datetime.fromtimestamp(stamp.seconds, UTC):%Y-%m-%d %H:%M:%S}" if stamp.seconds else ""
