"""A call that we answer belongs to its caller's trace, and what it does is a child of it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from isthmus.production.v1 import production_service_pb2 as messages
from isthmus.production.v1.production_service_pb2_grpc import (
    ProductionServiceServicer,
    ProductionServiceStub,
    add_ProductionServiceServicer_to_server,
)
from servicekit import telemetry
from servicekit.database import Database
from servicekit.domain import DomainError, Kind
from servicekit.errors import Refusals
from tests.support.requests import a_confirmation

pytestmark = pytest.mark.connected
CALLER = f"00-{'a' * 32}-{'b' * 16}-01"
SERVICE = "/isthmus.production.v1.ProductionService/"


class Closed(DomainError):
    """No."""

    reason, kind = "CLOSED", Kind.PRECONDITION


class Asked(ProductionServiceServicer):
    def __init__(self) -> None:
        self.inside: list[str] = []

    async def ConfirmOperation(self, request: Any, context: Any) -> Any:
        self.inside.append(telemetry.current_traceparent())
        if request.confirmation.is_final:
            raise Closed
        return messages.ConfirmOperationResponse()

    async def ImportConfirmations(self, requests: Any, context: Any) -> Any:
        async for _ in requests:
            self.inside.append(telemetry.current_traceparent())
            yield messages.ImportConfirmationsResponse()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(telemetry, "_processor", SimpleSpanProcessor(exporter))
    return exporter


async def called(asked: Asked, *, is_final: bool = False, by: str = CALLER) -> None:
    server = grpc.aio.server(interceptors=[Refusals()])
    add_ProductionServiceServicer_to_server(asked, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = a_confirmation("1", "aachen-1")
    request.confirmation.is_final = is_final
    metadata = (("traceparent", by),) if by else ()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ProductionServiceStub(channel)
        stream = stub.ImportConfirmations(
            iter([messages.ImportConfirmationsRequest(requests=[request])] * 2), metadata=metadata
        )
        assert len([answer async for answer in stream]) == 2
        try:
            await stub.ConfirmOperation(request, metadata=metadata)
        except grpc.RpcError:
            assert is_final
    await server.stop(5)


def named(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


@pytest.mark.parametrize(("is_final", "code"), [(False, 0), (True, 9)])
async def test_a_call_is_a_span_of_its_callers_trace(spans: InMemorySpanExporter, is_final: bool, code: int) -> None:
    asked = Asked()
    await called(asked, is_final=is_final)
    found = named(spans)
    assert set(found) == {f"{SERVICE}ConfirmOperation", f"{SERVICE}ImportConfirmations"}
    for span in found.values():
        assert (span.kind, f"{span.parent.span_id:016x}") == (SpanKind.SERVER, "b" * 16)  # type: ignore[union-attr]
    confirm: Any = found[f"{SERVICE}ConfirmOperation"]
    assert confirm.attributes["rpc.grpc.status_code"] == code
    assert confirm.attributes["rpc.service"] == "isthmus.production.v1.ProductionService"
    stream: Any = found[f"{SERVICE}ImportConfirmations"]
    each = [telemetry.traceparent_of(span.context) for span in (stream, stream, confirm)]
    assert asked.inside == each


@pytest.mark.parametrize("by", ["", "00-nonsense"])
async def test_a_call_without_a_trace_begins_one(spans: InMemorySpanExporter, by: str) -> None:
    asked = Asked()
    await called(asked, by=by)
    assert all(telemetry.TRACEPARENT.fullmatch(inside) for inside in asked.inside)
    assert asked.inside[0][3:35] != asked.inside[2][3:35]
    assert all(span.parent is None for span in named(spans).values())


async def test_statements_are_spans_of_the_call_in_hand_and_of_nobody_elses(
    spans: InMemorySpanExporter, database: Database
) -> None:
    await database.read(lambda tx: tx.rows("SELECT 1"))
    assert not spans.get_finished_spans()

    async def call() -> str:
        telemetry.Served("/a/B", [("traceparent", CALLER)])
        await database.read(lambda tx: tx.rows("SELECT 2"))
        return telemetry.current_traceparent()

    inside = await asyncio.create_task(call())
    (statement,) = spans.get_finished_spans()
    assert statement.parent is not None
    assert telemetry.traceparent_of(statement.parent) == inside
    assert statement.attributes is not None
    assert statement.attributes["db.statement"] == "SELECT 2"
