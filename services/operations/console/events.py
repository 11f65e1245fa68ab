"""What open pages listen to: of which plants something new was heard. They read themselves anew, also after a broken stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from isthmus.operations.v1.operations_service_pb2 import WatchChangesRequest
from services.operations.console.asked import Asked

WAIT_SECONDS = 20.0  # operations answers after ten at the latest
REST_SECONDS = 1.0
WATCHING_MOST = 100  # pages


class Events:
    """Server-sent events, one kind a plant, without content."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self._watching = asked, 0

    async def answer(self, _request: Request) -> Response:
        if self._watching >= WATCHING_MOST:
            return PlainTextResponse(f"{WATCHING_MOST} pages are open already", 503, {"retry-after": "30"})
        return StreamingResponse(self._lines(), media_type="text/event-stream")

    async def _lines(self) -> AsyncIterator[str]:
        """Ends when operations does not answer; the browser then opens it again by itself."""
        self._watching += 1
        token = ""
        try:
            while True:
                request = WatchChangesRequest(change_token=token)
                told = await self._asked.operations.WatchChanges(request, timeout=WAIT_SECONDS)
                token = told.change_token
                for plant_id in told.plant_ids:
                    yield f"event: changed-{plant_id}\ndata:\n\n"
                await asyncio.sleep(REST_SECONDS)  # what comes meanwhile is said together: the browser drops nothing
                if not told.plant_ids:
                    yield ": alive\n\n"  # what says nothing is taken for dead by what stands between
        except grpc.aio.AioRpcError:
            return
        finally:
            self._watching -= 1
