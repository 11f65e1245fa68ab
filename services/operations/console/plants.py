"""One card a plant: its link, what it still has to send, its ERP, whether its interfaces keep their time, what is parked."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import grpc
from starlette.requests import Request

from isthmus.edge.v1.edge_service_pb2 import GetEdgeStatusRequest
from isthmus.gateway.v1.gateway_service_pb2 import ListErpBindingsRequest
from isthmus.operations.v1 import lane_service_pb2
from servicekit import clock
from services.operations.console import interfaces
from services.operations.console.asked import BRIDGE_DEADLINE, Asked, rows
from services.operations.console.words import at

ROOM_MOST = timedelta(days=999)
RATE_LEAST = timedelta(seconds=10)  # of facts, to speak of a rate


async def page(asked: Asked, _request: Request) -> tuple[str, dict[str, Any]]:
    """All plants."""
    links, erps, parked, kept = await asyncio.gather(
        _links(asked), _erps(asked), _parked(asked), interfaces.listed(asked)
    )
    cards = [
        {
            "plant_id": plant,
            "link": links.get(plant),
            "erp": erps.get(plant),
            "parked": parked[plant],
            "interfaces": [one for one in kept if one["plant_id"] == plant],
        }
        for plant in asked.plants
    ]
    return "plants.html", {"live": asked.plants, "beat": ", every 5s", "cards": cards}


async def _links(asked: Asked) -> dict[str, dict[str, Any]]:
    found = await asyncio.gather(*(_link(bridge) for bridge in asked.bridges.values()))
    return dict(zip(asked.bridges, found, strict=True))


async def _link(bridge: Any) -> dict[str, Any]:
    """What the bridge itself says; one that can't be reached from here says nothing."""
    try:
        said = await bridge.GetEdgeStatus(GetEdgeStatusRequest(), timeout=BRIDGE_DEADLINE)
    except grpc.aio.AioRpcError:
        return {"is_reached": False}
    oldest = at(said.oldest_backlog_time)
    return {
        "is_reached": True,
        "is_linked": said.is_linked,
        "change_time": at(said.link_change_time),
        "backlog": said.backlog_count,
        "oldest_time": oldest,
        "room": _room(said, clock.now() - oldest) if oldest is not None else None,
        "away": [one.connector_id for one in said.connectors if not one.is_connected],
    }


def _room(said: Any, cut_for: timedelta) -> timedelta | None:
    """How long the bridge's disk lasts if facts go on to come as they did since the oldest that waits."""
    needed = said.backlog_count * said.bytes_per_fact  # in that time
    if not needed or not said.disk_free_bytes or cut_for < RATE_LEAST:
        return None
    return min(cut_for * (said.disk_free_bytes / needed), ROOM_MOST)


async def _erps(asked: Asked) -> dict[str, dict[str, Any]]:
    if asked.gateway is None:
        return {}
    try:
        answer = await asked.gateway.ListErpBindings(ListErpBindingsRequest(), timeout=BRIDGE_DEADLINE)
    except grpc.aio.AioRpcError:
        return {}
    return {
        one.plant_id: {
            "release": f"{one.family} {one.release}".strip(),
            "is_connected": one.is_connected,
            "last_poll_time": at(one.last_poll_time),
            "last_error": one.last_error,
        }
        for one in answer.bindings
    }


async def _parked(asked: Asked) -> Counter[str]:
    counted: Counter[str] = Counter()
    for found in await asyncio.gather(*(_parked_at(desk) for desk in asked.desks.values())):
        counted.update(found)
    return counted


async def _parked_at(desk: Any) -> Counter[str]:
    try:
        lanes = [lane async for lane in rows(desk.ListLanes, lane_service_pb2.ListLanesRequest(), "lanes")]
    except grpc.aio.AioRpcError:
        return Counter()
    return Counter(lane.plant_id for lane in lanes if lane.state == lane_service_pb2.LANE_STATE_PARKED)
