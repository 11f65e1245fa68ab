"""A lot that may not be used, as far as its plant's ERP knows: whether the ERP was asked to set it aside."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import Quantity


@dataclass(frozen=True, slots=True)
class HeldLot:
    """`is_asked`: the ERP was asked to hold it. `round` counts how often, so that each time is a change of its own."""

    plant_id: str
    item_id: str
    lot_id: str
    work_order_id: str  # order that made it; empty: none that the ledger knows
    quantity: Quantity | None  # what the ledger had of it when it was held; None: nothing yet
    hold_reason: str
    is_held: bool
    is_asked: bool
    round: int

    @property
    def order_key(self) -> str:
        return self.work_order_id or f"lot:{self.item_id}:{self.lot_id}"

    def asked(self) -> HeldLot:
        """The ERP is asked now."""
        return replace(self, is_asked=True, round=self.round + 1)

    def released(self) -> HeldLot:
        return replace(self, is_held=False, is_asked=False)
