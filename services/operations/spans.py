"""Spans as they come by OTLP: kept for the waterfall under an order's timeline."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer

from servicekit.database import Database, Tx

SPANS_MOST = 5000  # of one export; a sender splits larger ones
ERROR = 2  # opentelemetry.proto.trace.v1.Status.STATUS_CODE_ERROR


class SpanReceiver(TraceServiceServicer):
    """OTLP's trace service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def Export(self, request: Any, context: Any) -> Any:
        rows = spans_of(request)[:SPANS_MOST]
        await self._database.write(lambda tx: insert(tx, rows))
        return trace_service_pb2.ExportTraceServiceResponse()


def spans_of(request: Any) -> list[tuple[Any, ...]]:
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


def insert(tx: Tx, rows: list[tuple[Any, ...]]) -> None:
    """Spans may come twice; the first stays."""
    tx.many(
        "INSERT INTO spans (trace_id, span_id, parent_span_id, service_name, name, start_ns, end_ns, is_error) "
        "VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (trace_id, span_id) DO NOTHING",
        rows,
    )


def prune(tx: Tx, before_ns: int, most: int = 2000) -> int:
    """Drop a few of the oldest spans."""
    return tx.run(
        "DELETE FROM spans WHERE (trace_id, span_id) IN "
        "(SELECT trace_id, span_id FROM spans WHERE end_ns < ? ORDER BY end_ns LIMIT ?)",
        (before_ns, most),
    )
