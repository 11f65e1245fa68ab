"""Releases told apart, and each release's own answers read into the same canonical words. Fast: on recordings."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from servicekit.domain import UnitUnknown
from services.gateway.erp import tryton_words
from services.gateway.erp.canonical import ErpReleaseUnknown
from services.gateway.erp.tryton_client import BODY_MOST, plain_json, read_json
from services.gateway.erp.tryton_dialects import DIALECTS, dialect_of
from tests.gateway.erp.samples import SAMPLES

RELEASES = ["6.0", "8.0"]


@pytest.mark.parametrize(
    ("version", "series"), [("6.0.76", "6.0"), ("6.8.1", "6.0"), ("7.0.59", "7.0"), ("8.0", "8.0"), ("8.2.1", "8.0")]
)
def test_minor_releases_are_free(version: str, series: str) -> None:
    assert dialect_of(version).series == series


@pytest.mark.parametrize("version", ["5.9", "9.0", "10.0.1", "", "devel", "8x"])
def test_an_unknown_major_release_is_refused(version: str) -> None:
    with pytest.raises(ErpReleaseUnknown) as refusal:
        dialect_of(version)
    assert refusal.value.reason == "ERP_RELEASE_UNKNOWN"
    assert refusal.value.facts["release"] == version


@pytest.fixture(params=RELEASES)
def sample(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A recording, read as the client reads answers, under the release's one name of the unit."""
    said = read_json((SAMPLES / request.param / "order.json").read_bytes())
    unit = dialect_of(request.param).unit

    def one_name(value: Any) -> Any:
        if isinstance(value, list):
            return [one_name(part) for part in value]
        return tryton_words.with_unit(value, unit) if isinstance(value, dict) else value

    return {name: one_name(value) for name, value in said.items()}


def test_both_releases_say_an_order_in_the_same_words(sample: dict[str, Any]) -> None:
    order = tryton_words.work_order("somewhere", sample["order"], sample["moves"], sample["works"])
    assert order.erp_order_number == sample["order"]["number"]
    assert (order.planned_quantity.value, order.planned_quantity.unit_code) == ("4", "C62")
    assert order.bill_of_materials_id == f"bom-{sample['order']['bom']}"
    assert [operation.sequence for operation in order.operations] == [
        10 * n for n in range(1, len(order.operations) + 1)
    ]
    assert all(operation.description and operation.work_centre_id for operation in order.operations)
    units = {component.item_id: component.quantity.unit_code for component in order.components}
    assert sorted(units.values()) == ["C62", "C62", "KGM"]


def test_both_releases_say_master_data_in_the_same_words(sample: dict[str, Any]) -> None:
    items = [tryton_words.item(record) for record in sample["items"]]
    assert [item.is_lot_tracked for item in items] == [True, True, False, False]
    bill = tryton_words.bill_of_materials(sample["bill"], sample["bill_inputs"], sample["bill_outputs"][0])
    assert (bill.item_id, bill.output_quantity.value, len(bill.components)) == (items[0].item_id, "1", 3)
    routing = tryton_words.routing(sample["routing"], items[0].item_id, sample["steps"])
    assert [operation.sequence for operation in routing.operations] == [
        10 * n for n in range(1, len(sample["steps"]) + 1)
    ]


def test_an_amount_is_read_as_it_was_written_never_as_a_float() -> None:
    said = read_json(b'{"a": 0.1, "b": 0.30000000000000004, "c": 2.5e-3, "d": 7}')
    assert [str(tryton_words.amount(value)) for value in said.values()] == ["0.1", "0.3", "0.0025", "7"]


def test_a_split_move_is_summed_by_item_and_lot() -> None:
    moves = [
        {"id": 3, "product.": {"code": "A"}, "lot.": {"number": "L1"}, "quantity": Decimal(2)},
        {"id": 1, "product.": {"code": "A"}, "lot.": None, "quantity": Decimal(1)},
        {"id": 2, "product.": {"code": "A"}, "lot.": {"number": "L1"}, "quantity": Decimal("0.5")},
    ]
    assert [tryton_words.amount(move["quantity"]) for move in tryton_words.summed(moves)] == [
        Decimal(1),
        Decimal("2.5"),
    ]


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(UnitUnknown):
        tryton_words.unit_code("furlong")


@pytest.mark.parametrize(
    "value",
    [date(2026, 2, 28), datetime(2026, 2, 28, 23, 59, 58, 999999, UTC), timedelta(minutes=90), ["x", {"y": None}]],
)
def test_tagged_values_come_back_as_they_went(value: Any) -> None:
    assert read_json(json.dumps(plain_json(value)).encode()) == value


def test_a_decimal_leaves_as_a_number_and_comes_back_exact() -> None:
    assert plain_json(Decimal("0.1")) == 0.1
    assert read_json(b'{"__class__": "Decimal", "decimal": "0.10"}') == Decimal("0.10")


def test_a_body_is_unpacked_by_what_it_is_not_by_what_its_header_says() -> None:
    body = b'{"result": [1]}'
    assert read_json(gzip.compress(body)) == read_json(body) == {"result": [1]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"result": NaN}',
        b'{"result": Infinity}',
        b"[" * 100_000,
        b"\x1f\x8b not gzip",
        b'{"__class__": "date", "year": 2026}',
        b'{"__class__": "Decimal", "decimal": "one"}',
        gzip.compress(b" " * (BODY_MOST + 1)),
    ],
    ids=["empty", "html", "nan", "infinity", "nested", "broken gzip", "half a date", "no decimal", "bomb"],
)
def test_what_is_no_answer_is_told_as_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(body)


def test_every_dialect_says_all_that_differs() -> None:
    assert {dialect.series for dialect in DIALECTS.values()} == {"6.0", "7.0", "8.0"}
    assert DIALECTS[8].finish_shipment == ("ship", "do")


def test_a_party_is_of_the_country_of_its_first_address_that_names_one() -> None:
    record = {"code": "CUST-100", "name": None}
    addresses = [
        {"country.": None},
        {"country.": {"code": None}},
        {"country.": {"code": "DE"}},
        {"country.": {"code": "CZ"}},
    ]
    said = tryton_words.partner(record, addresses, is_supplier=False, is_customer=True)
    assert (said.partner_id, said.name, said.country_code, said.is_customer) == ("CUST-100", "", "DE", True)
    assert tryton_words.partner(record, [], is_supplier=True, is_customer=False).country_code == ""


def test_a_work_centre_is_the_resource_of_its_name() -> None:
    line = tryton_words.resource({"name": "Line 1", "category.": None, "parent.": None})
    assert (line.resource_id, line.category, line.parent_resource_id) == ("Line 1", "", "")
    centre = {"name": "CNC-01", "category.": {"name": "Machining"}, "parent.": {"name": "Line 1"}}
    said = tryton_words.resource(centre)
    assert (said.resource_id, said.name, said.category, said.parent_resource_id) == (
        "CNC-01",
        "CNC-01",
        "Machining",
        "Line 1",
    )
