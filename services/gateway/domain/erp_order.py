"""What the gateway remembers of an ERP's order: what the plant was told of it, and whether it is complete in the ERP."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class Step(enum.Enum):
    """How far the plant side is told."""

    NOTICED = "noticed"
    RELEASED = "released"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ErpOrder:
    """`content` names what was told last. `is_completing`: the ERP was asked to complete it; later changes are corrections."""

    work_order_id: str
    plant_id: str
    erp_order_number: str
    item_id: str
    step: Step
    content: str
    is_completing: bool
    traceparent: str
    delay_reason: str = ""  # why the plant side does not take it yet, as it was said last

    def told(self, step: Step, content: str) -> ErpOrder:
        return replace(self, step=step, content=content, delay_reason="")

    def delayed(self, reason: str) -> ErpOrder:
        """The same where it is said already, or taken meanwhile."""
        return replace(self, delay_reason=reason) if self.step is Step.NOTICED else self

    def completing(self) -> ErpOrder:
        return replace(self, is_completing=True)


@dataclass(frozen=True, slots=True)
class ErpFeed:
    """How far a plant's ERP is read: the ERP's own clock."""

    plant_id: str
    watermark: str
    release: str
