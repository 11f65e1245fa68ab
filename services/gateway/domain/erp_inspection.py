"""What was decided on a lot, until its order is complete in the ERP: a failed inspection would block the completion."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class ErpInspection:
    """`content` is the latest decision as it will be posted, opaque here. `round` counts what the ERP was asked to record."""

    inspection_id: str
    work_order_id: str
    content: str
    is_asked: bool
    round: int

    def asked(self) -> ErpInspection:
        """The ERP is asked now."""
        return replace(self, is_asked=True, round=self.round + 1)
