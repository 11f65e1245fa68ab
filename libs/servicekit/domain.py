"""Words that every service's domain shares: quantities, business keys and the kinds of refusal. Pure: stdlib only."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import ClassVar

SCALE = 6  # digits after the point that both databases hold exactly, as integers
MILLIONTH = Decimal(1).scaleb(-SCALE)
AMOUNT_LIMIT = Decimal(10) ** 12  # below it, scaled amounts and their sums fit a signed 64-bit integer
UNIT_CODES = frozenset(  # UN/ECE Recommendation 20
    {"C62", "BX", "KGM", "GRM", "LTR", "MTR", "SEC", "MIN", "HUR", "CEL", "P1", "BAR", "Q30", "C24", "C16"}
)


class Kind(enum.Enum):
    """What stands in the way, so that callers and readers know whether to correct, wait or give up."""

    INVALID = "invalid"
    MISSING = "missing"
    EXISTS = "exists"
    PRECONDITION = "precondition"
    KEY_CONFLICT = "key_conflict"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    BUSY = "busy"
    AWAY = "away"


class DomainError(Exception):
    """A refusal. Keyword arguments name the facts in the way; they become ErrorInfo.metadata and the message."""

    reason: ClassVar[str]
    kind: ClassVar[Kind]

    def __init__(self, **facts: object) -> None:
        self.facts = {name: _text(value) for name, value in facts.items()}
        told = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        rule = (self.__doc__ or self.reason).strip().splitlines()[0]
        super().__init__(f"{rule} ({told})" if told else rule)


def _text(value: object) -> str:
    return str(value.value) if isinstance(value, enum.Enum) else str(value)


class UnitUnknown(DomainError):
    """The unit code is not in our table."""

    reason, kind = "UNIT_UNKNOWN", Kind.INVALID


class UnitMismatch(DomainError):
    """Quantities of different units can't be added or compared."""

    reason, kind = "UNIT_MISMATCH", Kind.INVALID


class AmountOutOfRange(DomainError):
    """The number is not one that the ledgers hold exactly."""

    reason, kind = "AMOUNT_OUT_OF_RANGE", Kind.INVALID


class StaleEtag(DomainError):
    """The resource changed since it was read."""

    reason, kind = "STALE_ETAG", Kind.CONFLICT


class BusinessKeyConflict(DomainError):
    """The business key was used before with other content."""

    reason, kind = "BUSINESS_KEY_CONFLICT", Kind.KEY_CONFLICT


def exact(value: Decimal | int | str) -> Decimal:
    """The number as a Decimal of at most 12 digits before and 6 after the point, or AmountOutOfRange."""
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError) as error:
        raise AmountOutOfRange(value=value) from error
    if not number.is_finite() or abs(number) >= AMOUNT_LIMIT:
        raise AmountOutOfRange(value=value)
    if number != number.quantize(MILLIONTH):
        raise AmountOutOfRange(value=value)
    return number


def plain(value: Decimal) -> str:
    """The number without exponent and without trailing zeros: 4, -0.25, 1000."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount with its UN/ECE unit code."""

    value: Decimal
    unit_code: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", exact(self.value))
        if self.unit_code not in UNIT_CODES:
            raise UnitUnknown(unit_code=self.unit_code)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.value + self._same_unit(other).value, self.unit_code)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.value - self._same_unit(other).value, self.unit_code)

    def __neg__(self) -> Quantity:
        return Quantity(-self.value, self.unit_code)

    def __lt__(self, other: Quantity) -> bool:
        return self.value < self._same_unit(other).value

    def __le__(self, other: Quantity) -> bool:
        return self.value <= self._same_unit(other).value

    def __str__(self) -> str:
        return f"{plain(self.value)} {self.unit_code}"

    def zero(self) -> Quantity:
        return Quantity(Decimal(0), self.unit_code)

    def _same_unit(self, other: Quantity) -> Quantity:
        if other.unit_code != self.unit_code:
            raise UnitMismatch(unit_code=self.unit_code, other=other.unit_code)
        return other


@dataclass(frozen=True, slots=True)
class BusinessKey:
    """Who says it, in which document: the identity of a business transaction."""

    source_system: str
    document_type: str
    document_number: str
    line: str = ""

    def __str__(self) -> str:
        parts = [self.source_system, self.document_type, self.document_number]
        return "/".join([*parts, self.line] if self.line else parts)

    @property
    def id(self) -> str:
        """The same with "/" in a part as %2F, so that no two keys have one id: number "7/1" is not line "1" of number "7"."""
        parts = (self.source_system, self.document_type, self.document_number, self.line)
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts if part)


PLANT_ID = re.compile(r"[a-z0-9-]{1,32}")
GROUP = "group"  # the plant id of facts that belong to no plant
