"""What a lot of an item must show before it may be used: ISA-95 test specification."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, timedelta

from servicekit.domain import DomainError, Kind, Quantity


class EvidenceSource(enum.Enum):
    LABORATORY = "laboratory"
    HISTORIAN = "historian"


class Statistic(enum.Enum):
    RANGE = "range"
    DWELL = "dwell"


class TestSpecificationMissing(DomainError):
    """The plant has no test specification of this id."""

    reason, kind = "TEST_SPECIFICATION_MISSING", Kind.MISSING


class CharacteristicInvalid(DomainError):
    """The characteristic has no limit, contradicting ones, or lacks what its source needs."""

    reason, kind = "CHARACTERISTIC_INVALID", Kind.INVALID


class CharacteristicRepeated(DomainError):
    """Two characteristics have one id."""

    reason, kind = "CHARACTERISTIC_REPEATED", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One property that is measured; a value on a limit is inside. Durations and tag are the historian's."""

    characteristic_id: str
    description: str
    evidence_source: EvidenceSource | None
    unit_code: str
    lower_limit: Quantity | None
    upper_limit: Quantity | None
    tag_id: str = ""
    statistic: Statistic | None = None
    required_dwell: timedelta = timedelta()
    allowed_gap: timedelta = timedelta()

    def is_within(self, value: Quantity) -> bool:
        """UNIT_MISMATCH."""
        is_low = self.lower_limit is not None and value < self.lower_limit
        return not is_low and (self.upper_limit is None or value <= self.upper_limit)

    @property
    def limits(self) -> str:
        """In plant words, e.g. "6.5 to 8.5 Q30"."""
        low, high = self.lower_limit, self.upper_limit
        if low is not None and high is not None:
            return f"{str(low).split()[0]} to {high}"
        return f"at least {low}" if low is not None else f"at most {high}"

    def check(self) -> None:
        """CHARACTERISTIC_INVALID names the field."""
        for field, is_wrong in self._faults():
            if is_wrong:
                raise CharacteristicInvalid(characteristic_id=self.characteristic_id, field=field)

    def _faults(self) -> list[tuple[str, bool]]:
        low, high = self.lower_limit, self.upper_limit
        limits = [limit for limit in (low, high) if limit is not None]
        is_historian = self.evidence_source is EvidenceSource.HISTORIAN
        units = {limit.unit_code for limit in limits}
        return [
            ("evidence_source", self.evidence_source is None),
            ("lower_limit", not limits),
            ("unit_code", bool(units - {self.unit_code})),
            ("upper_limit", len(units) == 1 and low is not None and high is not None and high < low),
            ("tag_id", is_historian and not self.tag_id),
            ("statistic", is_historian and self.statistic is None),
            ("required_dwell_duration", self.statistic is Statistic.DWELL and self.required_dwell <= timedelta()),
            ("allowed_gap_duration", is_historian and self.allowed_gap <= timedelta()),
        ]


@dataclass(frozen=True, slots=True)
class TestSpecification:
    """`revision` counts changes of our record; `version` is its author's word. Days are the plant's calendar."""

    plant_id: str
    test_specification_id: str
    item_id: str
    version: str
    effective_start_date: date
    effective_end_date: date | None
    checkpoint_operation_sequence: int
    characteristics: tuple[Characteristic, ...]
    needs_verdict: bool
    revision: int = 1

    def check(self) -> None:
        """CHARACTERISTIC_INVALID, CHARACTERISTIC_REPEATED."""
        seen: set[str] = set()
        for characteristic in self.characteristics:
            characteristic.check()
            if characteristic.characteristic_id in seen:
                raise CharacteristicRepeated(characteristic_id=characteristic.characteristic_id)
            seen.add(characteristic.characteristic_id)

    def characteristic(self, characteristic_id: str, source: EvidenceSource) -> Characteristic | None:
        """The characteristic of this id, if this source measures it."""
        found = (c for c in self.characteristics if c.characteristic_id == characteristic_id)
        return next((c for c in found if c.evidence_source is source), None)

    def is_effective(self, day: date) -> bool:
        return self.effective_start_date <= day and (self.effective_end_date is None or day <= self.effective_end_date)
