"""The cloud WMS: what it is asked for, and what its webhooks mean. The only place that knows its shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from isthmus.gateway.v1.erp_postings_pb2 import AnnounceReceipt, AnnounceShipment, BlockLot, TellPartner
from isthmus.inventory.v1.inventory_service_pb2 import ConfirmReceiptRequest, ConfirmShipmentRequest
from servicekit import foreign
from servicekit.domain import BusinessKey, DomainError, Kind
from servicekit.postings import Found, Posting, PostingKind
from servicekit.wire import key_message, timestamp
from services.gateway.partner_http import TIMEOUT, PartnerStep, call

UNITS = {"C62": "EA", "KGM": "KG", "GRM": "G", "LTR": "L", "MTR": "M"}
CODES = {unit: code for code, unit in UNITS.items()}


class WebhookUnreadable(DomainError):
    """The webhook's body is not what its type promises."""

    reason, kind = "WEBHOOK_UNREADABLE", Kind.INVALID


class WmsStep(PartnerStep):
    """One kind of document at the WMS."""

    partner = "wms"

    async def find(self, posting: Posting) -> Found | None:
        path, _ = self.document(posting)
        body = await call(self._http, self.partner, "GET", path, params={"clientReference": posting.key})
        if not body["items"]:
            return None
        number = str(body["items"][0]["id"])
        return Found(number, is_booked=True, answer={"wms_document": number})


class AnnouncesReceipt(WmsStep):
    """A lot comes in; what was announced wrongly is taken back as an adjustment."""

    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        said: AnnounceReceipt = posting.payload
        body = {
            "site": said.plant_id,
            "clientReference": posting.key,
            "sku": said.item_id,
            "lot": said.lot_id,
            "quantity": said.quantity.value,
            "uom": UNITS[said.quantity.unit_code],
        }
        is_back = Decimal(said.quantity.value) < 0
        return ("/v2/adjustments" if is_back else "/v2/inbound-notices"), body


class AnnouncesShipment(WmsStep):
    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        said: AnnounceShipment = posting.payload
        lines = [
            {"sku": line.item_id, "quantity": line.quantity.value, "uom": UNITS[line.quantity.unit_code]}
            for line in said.shipment.lines
        ]
        body = {
            "site": said.shipment.plant_id,
            "clientReference": posting.key,
            "shipTo": said.shipment.customer_name or "unknown",
            "lines": lines,
        }
        return "/v2/outbound-orders", body


class BlocksLot(WmsStep):
    """The lot is picked for nobody until it is unblocked."""

    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        said: BlockLot = posting.payload
        body = {
            "site": said.plant_id,
            "clientReference": posting.key,
            "sku": said.item_id,
            "lot": said.lot_id,
            "blocked": said.is_blocked,
            "reason": said.reason,
        }
        return "/v2/lot-blocks", body


class TellsPartner(WmsStep):
    """A supplier or customer; of one code the highest revision counts."""

    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        said: TellPartner = posting.payload
        partner = said.partner
        roles = [
            role for role, is_one in (("ship-to", partner.is_customer), ("ship-from", partner.is_supplier)) if is_one
        ]
        body = {
            "site": said.plant_id,
            "clientReference": posting.key,
            "code": partner.partner_id,
            "name": partner.name,
            "roles": roles,
            "country": partner.country_code,
            "active": not partner.is_retired,
            "revision": int(partner.etag or 0),
        }
        return "/v2/business-partners", body


def posting_kinds(url: str, api_key: str) -> Mapping[str, PostingKind]:
    """What the gateway can ask the WMS for."""
    http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT, headers={"x-api-key": api_key})
    return {
        "announce_receipt": AnnouncesReceipt(http),
        "announce_shipment": AnnouncesShipment(http),
        "block_lot": BlocksLot(http),
        "tell_partner": TellsPartner(http),
    }


def read_webhook(body: bytes) -> ConfirmReceiptRequest | ConfirmShipmentRequest | None:
    """What a webhook asks of inventory; None: nothing. WEBHOOK_UNREADABLE."""
    try:
        event = json.loads(body, parse_float=Decimal)
        kind, data = event["type"], event["data"]
        occur_time = datetime.fromisoformat(event["timestamp"]).astimezone(UTC)
        if kind in READERS:
            request = READERS[kind](data, occur_time)
            source = foreign.record_of("wms", kind, str(data["clientReference"]), data)
            request.source_record.CopyFrom(source)
            return request
    except (ValueError, KeyError, TypeError) as error:
        raise WebhookUnreadable(problem=f"{type(error).__name__}: {error}") from error
    return None


def _receipt(data: dict[str, Any], occur_time: datetime) -> ConfirmReceiptRequest:
    request = ConfirmReceiptRequest(
        business_key=key_message(BusinessKey("wms", "receipt", str(data["clientReference"]))),
        plant_id=data["site"],
        item_id=data["sku"],
        lot_id=data["lot"],
        occur_time=timestamp(occur_time),
    )
    request.quantity.value, request.quantity.unit_code = str(data["quantity"]), CODES[data["uom"]]
    return request


def _shipment(data: dict[str, Any], occur_time: datetime) -> ConfirmShipmentRequest:
    request = ConfirmShipmentRequest(
        business_key=key_message(BusinessKey("wms", "shipment", str(data["clientReference"]))),
        shipment_id=data["clientReference"],
        occur_time=timestamp(occur_time),
    )
    units = {line["sku"]: CODES[line["uom"]] for line in data["lines"]}
    for pick in data["picks"]:
        lot = request.shipped_lots.add(item_id=pick["sku"], lot_id=pick["lot"])
        lot.quantity.value, lot.quantity.unit_code = str(pick["quantity"]), units[pick["sku"]]
    return request


READERS: Mapping[str, Callable[[dict[str, Any], datetime], ConfirmReceiptRequest | ConfirmShipmentRequest]] = {
    "inbound.received": _receipt,
    "outbound.shipped": _shipment,
}
