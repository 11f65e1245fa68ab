"""Traces, and the words that logs carry: one trace an order, from the ERP's release to the shipment."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from servicekit import clock

tracer = trace.get_tracer("isthmus")
TRACEPARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
SCOPE = InstrumentationScope("isthmus")
UNSET = Status(StatusCode.UNSET)
_processor: BatchSpanProcessor | None = None  # where spans leave; None: nobody wants them
_resource = Resource.create({})


def start(service: str, plant_id: str, otlp_endpoint: str, log_level: str) -> None:
    """Spans leave by OTLP to `otlp_endpoint` (empty: they are made, so trace ids exist, and dropped). Logs are JSON lines."""
    global _processor, _resource
    attributes = {"service.name": service, "service.namespace": "isthmus"}
    if plant_id:
        attributes["isthmus.plant.id"] = plant_id
    _resource = Resource.create(attributes)
    provider = TracerProvider(resource=_resource)
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=otlp_endpoint, insecure=True, timeout=5)
        _processor = BatchSpanProcessor(exporter, schedule_delay_millis=500)
        provider.add_span_processor(_processor)
    trace.set_tracer_provider(provider)
    _start_logs(service, log_level)


def instrument() -> None:
    """Spans of the calls we make. Calls that we answer (`Served`) and database statements have theirs by hand."""
    from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient, filters

    quiet = filters.negate(filters.any_of(filters.health_check(), filters.service_prefix("opentelemetry.")))
    GrpcAioInstrumentorClient(filter_=quiet).instrument()  # type: ignore[no-untyped-call]


def metrics_out(endpoint: str, every_seconds: float) -> Any:
    """A provider whose metrics leave by OTLP. Whoever asked for it shuts it down.

    They are told apart by plant, or as the hub's, not by process: whichever replica owns a database's loops goes on with them.
    """
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=True, timeout=5)
    reader = PeriodicExportingMetricReader(exporter, every_seconds * 1000, export_timeout_millis=5000)
    place = {"service.instance.id": str(_resource.attributes.get("isthmus.plant.id", "hub"))}
    return MeterProvider([reader], _resource.merge(Resource(place)), shutdown_on_exit=False)


def stop() -> None:
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


class _Log:
    """Standard error, where a disk that takes no more lines fails no call: what was done or refused would get another answer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


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
        logger_factory=structlog.PrintLoggerFactory(_Log(sys.stderr)),  # type: ignore[arg-type]  # it only writes
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


def traceparent_of(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-01" if span.is_valid else ""


def context_of(traceparent: str) -> SpanContext | None:
    """The span context of a traceparent; None if it is empty or not one."""
    parts = traceparent.split("-")
    try:
        _, trace_id, span_id, _ = parts
        found = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(1))
    except ValueError:
        return None
    return found if found.is_valid else None


def record_failure(name: str, traceparent: str, error: str, **attributes: str) -> None:
    """Record that a step failed and why, as a span in the trace that it came in, so that the trace is told from ordinary ones."""
    record_step(name, "", traceparent, time.time_ns(), status=Status(StatusCode.ERROR, error), **attributes)


def record_step(
    name: str, kept: str, incoming: str, start_ns: int, *, status: Status | None = None, **attributes: object
) -> str:
    """Record a business step that ends now, in the order's own trace. Returns its trace context for what follows from it.

    `kept` is the trace kept with the order, `incoming` the caller's. Where they are one trace the caller's span is the
    parent; where they differ the order's trace wins and the caller's is linked. Built without the tracer's sampling,
    context and limits, which cost three times as much for every fact; nothing is built when nobody wants spans.
    """
    mine, theirs = _whole(kept), _whole(incoming)
    parent = theirs if not mine or theirs[3:35] == mine[3:35] else mine
    trace_id = parent[3:35] or clock.new_id()
    traceparent = f"00-{trace_id}-{clock.new_span_id()}-01"
    if _processor is not None:
        links = [link for link in (context_of(theirs),) if link is not None and theirs != parent]
        span = ReadableSpan(
            name.replace("_", " "),
            context=context_of(traceparent),
            parent=context_of(parent),
            resource=_resource,
            attributes={f"isthmus.{key.replace('_', '.')}": str(value) for key, value in attributes.items() if value},
            links=[Link(link) for link in links],
            kind=SpanKind.CONSUMER,
            status=status or UNSET,
            start_time=start_ns,
            end_time=time.time_ns(),
            instrumentation_scope=SCOPE,
        )
        _processor.on_end(span)
    return traceparent


def record_statement(system: str, sql: str, begun_ns: int) -> None:
    """The span of a database statement that ends now, a child of the call in hand. Outside a call it would be nobody's."""
    if _processor is None:
        return
    parent = trace.get_current_span().get_span_context()
    if not parent.is_valid:
        return
    span = ReadableSpan(
        f"{sql.split(None, 1)[0]} {system}",
        context=context_of(f"00-{parent.trace_id:032x}-{clock.new_span_id()}-01"),
        parent=parent,
        resource=_resource,
        attributes={"db.system": system, "db.statement": sql},
        kind=SpanKind.CLIENT,
        start_time=begun_ns,
        end_time=time.time_ns(),
        instrumentation_scope=SCOPE,
    )
    _processor.on_end(span)


class Served:
    """The span of a call that we answer, begun in the caller's trace; what the call does is its child.

    Built by hand as `record_step` is: the instrumentation for servers cost as much for a call as gRPC itself. Its context
    is attached to the call's task and goes with it.
    """

    __slots__ = ("_begun_ns", "_context", "_method", "_parent")

    def __init__(self, method: str, metadata: Iterable[tuple[str, Any]] | None) -> None:
        incoming = _whole(next((str(value) for key, value in metadata or () if key == "traceparent"), ""))
        traceparent = f"00-{incoming[3:35] or clock.new_id()}-{clock.new_span_id()}-01"
        self._method, self._begun_ns = method, time.time_ns()
        self._parent, self._context = context_of(incoming), context_of(traceparent)
        assert self._context is not None
        context.attach(trace.set_span_in_context(NonRecordingSpan(self._context)))

    def end(self, code: int) -> None:
        """The call was answered with this status code."""
        if _processor is None:
            return
        service, _, method = self._method.lstrip("/").partition("/")
        names: dict[str, Any] = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "rpc.grpc.status_code": code,
        }
        span = ReadableSpan(
            self._method,
            context=self._context,
            parent=self._parent,
            resource=_resource,
            attributes=names,
            kind=SpanKind.SERVER,
            start_time=self._begun_ns,
            end_time=time.time_ns(),
            instrumentation_scope=SCOPE,
        )
        _processor.on_end(span)


def _whole(traceparent: str) -> str:
    return traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else ""
