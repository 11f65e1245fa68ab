"""Prints an order: its timeline in business words, then the waterfall of the same trace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from deploy.local import calls
from isthmus.operations.v1 import operations_service_pb2 as messages

WIDTH = 46  # characters of the waterfall


def fetch(ports: Mapping[str, int], number: str) -> tuple[Any, list[Any]]:
    """The order's timeline and the spans of its trace."""
    with calls.stub(ports, "operations") as operations:
        found = operations.FindOrders(messages.FindOrdersRequest(number=number), timeout=calls.DEADLINE).orders
        if not found:
            raise SystemExit(f"No order is known by {number}. Try the ERP's, the MES's or the lot's number.")
        if len(found) > 1:
            named = ", ".join(order.work_order_id for order in found)
            raise SystemExit(f"{number} is known in several places: {named}. Ask for one of these.")
        request = messages.GetTimelineRequest(work_order_id=found[0].work_order_id)
        timeline = operations.GetTimeline(request, timeout=calls.DEADLINE)
        spans = []
        if timeline.order.trace_id:
            asked = messages.ListSpansRequest(trace_id=timeline.order.trace_id)
            spans = list(calls.pages(operations.ListSpans, asked, "spans"))
    return timeline, spans


def show(ports: Mapping[str, int], number: str, console: Console, *, as_json: bool, with_spans: bool) -> None:
    timeline, spans = fetch(ports, number)
    if as_json:
        said = {
            "timeline": json_format.MessageToDict(timeline),
            "spans": [json_format.MessageToDict(span) for span in spans] if with_spans else [],
        }
        console.print_json(json.dumps(said))
        return
    order = timeline.order
    console.print(f"[bold]{order.work_order_id}[/] {order.item_id}, known as {', '.join(order.numbers)}")
    console.print(f"trace {order.trace_id}")
    table = Table("when (UTC)", "after", "what", "said by")
    for entry in timeline.entries:
        after = f"+{entry.since_previous.ToTimedelta().total_seconds():.1f} s"
        text = f"{entry.text}{' [yellow](late)[/]' if entry.is_late else ''}"
        text = f"[red]{text}[/]" if entry.is_alarm else text
        table.add_row(f"{entry.record_time.ToDatetime():%H:%M:%S.%f}"[:-3], after, text, entry.said_by)
    console.print(table)
    for step in timeline.missing_steps:
        missing = f"missing since {step.since_time.ToDatetime():%H:%M:%S}: {step.interface_name}"
        limit = f"may take {step.limit_duration.ToTimedelta()}"
        console.print(
            f"[red]{missing}, {limit}: ask the {step.owner}[/]" if step.is_beyond_limit else f"{missing}, {limit}"
        )
    if with_spans and spans:
        console.print(waterfall(spans))


def waterfall(spans: list[Any]) -> Table:
    """Spans as bars over the whole time of the trace, children behind their parents."""
    begin = min(_at(span.start_time) for span in spans)
    whole = max((_at(span.end_time) - begin).total_seconds() for span in spans) or 0.001
    table = Table("service", "span", "start", "ms", "")
    depth: dict[str, int] = {}
    for span in spans:
        depth[span.span_id] = depth.get(span.parent_span_id, -1) + 1
        start = (_at(span.start_time) - begin).total_seconds()
        took = (_at(span.end_time) - _at(span.start_time)).total_seconds()
        left = int(start / whole * WIDTH)
        bar = " " * left + "█" * max(1, int(took / whole * WIDTH))
        name = "  " * min(depth[span.span_id], 6) + span.name[:44]
        table.add_row(span.service_name, name, f"{start:.2f} s", f"{took * 1000:.1f}", bar[:WIDTH])
    return table


def _at(stamp: Any) -> datetime:
    moment: datetime = stamp.ToDatetime()
    return moment


def variances(ports: Mapping[str, int], plant: str) -> list[dict[str, Any]]:
    with calls.stub(ports, "operations") as operations:
        found = calls.pages(operations.ListVariances, messages.ListVariancesRequest(plant_id=plant), "variances")
        return [{"order": v.work_order_id, "what": v.text, "found": v.found_time.ToJsonString()} for v in found]
