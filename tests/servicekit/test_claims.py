"""What makes two documents the same: their business fields, normalised."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from servicekit.claims import content
from servicekit.domain import BusinessKey, Quantity
from servicekit.use_case import Fingerprint


class Grade(enum.Enum):
    A = "a"
    NONE = ""


@dataclass(frozen=True)
class Part:
    item_id: str
    quantity: Quantity | None = None


@dataclass(frozen=True)
class Document:
    name: str = ""
    amount: Decimal | None = None
    quantity: Quantity | None = None
    is_final: bool = False
    count: int = 0
    at: datetime | None = None
    day: date | None = None
    took: timedelta | None = None
    grade: Grade | None = None
    parts: tuple[Part, ...] = ()
    marks: dict[str, Decimal] = field(default_factory=dict)


ALL = Fingerprint.of(*Document.__dataclass_fields__)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def said(**fields: Any) -> str:
    return content(ALL, Document(**fields))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"amount": Decimal("4.0")}, {"amount": Decimal(4)}),
        ({"quantity": Quantity(Decimal("1E+2"), "C62")}, {"quantity": Quantity(Decimal(100), "C62")}),
        ({"at": NOON}, {"at": NOON.astimezone(timezone(timedelta(hours=1)))}),
        ({"at": NOON}, {"at": NOON.replace(microsecond=999)}),
        ({"took": timedelta(minutes=1)}, {"took": timedelta(seconds=60)}),
        ({"parts": (Part("a"), Part("b"))}, {"parts": (Part("b"), Part("a"))}),
        ({"marks": {"a": Decimal(1), "b": Decimal(2)}}, {"marks": {"b": Decimal("2.00"), "a": Decimal(1)}}),
        ({}, {"name": "", "amount": Decimal("0.00"), "is_final": False, "count": 0, "grade": Grade.NONE, "parts": ()}),
    ],
)
def test_what_means_the_same_is_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert said(**one) == said(**other)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": Decimal("4.000001")},
        {"quantity": Quantity(Decimal(4), "KGM")},
        {"at": NOON + timedelta(milliseconds=1)},
        {"day": date(2026, 11, 25)},
        {"took": timedelta(microseconds=1)},
        {"grade": Grade.A},
        {"is_final": True},
        {"parts": (Part("a"), Part("a"))},
    ],
)
def test_what_means_another_thing_is_another(other: dict[str, Any]) -> None:
    one = {
        "amount": Decimal(4),
        "quantity": Quantity(Decimal(4), "C62"),
        "at": NOON,
        "day": date(2026, 11, 24),
        "parts": (Part("a"),),
    }
    assert said(**{**one, **other}) != said(**one)


def test_the_text_of_a_document_does_not_change() -> None:
    """It stands in the databases: another text for the same document would be a conflict after an upgrade."""
    text = said(
        name="Bohrung Ø 4",
        amount=Decimal("4.50"),
        quantity=Quantity(Decimal("0.25"), "KGM"),
        is_final=True,
        at=NOON,
        day=date(2026, 11, 24),
        took=timedelta(seconds=90),
        grade=Grade.A,
        parts=(Part("b", Quantity(Decimal(2), "C62")), Part("a")),
    )
    assert text == (
        '{"amount":"4.5","at":1795521600000,"day":"2026-11-24","grade":"a","is_final":true,"name":"Bohrung Ø 4",'
        '"parts":[{"item_id":"a"},{"item_id":"b","quantity":{"unit_code":"C62","value":"2"}}],'
        '"quantity":{"unit_code":"KGM","value":"0.25"},"took":"90"}'
    )


KEYS = [
    BusinessKey("mes", "confirmation", number, line)
    for number, line in [("7", ""), ("7/1", ""), ("7", "1"), ("7%2F1", ""), ("7/1/2", ""), ("7/1", "2"), ("7", "1/2")]
]


def test_no_two_documents_have_one_id() -> None:
    assert len({key.id for key in KEYS}) == len(KEYS)
    assert KEYS[0].id == str(KEYS[0]) == "mes/confirmation/7", "what is unambiguous stays as it is written"
