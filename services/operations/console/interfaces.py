"""The catalogue of interfaces: whose they are, how soon the next step is expected, and when one last came."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from isthmus.operations.v1 import interface_pb2
from isthmus.operations.v1 import operations_service_pb2 as messages
from services.operations.console.asked import Asked, rows
from services.operations.console.words import at

TIERS = {
    interface_pb2.SLA_TIER_REAL_TIME: "real time",
    interface_pb2.SLA_TIER_NEAR_REAL_TIME: "near real time",
    interface_pb2.SLA_TIER_BATCH: "batch",
}


def shown(one: Any) -> dict[str, Any]:
    """An interface in the words of the page."""
    return {
        "interface_id": one.interface_id,
        "plant_id": one.plant_id,
        "name": one.name,
        "owner": one.owner,
        "tier": TIERS.get(one.sla_tier, "other"),
        "contract": one.from_step.rsplit(".", 1)[0],
        "limit": one.limit_duration.ToTimedelta(),
        "is_breached": one.state == interface_pb2.INTERFACE_STATE_BREACHED,
        "since_time": at(one.since_time),
        "last_good_time": at(one.last_good_time),
        "hour_count": one.hour_count,
        "open_count": one.open_count,
        "oldest_work_order_id": one.oldest_work_order_id,
        "oldest_open_time": at(one.oldest_open_time),
    }


async def listed(asked: Asked) -> list[dict[str, Any]]:
    call = asked.operations.ListInterfaces
    return [shown(one) async for one in rows(call, messages.ListInterfacesRequest(), "interfaces")]


async def page(asked: Asked, _request: Request) -> tuple[str, dict[str, Any]]:
    """Breached ones first."""
    found = await listed(asked)
    found.sort(key=lambda one: (not one["is_breached"], one["plant_id"], one["interface_id"]))
    return "interfaces.html", {"live": asked.plants, "interfaces": found}
