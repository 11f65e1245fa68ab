"""Facts in business words."""

from __future__ import annotations

from isthmus.edge.v1.edge_events_pb2 import ProductionEventRecorded, WorkOrderAccepted
from isthmus.gateway.v1.gateway_events_pb2 import ErpOrderDelayed, PostingRefused
from isthmus.inventory.v1.inventory_events_pb2 import StockAdjusted, StockTransferred
from services.operations.telling import TELLERS, tell


def test_an_accepted_order_is_known_by_the_mes_number_from_then_on() -> None:
    fact = WorkOrderAccepted(work_order_id="aachen-1", mes_order_number="FA-000001", accepted_step="release")
    told = tell("isthmus.edge.v1.WorkOrderAccepted", fact)
    assert told is not None
    assert (told.text, list(told.numbers)) == ("MES accepted the order as FA-000001", ["FA-000001"])


def test_a_refused_posting_is_an_alarm_with_the_partners_words() -> None:
    fact = PostingRefused(
        work_order_id="a-1", partner_id="erp-a", posting_kind="complete_work_order", refusal_text="no lot"
    )
    told = tell("isthmus.gateway.v1.PostingRefused", fact)
    assert told is not None
    assert told.is_alarm
    assert "no lot" in told.text


def test_what_people_set_right_in_the_stock_of_an_orders_lot_is_told_with_its_reason() -> None:
    adjusted = StockAdjusted(work_order_id="a-1", lot_id="P-1", location_id="output", adjustment_reason="counted")
    adjusted.quantity.value, adjusted.quantity.unit_code = "-1", "C62"
    told = tell("isthmus.inventory.v1.StockAdjusted", adjusted)
    assert told is not None
    assert told.text == "lot P-1 at output was set right by -1 pcs: counted"
    moved = StockTransferred(work_order_id="a-1", lot_id="P-1", from_location_id="output", to_location_id="scrap")
    moved.quantity.value, moved.quantity.unit_code, moved.transfer_reason = "2", "C62", "cracked"
    told = tell("isthmus.inventory.v1.StockTransferred", moved)
    assert told is not None
    assert told.text == "2 pcs of lot P-1 went from output to scrap: cracked"
    bought = StockAdjusted(item_id="HSG-10", lot_id="H-1")
    assert tell("isthmus.inventory.v1.StockAdjusted", bought) is None


def test_what_belongs_to_no_order_stands_in_no_timeline() -> None:
    assert tell("isthmus.edge.v1.ProductionEventRecorded", ProductionEventRecorded(work_order_id="a-1")) is None
    assert tell("isthmus.gateway.v1.PostingRefused", PostingRefused()) is None
    assert tell("isthmus.unknown.v1.Thing", None) is None


def test_every_teller_takes_an_empty_fact_of_its_type() -> None:
    from google.protobuf import symbol_database

    for fact_type, teller in TELLERS.items():
        assert teller(symbol_database.Default().GetSymbol(fact_type)()) is not None


def test_that_an_order_waits_is_an_alarm_with_its_reason() -> None:
    fact = ErpOrderDelayed(work_order_id="aachen-1", delay_reason="RESOURCE_RETIRED", delay_text="CNC-01 is retired")
    told = tell("isthmus.gateway.v1.ErpOrderDelayed", fact)
    assert told is not None
    assert (told.text, told.is_alarm) == ("the order waits: CNC-01 is retired", True)
