"""The CMMS: what it is asked for, and what it says is done. The only place that knows its shapes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import grpc
import httpx
import structlog

from isthmus.maintenance.v1.maintenance_service_pb2 import CompleteWorkRequestRequest
from isthmus.maintenance.v1.work_request_pb2 import WorkRequest
from servicekit.domain import BusinessKey, DomainError
from servicekit.errors import from_rpc_error
from servicekit.postings import Away, Found, NoAnswer, Posting, PostingKind, Refused
from servicekit.run import Kit
from servicekit.wire import key_message, timestamp
from services.gateway import use_cases, wire
from services.gateway.clients import DEADLINE
from services.gateway.domain.partner_feed import PartnerFeed
from services.gateway.partner_http import TIMEOUT, PartnerStep, call
from services.gateway.store import PARTNER_FEEDS

log = structlog.get_logger()
PATH = "/services/notifications"
PRIORITIES = {1: "EMERGENCY", 2: "URGENT", 3: "HIGH", 4: "MEDIUM", 5: "LOW"}
DONE = "NOCO"
POLL_SECONDS = 1.0
NOT_OURS = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT})


class OpensWorkRequest(PartnerStep):
    """A machine asks for work."""

    partner = "cmms"

    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        said: WorkRequest = posting.payload
        if not said.cmms_asset_number:
            what = f"asset {said.asset_id} has no number in the CMMS"
            raise Refused("CMMS_ASSET_UNKNOWN", f"{what}: correct cmms_asset_number here, and record it on the asset")
        body = {
            "Equipment": said.cmms_asset_number,
            "Priority": PRIORITIES.get(said.priority, "LOW"),
            "ShortText": said.problem[:40],
            "LongText": f"{said.problem}\n{said.cause}",
            "Plant": said.plant_id,
            "CostCenter": said.cost_centre_id,
            "ExternalRef": posting.key,
        }
        return PATH, body

    async def find(self, posting: Posting) -> Found | None:
        found = await call(self._http, self.partner, "GET", PATH, params={"ExternalRef": posting.key})
        if not found["Notifications"]:
            return None
        number = str(found["Notifications"][0]["NotificationNo"])
        return Found(number, is_booked=True, answer={"work_request": posting.key})


def client_of(url: str, api_key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT, headers={"apikey": api_key})


def posting_kinds(http: httpx.AsyncClient) -> Mapping[str, PostingKind]:
    """What the gateway can ask the CMMS for."""
    return {wire.OPEN_WORK_REQUEST: OpensWorkRequest(http)}


def completion(said: Mapping[str, Any]) -> CompleteWorkRequestRequest | None:
    """What a notification that changed asks of maintenance; None: it is not done, or not one of ours."""
    if said["SystemStatus"] != DONE or not said.get("Plant"):
        return None
    return CompleteWorkRequestRequest(
        business_key=key_message(BusinessKey("cmms", "completion", str(said["NotificationNo"]))),
        plant_id=said["Plant"],
        work_request_id=said["ExternalRef"],
        occur_time=timestamp(datetime.fromisoformat(said["CompletedAt"]).astimezone(UTC)),
    )


class CmmsFollower:
    """Hears from the CMMS what is done, in the order of its change numbers, and goes on where it stopped."""

    def __init__(self, kit: Kit, http: httpx.AsyncClient, maintenance: Any) -> None:
        self._kit, self._http, self._maintenance = kit, http, maintenance

    async def serve(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                while await self._page():
                    pass
            except (Away, NoAnswer, Refused, DomainError, grpc.aio.AioRpcError, ValueError, KeyError) as fault:
                text = fault.details() if isinstance(fault, grpc.aio.AioRpcError) else str(fault)
                log.warning("following the CMMS pauses", fault=text)
            await asyncio.sleep(POLL_SECONDS)

    async def _page(self) -> bool:
        feeds = await self._kit.database.read(lambda tx: PARTNER_FEEDS.select(tx, "partner_id = ?", (wire.CMMS,)))
        after = feeds[0].watermark if feeds else "0"
        found = await call(self._http, "cmms", "GET", PATH, params={"ChangedAfter": after})
        for said in found["Notifications"]:
            await self._tell(said)
            await self._kit.door.run(use_cases.advance_partner, PartnerFeed(wire.CMMS, str(said["ChangeNo"])))
        return bool(found["Notifications"])

    async def _tell(self, said: Mapping[str, Any]) -> None:
        """What maintenance refuses is said in the log: it was completed by hand before, or is nobody's."""
        asked = completion(said)
        if asked is None:
            return
        try:
            await self._maintenance.CompleteWorkRequest(asked, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            code, reason, _ = from_rpc_error(error)
            if code not in NOT_OURS:
                raise
            log.warning("completion refused", notification=said["NotificationNo"], reason=reason, text=error.details())
