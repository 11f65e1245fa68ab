"""Items as the plants keep them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import UNIT_CODES, DomainError, Kind, UnitUnknown


class ItemMissing(DomainError):
    """The item is not recorded for this plant."""

    reason, kind = "ITEM_MISSING", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Item:
    plant_id: str
    item_id: str
    description: str
    unit_code: str
    is_lot_tracked: bool
    version: int = 0
    is_retired: bool = False

    def recorded_over(self, before: Item | None) -> Item:
        """This item as the next version of what is known; the same object as before when nothing differs."""
        if self.unit_code not in UNIT_CODES:
            raise UnitUnknown(unit_code=self.unit_code)
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)
