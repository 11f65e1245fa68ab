"""An order: found by any of its numbers, its timeline with the waits between, and the spans of its trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request

from isthmus.operations.v1 import operations_service_pb2 as messages
from services.operations.console.asked import DEADLINE, Asked, rows
from services.operations.console.facts import fact_path
from services.operations.console.lots import made_lots
from services.operations.console.words import at

SPANS_MOST = 500
WAIT = timedelta(seconds=10)  # a step that came so long after the one before is shown as waited for


@dataclass(frozen=True, slots=True)
class Bar:
    """A span of the waterfall. `left` and `width` in percent of the whole trace."""

    service: str
    name: str
    depth: int
    left: float
    width: float
    took: timedelta
    is_error: bool


async def search(asked: Asked, request: Request) -> tuple[str, dict[str, Any]]:
    """Orders known by a number."""
    number = request.query_params.get("number", "").strip()[:128]
    found: list[Any] = []
    if number:
        call = asked.operations.FindOrders
        found = [one async for one in rows(call, messages.FindOrdersRequest(number=number), "orders", 200)]
    return "orders.html", {"number": number, "orders": found}


async def page(asked: Asked, request: Request) -> tuple[str, dict[str, Any]]:
    """One order."""
    order_id = request.path_params["work_order_id"]
    wanted = messages.GetTimelineRequest(work_order_id=order_id)
    told = await asked.operations.GetTimeline(wanted, timeout=DEADLINE)
    spans: list[Any] = []
    if told.order.trace_id:
        listed = messages.ListSpansRequest(trace_id=told.order.trace_id, page_size=SPANS_MOST)
        spans = [one async for one in rows(asked.operations.ListSpans, listed, "spans", SPANS_MOST)]
    entries = [
        {
            "occur_time": at(entry.occur_time),
            "record_time": at(entry.record_time),
            "text": entry.text,
            "said_by": entry.said_by,
            "after": after,
            "is_wait": after >= WAIT,
            "is_late": entry.is_late,
            "is_alarm": entry.is_alarm,
            "fact": fact_path(asked, entry.producer_slot, entry.producer_sequence),
        }
        for entry in told.entries
        for after in (entry.since_previous.ToTimedelta(),)
    ]
    missing = [
        {
            "name": step.interface_name,
            "since_time": at(step.since_time),
            "limit": step.limit_duration.ToTimedelta(),
            "is_beyond": step.is_beyond_limit,
            "owner": step.owner,
        }
        for step in told.missing_steps
    ]
    plant, order = told.order.plant_id, told.order.work_order_id
    trace = f"{asked.trace_url}{told.order.trace_id}" if asked.trace_url and told.order.trace_id else ""
    return "order.html", {
        "live": (told.order.plant_id,),
        "order": told.order,
        "entries": entries,
        "missing": missing,
        "lots": await made_lots(asked, plant, order) if asked.inventory is not None else [],
        "bars": bars(spans),
        "trace_url": trace,
    }


def bars(spans: Sequence[Any]) -> list[Bar]:
    """The waterfall, children behind their parents."""
    if not spans:
        return []
    begun = min(span.start_time.ToNanoseconds() for span in spans)
    whole = max(max(span.end_time.ToNanoseconds() for span in spans) - begun, 1)
    depths: dict[str, int] = {}
    found = []
    for span in spans:
        depth = depths[span.span_id] = min(depths.get(span.parent_span_id, -1) + 1, 8)
        start, took = (
            span.start_time.ToNanoseconds() - begun,
            span.end_time.ToNanoseconds() - span.start_time.ToNanoseconds(),
        )
        width = max(took / whole * 100, 0.15)
        left = min(start / whole * 100, 100 - width)
        found.append(
            Bar(
                span.service_name,
                span.name,
                depth,
                round(left, 3),
                round(width, 3),
                timedelta(microseconds=took / 1000),
                span.is_error,
            )
        )
    return found
