"""How much of an item a plant wants to have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import DomainError, Kind, Quantity, UnitMismatch


class InventoryPolicyMissing(DomainError):
    """The item has no inventory policy in this plant."""

    reason, kind = "INVENTORY_POLICY_MISSING", Kind.MISSING


class QuantityNegative(DomainError):
    """A stock level is below zero."""

    reason, kind = "QUANTITY_NEGATIVE", Kind.INVALID


@dataclass(frozen=True, slots=True)
class InventoryPolicy:
    """Levels in the item's unit; None: nobody says. They may have several owners, so none is held against another."""

    plant_id: str
    item_id: str
    safety_stock: Quantity | None
    reorder_point: Quantity | None
    target_stock: Quantity | None
    version: int = 0
    is_retired: bool = False

    def levels(self) -> dict[str, Quantity | None]:
        return {name: getattr(self, name) for name in ("safety_stock", "reorder_point", "target_stock")}

    def require_in(self, unit_code: str) -> None:
        """UNIT_MISMATCH, QUANTITY_NEGATIVE."""
        for name, level in self.levels().items():
            if level is not None and level.unit_code != unit_code:
                raise UnitMismatch(unit_code=level.unit_code, other=unit_code)
            if level is not None and level.value < 0:
                raise QuantityNegative(field=name, value=level)

    def recorded_over(self, before: InventoryPolicy | None) -> InventoryPolicy:
        """As the next version; the same object as before when nothing differs."""
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)
