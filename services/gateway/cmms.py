"""The CMMS: what it is asked for, and what it says is done. The only place that knows its shapes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import grpc
import httpx
import structlog

from isthmus.maintenance.v1.maintenance_service_pb2 import CompleteWorkRequestRequest, GetWorkRequestRequest
from isthmus.maintenance.v1.work_request_pb2 import WORK_REQUEST_STATE_COMPLETED, WorkRequest
from servicekit.domain import BusinessKey, DomainError
from servicekit.errors import from_rpc_error
from servicekit.postings import Away, Found, NoAnswer, Posting, PostingKind, Refused
from servicekit.run import Kit
from servicekit.use_case import PlannedPosting
from servicekit.wire import key_message, timestamp
from services.gateway import use_cases, wire
from services.gateway.clients import DEADLINE
from services.gateway.domain.partner_feed import PartnerFeed
from services.gateway.partner_http import SETTLE, TIMEOUT, PartnerStep, call
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


def completion(said: Mapping[str, Any], plants: Collection[str]) -> PlannedPosting | None:
    """What a notification that changed asks of maintenance; None: it is not done, or not one of our plants.

    What can't be read of it is left out: the posting is refused then, for a person to put in.
    """
    plant_id, reference = str(said.get("Plant") or ""), str(said.get("ExternalRef") or "")
    if said.get("SystemStatus") != DONE or plant_id not in plants:
        return None
    number = str(said.get("NotificationNo") or "")
    asked = CompleteWorkRequestRequest(
        business_key=key_message(BusinessKey("cmms", "completion", number)),
        plant_id=plant_id,
        work_request_id=reference,
    )
    with suppress(ValueError):
        asked.occur_time.CopyFrom(timestamp(datetime.fromisoformat(str(said.get("CompletedAt"))).astimezone(UTC)))
    order_key = f"notification:{number}"
    key = f"completion/{number}/{said['ChangeNo']}"
    return PlannedPosting(wire.MAINTENANCE, wire.COMPLETE_WORK_REQUEST, plant_id, order_key, key, asked)


class CompletesWorkRequest:
    """Work is done in the CMMS: maintenance is told. Complete already, whoever said it, is as good."""

    settle_time = SETTLE

    def __init__(self, maintenance: Any) -> None:
        self._maintenance = maintenance

    async def find(self, posting: Posting) -> Found | None:
        found = await self.read(posting, "")
        return found if found.is_booked else None

    async def draft(self, posting: Posting) -> str:
        return ""

    async def book(self, posting: Posting, foreign_id: str) -> None:
        asked: CompleteWorkRequestRequest = posting.payload
        if not asked.HasField("occur_time"):
            text = f"notification {asked.business_key.document_number} says no time at which it was completed"
            raise Refused("CMMS_NOTIFICATION_UNREADABLE", f"{text}: correct occur_time here")
        await self._call(self._maintenance.CompleteWorkRequest, asked)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        asked: CompleteWorkRequestRequest = posting.payload
        wanted = GetWorkRequestRequest(work_request_id=asked.work_request_id)
        found = (await self._call(self._maintenance.GetWorkRequest, wanted)).work_request
        return Found(found.work_request_id, is_booked=found.state == WORK_REQUEST_STATE_COMPLETED)

    async def _call(self, method: Any, request: Any) -> Any:
        """Raises Refused with maintenance's reason, or NoAnswer."""
        try:
            return await method(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            code, reason, _ = from_rpc_error(error)
            if code in NOT_OURS:
                raise Refused(reason or code.name, error.details() or "") from error
            raise NoAnswer(f"{code.name}: {error.details()}") from error


class CmmsFollower:
    """Hears from the CMMS what is done, in the order of its change numbers, and goes on where it stopped."""

    def __init__(self, kit: Kit, http: httpx.AsyncClient) -> None:
        self._kit, self._http = kit, http

    async def serve(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                while await self._page():
                    pass
            except (Away, NoAnswer, Refused, DomainError, ValueError, KeyError) as fault:
                log.warning("following the CMMS pauses", fault=str(fault))
            await asyncio.sleep(POLL_SECONDS)

    async def _page(self) -> bool:
        feeds = await self._kit.database.read(lambda tx: PARTNER_FEEDS.select(tx, "partner_id = ?", (wire.CMMS,)))
        after = feeds[0].watermark if feeds else "0"
        found = await call(self._http, "cmms", "GET", PATH, params={"ChangedAfter": after})
        for said in found["Notifications"]:
            posting = completion(said, self._kit.settings.plants)
            heard = wire.HearPartner(PartnerFeed(wire.CMMS, str(said["ChangeNo"])), posting)
            await self._kit.door.run(use_cases.hear_partner, heard)
        return bool(found["Notifications"])
