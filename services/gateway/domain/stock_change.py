"""What people set right in the stock, until the order that made the lot is complete in the ERP: before it none is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StockChange:
    """An adjustment or transfer. `kind` is that of its posting, `content` its payload, opaque here."""

    document_id: str
    plant_id: str
    work_order_id: str  # order that made the lot; empty: none that the ledger knows
    item_id: str
    lot_id: str  # empty for items without lots
    kind: str
    content: str

    @property
    def order_key(self) -> str:
        return self.work_order_id or (f"lot:{self.item_id}:{self.lot_id}" if self.lot_id else f"item:{self.item_id}")
