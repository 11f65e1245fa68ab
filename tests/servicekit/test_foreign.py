"""A foreign system's own form: as text, bounded, and noted only for whom it is asked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from isthmus.inventory.v1.inventory_service_pb2 import ConfirmReceiptRequest
from servicekit import foreign


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("naïve", "naïve"),
        (Decimal("2.50"), "2.50"),
        ([{"lot": "L-1", "quantity": Decimal("2.50")}], '[{"lot": "L-1", "quantity": "2.50"}]'),
    ],
)
def test_a_foreign_value_is_text_and_stays_exact(value: object, text: str) -> None:
    assert foreign.text_of(value) == text


def test_a_record_is_of_its_document_and_not_of_its_feed() -> None:
    record = foreign.record_of("mes-brno", "reports", "7", {"seq": 7, "order": "Z40001"}, ("seq",))
    assert [(field.name, field.value) for field in record.fields] == [("order", "Z40001")]
    assert (record.connector_id, record.feed, record.record_id) == ("mes-brno", "reports", "7")
    assert record.HasField("read_time")


@pytest.mark.parametrize(("size", "is_shown"), [(10, True), (foreign.MOST, False)])
def test_a_record_goes_with_a_fact_unless_it_is_too_large(size: int, is_shown: bool) -> None:
    record = foreign.record_of("wms", "inbound.received", "7", {"remark": "x" * size})
    assert foreign.shown(record) == (record if is_shown else None)
    assert foreign.source_of(ConfirmReceiptRequest(source_record=record)) == (record if is_shown else None)


def test_a_request_may_bring_no_record() -> None:
    assert foreign.source_of(ConfirmReceiptRequest()) is None


def test_what_is_asked_is_noted_where_somebody_listens() -> None:
    requests: foreign.Requests = []
    foreign.note("POST /before", {})
    with foreign.noting(requests):
        foreign.note("POST /v2/orders", {"sku": "PUMP-100"})
    foreign.note("POST /after", {})
    assert requests == [("POST /v2/orders", '{"sku": "PUMP-100"}')]
    record = foreign.asked_of("wms", "aachen-1", requests)
    assert record is not None
    assert (record.connector_id, record.feed, record.record_id) == ("wms", foreign.ASKED, "aachen-1")
    assert [(field.name, field.value) for field in record.fields] == requests


def test_nothing_asked_and_too_much_asked_show_nothing() -> None:
    assert foreign.asked_of("wms", "aachen-1", []) is None
    requests: foreign.Requests = []
    with foreign.noting(requests):
        for _ in range(1000):
            foreign.note("POST /v2/orders", "x" * 1_000_000)
    assert sum(len(content) for _, content in requests) <= foreign.MOST + 1, "what can't be shown is not kept"
    assert foreign.asked_of("wms", "aachen-1", requests) is None
