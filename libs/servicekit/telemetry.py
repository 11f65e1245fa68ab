"""Traces, and the words that logs carry: one trace an order, from the ERP's release to the shipment."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

tracer = trace.get_tracer("isthmus")


def start(service: str, plant_id: str, otlp_endpoint: str, log_level: str) -> None:
    """Spans leave by OTLP to `otlp_endpoint` (empty: they are made, so trace ids exist, and dropped). Logs are JSON lines."""
    attributes = {"service.name": service, "service.namespace": "isthmus"}
    if plant_id:
        attributes["isthmus.plant.id"] = plant_id
    provider = TracerProvider(resource=Resource.create(attributes))
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=otlp_endpoint, insecure=True, timeout=5)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    _start_logs(service, log_level)


def instrument(engines: Sequence[Any]) -> None:
    """Spans of gRPC calls and database statements."""
    from opentelemetry.instrumentation.grpc import (
        GrpcAioInstrumentorClient,
        GrpcAioInstrumentorServer,
        filters,
    )
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    quiet = filters.negate(filters.any_of(filters.health_check(), filters.service_prefix("opentelemetry.")))
    GrpcAioInstrumentorServer(filter_=quiet).instrument()  # type: ignore[no-untyped-call]
    GrpcAioInstrumentorClient(filter_=quiet).instrument()  # type: ignore[no-untyped-call]
    SQLAlchemyInstrumentor().instrument(engines=list(engines))


def stop() -> None:
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def _start_logs(service: str, log_level: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=log_level.upper(), format="%(message)s", force=True)
    for noisy in ("httpx", "httpcore", "asyncua", "opentelemetry", "grpc", "nats", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_trace,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(log_level.lower()),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)


def _with_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    span = trace.get_current_span().get_span_context()
    if span.is_valid and "trace_id" not in event:
        event["trace_id"] = f"{span.trace_id:032x}"
    return event


def current_traceparent() -> str:
    """W3C form of the current span; empty when there is none."""
    return traceparent_of(trace.get_current_span().get_span_context())


def traceparent_of(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01" if context.is_valid else ""


def context_of(traceparent: str) -> SpanContext | None:
    """The span context of a traceparent; None if it is empty or not one."""
    parts = traceparent.split("-")
    try:
        _, trace_id, span_id, _ = parts
        context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(1))
    except ValueError:
        return None
    return context if context.is_valid else None


def span_in_order_trace(name: str, kept: str, incoming: str, start_ns: int, attributes: Mapping[str, str]) -> Span:
    """A span of a business step, in the order's own trace.

    `kept` is the trace kept with the order, `incoming` the caller's. Where they are one trace the caller's span is the
    parent; where they differ the order's trace wins and the caller's is linked.
    """
    mine, theirs = context_of(kept), context_of(incoming)
    parent = theirs if mine is None or (theirs is not None and theirs.trace_id == mine.trace_id) else mine
    links = [Link(theirs)] if theirs is not None and parent is not theirs else []
    context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent is not None else Context()
    named = {key: value for key, value in attributes.items() if value}
    return tracer.start_span(
        name, context=context, kind=SpanKind.CONSUMER, links=links, start_time=start_ns, attributes=named
    )
