"""The gateway's HTTP side: signed webhooks of partners, by the Standard Webhooks rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import structlog
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from isthmus.inventory.v1.inventory_service_pb2 import ConfirmReceiptRequest, ConfirmShipmentRequest
from isthmus.quality.v1.quality_service_pb2 import RecordVerdictRequest
from servicekit import web
from servicekit.errors import from_rpc_error
from services.gateway import qms, wms
from services.gateway.clients import DEADLINE, Clients
from services.gateway.wms import WebhookUnreadable

log = structlog.get_logger()
BODY_MOST = 262_144
Asked = ConfirmReceiptRequest | ConfirmShipmentRequest | RecordVerdictRequest
# What a partner is told: try again (its noun is on the way, or we are away), or never.
STATUS = {
    grpc.StatusCode.NOT_FOUND: 503,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 503,
    grpc.StatusCode.INVALID_ARGUMENT: 422,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
}


class Webhooks:
    """Takes the webhooks of WMS and QMS. At least once there, once here: who is called knows the document."""

    def __init__(self, clients: Clients, secret: str) -> None:
        self._clients, self._webhook = clients, Webhook(secret)

    async def wms(self, request: Request) -> Response:
        return await self._take(request, wms.read_webhook)

    async def qms(self, request: Request) -> Response:
        return await self._take(request, qms.read_webhook)

    async def _take(self, request: Request, read: Callable[[bytes], Asked | None]) -> Response:
        raw = b""
        async for part in request.stream():
            raw += part
            if len(raw) > BODY_MOST:
                return _refused(413, "WEBHOOK_UNREADABLE", f"longer than {BODY_MOST} bytes")
        try:
            self._webhook.verify(raw, dict(request.headers))
        except WebhookVerificationError as error:
            log.warning("webhook refused", reason="WEBHOOK_SIGNATURE_INVALID", text=str(error))
            return _refused(401, "WEBHOOK_SIGNATURE_INVALID", str(error))
        try:
            asked = read(raw)
        except WebhookUnreadable as error:
            return _refused(400, error.reason, str(error))
        return await self._ask(asked) if asked is not None else JSONResponse({"taken": False})

    async def _ask(self, asked: Asked) -> Response:
        try:
            answer = await self._method(asked)(asked, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            code, reason, _ = from_rpc_error(error)
            return _refused(STATUS.get(code, 500), reason or code.name, error.details() or "")
        return JSONResponse({"taken": True, "replayed": answer.replayed})

    def _method(self, asked: Asked) -> Any:
        if isinstance(asked, RecordVerdictRequest):
            return self._clients.quality.RecordVerdict
        inventory = self._clients.inventory
        return inventory.ConfirmReceipt if isinstance(asked, ConfirmReceiptRequest) else inventory.ConfirmShipment


def _refused(status: int, reason: str, text: str) -> Response:
    headers = {"retry-after": "1"} if status == 503 else None
    return JSONResponse({"reason": reason, "text": text[:500]}, status_code=status, headers=headers)


async def serve(clients: Clients, listen: str, secret: str) -> None:
    """Run until cancelled."""
    webhooks = Webhooks(clients, secret)
    routes = [Route("/webhooks/wms", webhooks.wms, methods=["POST"])]
    if clients.quality is not None:
        routes.append(Route("/webhooks/qms", webhooks.qms, methods=["POST"]))
    await web.serve(Starlette(routes=routes), listen)
