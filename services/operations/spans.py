"""Spans as they come by OTLP, kept for the waterfall under an order's timeline, a trace whole or not at all.

Kept for `span_days` after a trace's last span, and at most so many in all: beyond that ordinary traces go first, the oldest
first; those that were slow, failed or parked go only when nothing else is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer

from servicekit.clock import micros
from servicekit.database import Database, Tx
from services.operations.store import CLOCKS

SPANS_MOST = 5000  # of one export; a sender splits larger ones
TRACE_MOST = 20_000  # spans of one trace; later ones are not kept
ERROR = 2  # opentelemetry.proto.trace.v1.Status.STATUS_CODE_ERROR
SETTLE = timedelta(minutes=1)  # a trace that was added to within it may still turn out to be one to keep
DROP_TRACES, DROP_SPANS = 100, 2000  # of one transaction
Span = tuple[Any, ...]  # trace, span, parent, service, name, start, end, is_error


class SpanReceiver(TraceServiceServicer):
    """OTLP's trace service."""

    def __init__(self, database: Database, slow: timedelta) -> None:
        self._database, self._slow = database, slow

    async def Export(self, request: Any, context: Any) -> Any:
        rows = spans_of(request)[:SPANS_MOST]
        await self._database.write(lambda tx: insert(tx, rows, self._slow))
        return trace_service_pb2.ExportTraceServiceResponse()


def spans_of(request: Any) -> list[Span]:
    return [
        (
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            _service_name(resource),
            span.name[:200],
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code == ERROR,
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _service_name(resource: Any) -> str:
    named = {a.key: a.value.string_value for a in resource.resource.attributes}
    plant = named.get("isthmus.plant.id", "")
    return f"{named.get('service.name', 'unknown')}-{plant}" if plant else named.get("service.name", "unknown")


def insert(tx: Tx, spans: Iterable[Span], slow: timedelta) -> None:
    """Spans may come twice; the first stays. One that failed, or took as long as `slow`, makes its trace one to keep."""
    by_trace: dict[str, list[Span]] = {}
    for span in spans:
        by_trace.setdefault(span[0], []).append(span)
    for full in _full(tx, by_trace):
        del by_trace[full]
    slow_ns = slow // timedelta(microseconds=1) * 1000
    traces = [
        (
            trace_id,
            max(span[6] for span in found),
            len(found),
            any(span[7] or span[6] - span[5] >= slow_ns for span in found),
        )
        for trace_id, found in sorted(by_trace.items())  # sorted: two exports at once can't lock each other
    ]
    tx.many(
        "INSERT INTO traces (trace_id, last_ns, span_count, is_troubled) VALUES (?,?,?,?) ON CONFLICT (trace_id) DO UPDATE SET "
        "last_ns = CASE WHEN excluded.last_ns > traces.last_ns THEN excluded.last_ns ELSE traces.last_ns END, "
        "span_count = traces.span_count + excluded.span_count, is_troubled = traces.is_troubled OR excluded.is_troubled",
        traces,
    )
    tx.many(
        "INSERT INTO spans (trace_id, span_id, parent_span_id, service_name, name, start_ns, end_ns, is_error) "
        "VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (trace_id, span_id) DO NOTHING",
        [span for trace_id in sorted(by_trace) for span in by_trace[trace_id]],
    )


def _full(tx: Tx, trace_ids: Iterable[str]) -> list[str]:
    wanted = list(trace_ids)
    found = tx.rows(
        f"SELECT trace_id FROM traces WHERE span_count >= {TRACE_MOST} AND trace_id IN ({_marks(wanted)})", wanted
    )
    return [row.trace_id for row in found]


async def prune(database: Database, now: datetime, kept: timedelta, most: int, limits: Mapping[str, timedelta]) -> None:
    """Drop traces that are too old, then such as are beyond `most` spans in all, in small transactions: what is heard comes in
    between. `limits` are those of interfaces, by id: a trace that was over one of them was slow."""
    while await database.write(lambda tx: _drop(tx, _candidates(tx, "last_ns < ?", _ns(now - kept)), DROP_SPANS)):
        pass
    beyond = await database.read(_held) - most
    while (
        beyond > 0
        and (step := await database.write(partial(_drop_beyond, beyond=beyond, now=now, limits=limits))) is not None
    ):
        beyond -= step


def _held(tx: Tx) -> int:
    (held,) = tx.rows("SELECT COALESCE(SUM(span_count), 0) AS spans FROM traces")
    return int(held.spans)


def _drop_beyond(tx: Tx, beyond: int, now: datetime, limits: Mapping[str, timedelta]) -> int | None:
    """Spans that were dropped, none if all that was looked at turned out to be of trouble; None: nothing can be dropped yet."""
    settled = _ns(now - SETTLE)
    ordinary = _candidates(tx, "is_troubled = ? AND last_ns < ?", False, settled)
    if not ordinary:
        return _drop(tx, _candidates(tx, "last_ns < ?", settled), beyond) or None
    troubled = _troubled(tx, [row.trace_id for row in ordinary], now, limits)
    tx.many("UPDATE traces SET is_troubled = ? WHERE trace_id = ?", [(True, trace_id) for trace_id in sorted(troubled)])
    return _drop(tx, [row for row in ordinary if row.trace_id not in troubled], beyond)


def _candidates(tx: Tx, where: str, *values: object) -> list[Any]:
    return tx.rows(
        f"SELECT trace_id, span_count FROM traces WHERE {where} ORDER BY last_ns LIMIT {DROP_TRACES}", values
    )


def _drop(tx: Tx, traces: Iterable[Any], spans: int) -> int:
    """Drop the first of these traces until so many spans are gone, or the transaction gets long. The number of spans."""
    chosen: list[tuple[str]] = []
    dropped = 0
    for row in traces:
        if dropped >= min(spans, DROP_SPANS):
            break
        chosen.append((row.trace_id,))
        dropped += row.span_count
    tx.many("DELETE FROM spans WHERE trace_id = ?", chosen)
    tx.many("DELETE FROM traces WHERE trace_id = ?", chosen)
    return dropped


def _troubled(tx: Tx, trace_ids: list[str], now: datetime, limits: Mapping[str, timedelta]) -> set[str]:
    """Those of an order that something alarming was said of, or that waited at an interface for longer than its limit."""
    orders = f"SELECT work_order_id FROM order_references WHERE trace_id IN ({_marks(trace_ids)})"
    alarmed = tx.rows(
        f"SELECT DISTINCT work_order_id FROM timeline_entries WHERE is_alarm = ? AND work_order_id IN ({orders})",
        [True, *trace_ids],
    )
    clocks = CLOCKS.select(tx, f"open_time > 0 AND work_order_id IN ({orders})", trace_ids)
    late = {
        clock.work_order_id
        for clock in clocks
        if clock.open_time
        and (clock.close_time or now) - clock.open_time > limits.get(clock.interface_id, timedelta.max)
    }
    troubled = sorted({row.work_order_id for row in alarmed} | late)
    found = tx.rows(f"SELECT trace_id FROM order_references WHERE work_order_id IN ({_marks(troubled)})", troubled)
    return {row.trace_id for row in found}


def _marks(values: Iterable[str]) -> str:
    return ",".join("?" for _ in values) or "NULL"


def _ns(moment: datetime) -> int:
    return micros(moment) * 1000
