"""How much of an item a plant has and can use."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import Quantity


@dataclass(frozen=True, slots=True)
class Availability:
    """All lots and usable places together, in one unit. `version` counts what was said."""

    plant_id: str
    item_id: str
    on_hand: Quantity
    held: Quantity
    allocated: Quantity
    version: int = 0

    @property
    def available(self) -> Quantity:
        return self.on_hand - self.held - self.allocated

    def said_over(self, before: Availability | None) -> Availability:
        """As the next version; the same object as before when nothing differs."""
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)
