"""A stream of documents at the server's edge: guarded message by message, bounded in number and in what it may hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from isthmus.production.v1 import production_service_pb2 as messages
from isthmus.production.v1.production_service_pb2_grpc import (
    ProductionServiceServicer,
    ProductionServiceStub,
    add_ProductionServiceServicer_to_server,
)
from servicekit import errors
from servicekit.errors import Refusals, from_rpc_error
from tests.support.eventually import eventually
from tests.support.requests import a_confirmation

pytestmark = pytest.mark.connected
DEADLINE = 20
BOUND = 32 * 1024 * 1024


class Held(ProductionServiceServicer):
    """Answers each message when it is let."""

    def __init__(self) -> None:
        self.met = 0
        self.let = asyncio.Event()

    async def ImportConfirmations(self, requests: Any, context: Any) -> Any:
        async for message in requests:
            self.met += 1
            await self.let.wait()
            yield messages.ImportConfirmationsResponse(outcomes=[{} for _ in message.requests])


@asynccontextmanager
async def serving(held: Held) -> AsyncIterator[Any]:
    server = grpc.aio.server(interceptors=[Refusals()])
    add_ProductionServiceServicer_to_server(held, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield ProductionServiceStub(channel)
    await server.stop(None)


def a_message(*numbers: int, note: str = "") -> messages.ImportConfirmationsRequest:
    documents = [a_confirmation(str(number), "aachen-1") for number in numbers]
    for document in documents:
        document.confirmation.operator_id = note
    return messages.ImportConfirmationsRequest(requests=documents)


async def rest_of(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def reason_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call ends, all its answers read."""
    with pytest.raises(grpc.RpcError) as refused:
        await rest_of(call)
    return from_rpc_error(refused.value)[:2]


@pytest.mark.parametrize("count", [0, 101])
async def test_a_message_of_no_or_too_many_documents_ends_the_stream_and_what_was_answered_stands(count: int) -> None:
    held = Held()
    held.let.set()
    async with serving(held) as stub:
        call = stub.ImportConfirmations(timeout=DEADLINE)
        await call.write(a_message(*range(100)))
        assert len((await call.read()).outcomes) == 100
        await call.write(a_message(*range(count)))
        assert await reason_of(call) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert held.met == 1


async def test_a_document_that_breaks_its_own_rules_does_not_end_the_stream() -> None:
    held = Held()
    held.let.set()
    async with serving(held) as stub:
        call = stub.ImportConfirmations(timeout=DEADLINE)
        await call.write(messages.ImportConfirmationsRequest(requests=[messages.ConfirmOperationRequest()]))
        assert len((await call.read()).outcomes) == 1


async def test_bytes_that_are_no_message_end_the_stream() -> None:
    async with serving(Held()) as stub:
        stub.ImportConfirmations._request_serializer = lambda data: data
        call = stub.ImportConfirmations(timeout=DEADLINE)
        await call.write(b"\xff\xff\xff")
        assert await reason_of(call) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_UNREADABLE")


async def test_a_stream_too_many_is_refused_and_the_next_is_taken_when_one_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errors, "STREAMS_MOST", 2)
    held = Held()
    async with serving(held) as stub:
        calls = [stub.ImportConfirmations(timeout=DEADLINE) for _ in range(2)]
        for call in calls:
            await call.write(a_message(1))
        await eventually(lambda: held.met == 2)
        third = stub.ImportConfirmations(timeout=DEADLINE)
        assert await reason_of(third) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        held.let.set()
        for call in calls:
            call.cancel()

        async def taken() -> bool:
            again = stub.ImportConfirmations(timeout=DEADLINE)
            await again.write(a_message(1))
            try:
                return bool((await again.read()).outcomes)
            except grpc.RpcError:
                return False

        await eventually(taken)


async def pushed(call: Any, message: messages.ImportConfirmationsRequest) -> int:
    """Bytes that a client could write before it had to wait, or the bound."""
    sent = 0
    while sent < BOUND:
        try:
            async with asyncio.timeout(1):
                await call.write(message)
        except TimeoutError:
            break
        sent += message.ByteSize()
    return sent


async def test_a_client_can_not_push_more_than_its_window_while_a_message_is_at_the_door() -> None:
    held = Held()
    async with serving(held) as stub:
        call = stub.ImportConfirmations(timeout=DEADLINE)
        assert await pushed(call, a_message(*range(100), note="x" * 64)) < BOUND
        assert held.met == 1
        call.cancel()
