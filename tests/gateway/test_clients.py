"""A service that is away for a moment fails no call of the gateway."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import (
    MasterDataServiceServicer,
    MasterDataServiceStub,
    add_MasterDataServiceServicer_to_server,
)
from services.gateway.clients import DEADLINE, channel
from tests.support.ports import free_port

pytestmark = pytest.mark.connected


class Shaky(MasterDataServiceServicer):
    """Answers the third time only."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self.code, self.calls = code, 0

    async def GetItem(self, request: Any, context: Any) -> Any:
        self.calls += 1
        if self.calls < 3:
            await context.abort(self.code, "away for a moment")
        return messages.GetItemResponse()


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        (grpc.StatusCode.UNAVAILABLE, 3),
        (grpc.StatusCode.CANCELLED, 3),
        (grpc.StatusCode.FAILED_PRECONDITION, 1),  # a refusal is an answer
    ],
)
async def test_a_call_is_made_again_when_nobody_answered_and_not_when_it_was_refused(
    code: grpc.StatusCode, calls: int
) -> None:
    shaky, port, server = Shaky(code), free_port(), grpc.aio.server()
    add_MasterDataServiceServicer_to_server(shaky, server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        async with channel(f"127.0.0.1:{port}") as there:
            request = messages.GetItemRequest(plant_id="aachen", item_id="PUMP-100")
            call = MasterDataServiceStub(there).GetItem(request, timeout=DEADLINE)
            if calls > 1:
                await call
            else:
                with pytest.raises(grpc.aio.AioRpcError):
                    await call
    finally:
        await server.stop(0)
    assert shaky.calls == calls
