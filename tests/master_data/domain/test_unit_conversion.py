"""Units convert exactly, there and back, or not at all."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.domain import AmountOutOfRange, Quantity, UnitUnknown
from services.master_data.domain.unit_conversion import (
    ConversionInexact,
    UnitConversion,
    UnitConversionInvalid,
)

BOX = UnitConversion("aachen", "SEAL-7", "BX", "C62", Decimal(12), Decimal(1))
RATIOS = st.decimals(min_value="0.000001", max_value=100000, places=6)
VALUES = st.decimals(min_value=-100000, max_value=100000, places=6)


@given(VALUES, RATIOS, RATIOS)
def test_there_and_back_is_the_same_or_refused(value: Decimal, numerator: Decimal, denominator: Decimal) -> None:
    rule = replace(BOX, numerator=numerator, denominator=denominator)
    said = Quantity(value, "BX")
    try:
        there = rule.converted(said)
    except (ConversionInexact, AmountOutOfRange):
        return
    assert there.unit_code == "C62"
    assert Fraction(there.value) * Fraction(denominator) == Fraction(said.value) * Fraction(numerator)
    assert rule.converted(there) == said


@given(st.integers(-(10**9) + 1, 10**9 - 1), st.integers(1, 1000))
def test_whole_boxes_are_there_and_back_the_same(boxes: int, pieces: int) -> None:
    rule = replace(BOX, numerator=Decimal(pieces))
    there = rule.converted(Quantity(Decimal(boxes), "BX"))
    assert there == Quantity(Decimal(boxes * pieces), "C62")
    assert rule.converted(there) == Quantity(Decimal(boxes), "BX")
    assert isinstance(there.value, Decimal)


def test_a_result_that_no_ledger_holds_is_refused() -> None:
    with pytest.raises(AmountOutOfRange):
        replace(BOX, numerator=Decimal(1000)).converted(Quantity(Decimal(10**9), "BX"))


def test_a_result_that_would_be_rounded_is_refused() -> None:
    with pytest.raises(ConversionInexact):
        BOX.converted(Quantity(Decimal(1), "C62"))
    assert BOX.converted(Quantity(Decimal(3), "C62")) == Quantity(Decimal("0.25"), "BX")


def test_a_pair_of_units_has_one_rule_whichever_way_it_is_said() -> None:
    assert BOX.units == replace(BOX, from_unit="C62", to_unit="BX").units


@pytest.mark.parametrize(
    "changes", [{"to_unit": "BX"}, {"numerator": Decimal(0)}, {"denominator": Decimal(0)}, {"numerator": Decimal(-1)}]
)
def test_a_rule_that_converts_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UnitConversionInvalid):
        replace(BOX, **changes).recorded_over(None)  # type: ignore[arg-type]


def test_a_rule_has_units_of_our_table() -> None:
    with pytest.raises(UnitUnknown):
        replace(BOX, to_unit="XYZ").recorded_over(None)
