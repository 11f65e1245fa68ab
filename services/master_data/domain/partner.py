"""Suppliers and customers as the plants keep them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import DomainError, Kind


class PartnerMissing(DomainError):
    """The partner is not recorded for this plant."""

    reason, kind = "PARTNER_MISSING", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Partner:
    """`country_code` empty: not known."""

    plant_id: str
    partner_id: str
    name: str
    is_supplier: bool
    is_customer: bool
    country_code: str
    version: int = 0
    is_retired: bool = False

    def recorded_over(self, before: Partner | None) -> Partner:
        """As the next version; the same object as before when nothing differs."""
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)
