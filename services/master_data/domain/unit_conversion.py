"""Units into each other, exactly or not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from servicekit.domain import SCALE, UNIT_CODES, DomainError, Kind, Quantity, UnitUnknown


class UnitConversionInvalid(DomainError):
    """A conversion is between two units, by numbers above zero."""

    reason, kind = "UNIT_CONVERSION_INVALID", Kind.INVALID


class UnitConversionUnknown(DomainError):
    """No rule of the item or the plant leads from unit to unit."""

    reason, kind = "UNIT_CONVERSION_UNKNOWN", Kind.MISSING


class ConversionInexact(DomainError):
    """The result has more than 6 digits after the point."""

    reason, kind = "CONVERSION_INEXACT", Kind.INVALID


def pair_of(one: str, other: str) -> str:
    """Name of a pair of units, the same both ways: so a pair can't have two rules that contradict each other."""
    return "/".join(sorted((one, other)))


@dataclass(frozen=True, slots=True)
class UnitConversion:
    """One `from_unit` is numerator / denominator `to_unit`. `item_id` empty: of all items of the plant."""

    plant_id: str
    item_id: str
    from_unit: str
    to_unit: str
    numerator: Decimal
    denominator: Decimal
    version: int = 0

    @property
    def units(self) -> str:
        return pair_of(self.from_unit, self.to_unit)

    def recorded_over(self, before: UnitConversion | None) -> UnitConversion:
        """As the next version; the same object as before when nothing differs."""
        for unit_code in (self.from_unit, self.to_unit):
            if unit_code not in UNIT_CODES:
                raise UnitUnknown(unit_code=unit_code)
        if self.from_unit == self.to_unit or self.numerator <= 0 or self.denominator <= 0:
            raise UnitConversionInvalid(
                from_unit_code=self.from_unit,
                to_unit_code=self.to_unit,
                numerator=self.numerator,
                denominator=self.denominator,
            )
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)

    def converted(self, quantity: Quantity) -> Quantity:
        """The same amount in the other unit of the pair; refused rather than rounded."""
        ratio = Fraction(self.numerator) / Fraction(self.denominator)
        is_forward = quantity.unit_code == self.from_unit
        to_unit = self.to_unit if is_forward else self.from_unit
        millionths = Fraction(quantity.value) * (ratio if is_forward else 1 / ratio) * 10**SCALE
        if millionths.denominator != 1:
            raise ConversionInexact(value=quantity.value, from_unit_code=quantity.unit_code, to_unit_code=to_unit)
        return Quantity(Decimal(f"{millionths.numerator}e-{SCALE}"), to_unit)
