"""Running totals of a work order, net of reversals: what the ERP is told when the order is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from servicekit.domain import Quantity
from services.production.domain.confirmation import Confirmation

OUTPUT, SCRAP, CONSUMPTION, LABOUR = "output", "scrap", "consumption", "labour"


@dataclass(frozen=True, slots=True)
class Total:
    """One line: `name` is a lot (output), a reason (scrap), an item (consumption) or an operation sequence (labour)."""

    work_order_id: str
    total_kind: str
    name: str
    lot_id: str
    quantity: Quantity


def add(totals: Sequence[Total], confirmation: Confirmation, *, is_last_operation: bool) -> list[Total]:
    """The lines that a confirmation changes; a negated confirmation takes away."""
    known = {(total.total_kind, total.name, total.lot_id): total for total in totals}
    changed: dict[tuple[str, str, str], Total] = {}
    for kind, name, lot_id, quantity in _lines(confirmation, is_last_operation):
        key = (kind, name, lot_id)
        before = changed.get(key) or known.get(key)
        if before is None:
            before = Total(confirmation.work_order_id, kind, name, lot_id, quantity.zero())
        changed[key] = replace(before, quantity=before.quantity + quantity)
    return list(changed.values())


def _lines(confirmation: Confirmation, is_last_operation: bool) -> list[tuple[str, str, str, Quantity]]:
    lines = [(SCRAP, scrap.reason_code, "", scrap.quantity) for scrap in confirmation.scraps]
    lines += [(CONSUMPTION, used.item_id, used.lot_id, used.quantity) for used in confirmation.consumptions]
    if is_last_operation and confirmation.good.value:
        lines.append((OUTPUT, confirmation.output_lot_id, "", confirmation.good))
    if confirmation.labour.value:
        lines.append((LABOUR, str(confirmation.operation_sequence), "", confirmation.labour))
    return lines
