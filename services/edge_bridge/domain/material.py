"""What the plant's MES is told of an item: how much can be used, and how much is wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import Quantity


@dataclass(frozen=True, slots=True)
class Material:
    """None: not said yet, or nobody says. The MES is asked for one version at a time, and then for the last one."""

    item_id: str
    plant_id: str
    on_hand: Quantity | None = None
    available: Quantity | None = None
    safety_stock: Quantity | None = None
    reorder_point: Quantity | None = None
    version: int = 0
    is_asked: bool = False  # a posting is on its way

    def said(self, **what: Quantity | None) -> Material:
        """With what is said now, as the next version; the same object when nothing differs."""
        after = replace(self, **what)  # type: ignore[arg-type]
        return self if after == self else replace(after, version=self.version + 1)

    def asked(self) -> Material:
        return replace(self, is_asked=True)

    def answered(self) -> Material:
        return replace(self, is_asked=False)
