"""When an adjustment or transfer is asked of the ERP, and where it has the lot then. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import StockAdjusted, StockTransferred
from servicekit.facts import EventMeta
from servicekit.postings import Posting, PostingOutcome
from servicekit.use_case import Decision, Seen
from services.gateway import event_handlers, use_cases
from services.gateway.domain.erp_order import ErpFeed
from services.gateway.domain.held_lot import HeldLot
from tests.gateway.test_use_cases import COMPLETE, HOLD, LOT, ORDER, decide, kinds, seen_with

META = EventMeta(Envelope(event_id="e-1", plant_id="ghent", order_key="ghent-1"))
FEED = ErpFeed("ghent", "", "8.0")
DONE = replace(ORDER, is_completing=True)


def adjusted(lot_id: str = "R-1", work_order_id: str = "ghent-1", document_id: str = "adjustment/a/1") -> StockAdjusted:
    fact = StockAdjusted(document_id=document_id, plant_id="ghent", work_order_id=work_order_id, lot_id=lot_id)
    fact.item_id, fact.location_id, fact.adjustment_reason = "RESIN-7", "output", "counted"
    fact.quantity.value, fact.quantity.unit_code = "-1", "KGM"
    return fact


def hear(found: Seen, fact: StockAdjusted | StockTransferred) -> Decision:
    handler: Any = event_handlers.adjust_in_erp
    if isinstance(fact, StockTransferred):
        handler = event_handlers.transfer_in_erp
    told = handler(fact, META)
    return decide(found, told.use_case, told.command)


def test_a_change_of_a_lot_waits_for_its_orders_completion_and_stands_behind_it_and_its_hold() -> None:
    found = seen_with(ORDER, FEED)
    assert kinds(hear(found, adjusted())) == []
    decide(found, use_cases.hold_in_erp, HOLD)
    completed = decide(found, use_cases.complete_in_erp, COMPLETE)
    assert kinds(completed) == ["complete_work_order", "hold_lot", "adjust_stock"]
    change = completed.postings[2]
    assert (change.key, change.order_key, change.payload.is_held) == ("adjustment/a/1", "ghent-1", True)
    assert decide(found, use_cases.complete_in_erp, COMPLETE).postings == ()


def test_a_change_after_completion_is_asked_at_once_where_the_lot_stands() -> None:
    (asked,) = hear(seen_with(DONE, FEED), adjusted()).postings
    assert (asked.kind, asked.payload.quantity.value, asked.payload.is_held) == ("adjust_stock", "-1", False)
    (asked,) = hear(seen_with(DONE, FEED, LOT.asked()), adjusted()).postings
    assert asked.payload.is_held
    (asked,) = hear(seen_with(DONE, FEED, LOT.asked().released()), adjusted()).postings
    assert not asked.payload.is_held


def test_a_transfer_names_both_places() -> None:
    fact = StockTransferred(document_id="transfer/a/1", plant_id="ghent", item_id="RESIN-7", lot_id="B-1")
    fact.from_location_id, fact.to_location_id, fact.transfer_reason = "storage", "scrap", "wet"
    (asked,) = hear(seen_with(FEED), fact).postings
    said = asked.payload
    assert (asked.key, asked.order_key) == ("transfer/a/1", "lot:RESIN-7:B-1")
    assert (said.from_location_id, said.to_location_id, said.transfer_reason) == ("storage", "scrap", "wet")


@pytest.mark.parametrize(("lot_id", "order_key"), [("B-1", "lot:RESIN-7:B-1"), ("", "item:RESIN-7")])
def test_a_change_of_what_no_order_made_is_of_no_orders_timeline(lot_id: str, order_key: str) -> None:
    (asked,) = hear(seen_with(FEED), adjusted(lot_id, "")).postings
    assert asked.order_key == order_key
    posting = Posting("p-1", "ghent", asked.partner_id, asked.kind, asked.order_key, asked.key, asked.payload)
    outcome = PostingOutcome(posting, "acknowledged", "1", {}, "", "")
    (fact,) = decide(seen_with(), use_cases.posting_outcome, outcome).facts
    assert fact.data.work_order_id == ""


def test_a_plant_without_an_erp_and_an_order_of_none_are_asked_for_nothing() -> None:
    assert hear(seen_with(DONE), adjusted()).moot == "the plant has no ERP that we know"
    assert hear(seen_with(FEED), adjusted()).moot == "no order of an ERP that we know"


def test_a_bought_lot_that_is_held_is_changed_in_the_hold_place() -> None:
    held = HeldLot("ghent", "RESIN-7", "B-1", "", None, "wet", True, True, 1)
    (asked,) = hear(seen_with(FEED, held), adjusted("B-1", "")).postings
    assert asked.payload.is_held
