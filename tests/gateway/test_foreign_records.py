"""What partners say and are asked goes with our facts in their own form; no secret does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isthmus.gateway.v1.erp_postings_pb2 import AnnounceReceipt
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit import foreign
from servicekit.clock import now
from servicekit.postings import Posting, PostingOutcome
from services.gateway import wire, wms
from services.gateway.domain.erp_order import ErpOrder, Step
from services.gateway.erp.canonical import ErpOrder as SeenOrder
from services.gateway.erp.canonical import ErpState

POSTING = Posting("p-1", "aachen", "wms", "announce_receipt", "aachen-1", "aachen-1/1", AnnounceReceipt())
SENT = foreign.asked_of("wms", "aachen-1/1", [("POST /v2/inbound-notices", "{}")])
RECEIVED = {"clientReference": "r-1", "site": "aachen", "sku": "PUMP-100", "lot": "P-1", "quantity": "2", "uom": "EA"}
SHIPPED = {
    "clientReference": "s-1",
    "lines": [{"sku": "PUMP-100", "uom": "EA"}],
    "picks": [{"sku": "PUMP-100", "lot": "P-1", "quantity": "2"}],
}


@pytest.mark.parametrize("state", ["acknowledged", "refused", "unknown"])
def test_every_end_of_a_posting_tells_what_was_asked(state: str) -> None:
    fact = wire.posting_fact(PostingOutcome(POSTING, state, "7", {}, "WMS_REFUSED", "no", SENT), now())
    assert fact.sent_record == SENT


def test_what_was_asked_before_this_process_began_is_not_made_up() -> None:
    fact = wire.posting_fact(PostingOutcome(POSTING, "acknowledged", "7", {}, "", ""), now())
    assert not fact.HasField("sent_record")


@pytest.mark.parametrize(("remark", "is_kept"), [("rush", True), ("x" * foreign.MOST, False)])
def test_an_order_goes_with_what_the_erp_gave_unless_it_is_too_large(remark: str, is_kept: bool) -> None:
    source = foreign.record_of("erp-aachen", "production", "9", {"number": "7", "remark": remark})
    seen = SeenOrder(WorkOrder(plant_id="aachen", erp_order_number="7"), ErpState.RELEASED, source=source)
    order = ErpOrder("aachen-7", "aachen", "7", "PUMP-100", Step.NOTICED, "", False, "")
    assert wire.erp_order_noticed(order, seen, "tryton 8.0").HasField("source_record") == is_kept


@pytest.mark.parametrize(("kind", "data"), [("inbound.received", RECEIVED), ("outbound.shipped", SHIPPED)])
def test_a_webhook_goes_with_what_it_asks_of_inventory(kind: str, data: dict[str, Any]) -> None:
    said = {"type": kind, "timestamp": "2026-11-27T09:00:00+00:00", "data": data}
    request = wms.read_webhook(json.dumps(said).encode())
    assert request is not None
    source = request.source_record
    assert (source.connector_id, source.feed, source.record_id) == ("wms", kind, data["clientReference"])
    assert {field.name: field.value for field in source.fields} == {
        name: foreign.text_of(value) for name, value in data.items()
    }


@pytest.mark.connected
async def test_what_a_partner_is_asked_is_noted_without_the_key_that_lets_us_in(url: str) -> None:
    requests: foreign.Requests = []
    said = AnnounceReceipt(plant_id="aachen", item_id="PUMP-100", lot_id="P-1")
    said.quantity.value, said.quantity.unit_code = "2", "C62"
    posting = Posting("p-1", "aachen", "wms", "announce_receipt", "aachen-1", "aachen-1/1", said)
    step = wms.posting_kinds(url, "secret")["announce_receipt"]
    with foreign.noting(requests):
        await step.book(posting, "")
        await step.read(posting, "")
    ((request, content),) = requests
    assert request == "POST /v2/inbound-notices", "a question changes nothing, and is not shown"
    assert json.loads(content)["lot"] == "P-1"
    assert "secret" not in content
