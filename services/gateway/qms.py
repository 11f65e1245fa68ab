"""The QMS: what it is asked for, and what its webhooks mean. The only place that knows its shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from isthmus.quality.v1.inspection_pb2 import VERDICT_OUTCOME_FAILED, VERDICT_OUTCOME_PASSED, Inspection
from isthmus.quality.v1.nonconformance_pb2 import Nonconformance
from isthmus.quality.v1.quality_service_pb2 import RecordVerdictRequest
from servicekit.domain import BusinessKey
from servicekit.postings import Found, Posting, PostingKind
from servicekit.wire import key_message, timestamp
from services.gateway.partner_http import TIMEOUT, PartnerStep, call
from services.gateway.wms import WebhookUnreadable

OUTCOMES = {"pass": VERDICT_OUTCOME_PASSED, "fail": VERDICT_OUTCOME_FAILED}


class QmsStep(PartnerStep):
    """One kind of document at the QMS."""

    partner = "qms"
    figure: str  # by which the one who asked knows its own document in the answer

    async def find(self, posting: Posting) -> Found | None:
        path, _ = self.document(posting)
        body = await call(self._http, self.partner, "GET", path, params={"clientReference": posting.key})
        if not body["items"]:
            return None
        number = str(body["items"][0]["number"])
        return Found(number, is_booked=True, answer={self.figure: posting.key})


class AsksVerdict(QmsStep):
    """A lot is at its release checkpoint: somebody decides."""

    figure = "inspection"

    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        said: Inspection = posting.payload
        specification = said.test_specification
        body = {
            "clientReference": posting.key,
            "site": said.plant_id,
            "batch": said.lot_id,
            "material": said.item_id,
            "batchRecord": said.work_order_id,
            "specification": f"{specification.test_specification_id} version {specification.version}",
        }
        return "/api/decisions", body


class OpensCase(QmsStep):
    """A lot failed: a case for people."""

    figure = "nonconformance"

    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        said: Nonconformance = posting.payload
        body = {
            "clientReference": posting.key,
            "site": said.plant_id,
            "batch": said.lot_id,
            "material": said.item_id,
            "batchRecord": said.work_order_id,
            "reasons": list(said.failure_reasons),
            "afterRelease": said.is_after_release,
        }
        return "/api/cases", body


def posting_kinds(url: str, api_key: str) -> Mapping[str, PostingKind]:
    """What the gateway can ask the QMS for."""
    http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT, headers={"authorization": f"Bearer {api_key}"})
    return {"ask_verdict": AsksVerdict(http), "open_case": OpensCase(http)}


def read_webhook(body: bytes) -> RecordVerdictRequest | None:
    """What a webhook asks of quality; None: nothing. WEBHOOK_UNREADABLE."""
    try:
        event = json.loads(body)
        if event["type"] != "decision.made":
            return None
        data = event["data"]
        number, revision = str(data["number"]), int(data["revision"])
        request = RecordVerdictRequest(
            business_key=key_message(BusinessKey("qms", "verdict", number, str(revision))),
            plant_id=data["site"],
            inspection_id=data["clientReference"],
        )
        said = request.verdict
        said.qms_number, said.revision, said.outcome = number, revision, OUTCOMES[data["outcome"]]
        said.decided_by, said.remark = str(data.get("decided_by", "")), str(data.get("remark", ""))
        said.occur_time.CopyFrom(timestamp(datetime.fromisoformat(data["decided_at"]).astimezone(UTC)))
    except (ValueError, KeyError, TypeError) as error:
        raise WebhookUnreadable(problem=f"{type(error).__name__}: {error}") from error
    return request
