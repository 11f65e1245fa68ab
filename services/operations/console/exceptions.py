"""What waits, what is parked and what has no answer, over all services; one lane with what is in it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
from starlette.requests import Request

from isthmus.operations.v1 import lane_service_pb2 as messages
from services.operations.console.asked import DEADLINE, Asked, rows
from services.operations.console.words import at

PARKED = messages.LANE_STATE_PARKED


async def page(asked: Asked, _request: Request) -> tuple[str, dict[str, Any]]:
    """All of them, what needs a person first, the oldest first. A service that does not answer is said to be away."""
    found = await asyncio.gather(*(_of(name, desk) for name, desk in asked.desks.items()))
    listed = [row for some, _ in found for row in some]
    away = [name for (_, is_away), name in zip(found, asked.desks, strict=True) if is_away]
    listed.sort(key=lambda row: (not row["needs_person"], row["since_time"]))
    return "exceptions.html", {"live": asked.plants, "beat": ", every 5s", "rows": listed, "away": away}


async def _of(name: str, desk: Any) -> tuple[list[dict[str, Any]], bool]:
    try:
        lanes = [lane async for lane in rows(desk.ListLanes, messages.ListLanesRequest(), "lanes")]
        unknown = messages.ListPostingsRequest(state="unknown")
        postings = [one async for one in rows(desk.ListPostings, unknown, "postings")]
    except grpc.aio.AioRpcError:
        return [], True
    return [*(_lane(name, lane) for lane in lanes), *(_posting(name, one) for one in postings)], False


def _lane(service: str, lane: Any) -> dict[str, Any]:
    is_parked = lane.state == PARKED
    return {
        "service": service,
        "kind": "parked" if is_parked else "waits",
        "needs_person": is_parked,
        "consumer": lane.consumer,
        "order_key": lane.order_key,
        "reason": lane.reason,
        "text": lane.text,
        "count": lane.fact_count,
        "since_time": at(lane.since_time),
        "is_lane": True,
    }


def _posting(service: str, posting: Any) -> dict[str, Any]:
    return {
        "service": service,
        "kind": "no answer",
        "needs_person": False,
        "consumer": posting.partner_id,
        "order_key": posting.order_key,
        "reason": posting.posting_kind,
        "text": posting.text or "asked, and not answered: it is looked for before it is asked again",
        "count": posting.attempts,
        "since_time": at(posting.change_time),
        "is_lane": False,
    }


async def lane(asked: Asked, request: Request) -> tuple[str, dict[str, Any]]:
    """One lane: its facts, head first, with their content."""
    names = request.path_params
    desk = asked.desks.get(names["service"])
    if desk is None:
        return "error.html", {"reason": "SERVICE_UNKNOWN", "text": f"there is no desk of {names['service']} here"}
    wanted = messages.GetLaneRequest(consumer=names["consumer"], order_key=names["order_key"])
    found = await desk.GetLane(wanted, timeout=DEADLINE)
    facts = [
        {
            "event_id": fact.event_id,
            "fact_type": fact.fact_type,
            "attempts": fact.attempts,
            "reason": fact.reason,
            "text": fact.text,
            "content": _pretty(fact.content_json),
            "bytes": len(fact.envelope),
        }
        for fact in found.facts
    ]
    return "lane.html", {"service": names["service"], "lane": _lane(names["service"], found.lane), "facts": facts}


def _pretty(content: str) -> str:
    try:
        return json.dumps(json.loads(content), indent=1, ensure_ascii=False)
    except ValueError:
        return content
