"""What real servers answered when one released order was read, one recording a release, and what makes them.

The fast tests convert them. A live test compares their shape with what the server says today, and puts today's answer
beside it when they differ: look at it, and copy it here if it is right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.gateway.erp.user import TrytonUser

SAMPLES = Path(__file__).parent


def recorded(user: TrytonUser, order: int) -> dict[str, Any]:
    """An order with its moves, works, items, bill and routing, in the ERP's own JSON."""
    unit = f"{user.unit}.symbol"
    fields = ["number", "state", "product", "product.code", "quantity", "planned_date", "planned_start_date", "bom",
              "routing", "inputs", "works", unit]  # fmt: skip
    record = user.read("production", order, *fields)
    bill = user.read("production.bom", record["bom"], "name", "inputs", "outputs")
    routing = user.read("production.routing", record["routing"], "name", "steps")
    moves = user.call(
        "stock.move", "read", record["inputs"], ["product", "product.code", "quantity", unit, "lot.number", "state"]
    )
    fields = ["code", "template.name", "default_uom.symbol", "lot_required"]
    return {
        "order": record,
        "moves": moves,
        "works": user.call(
            "production.work", "read", record["works"], ["sequence", "operation.name", "work_center.name"]
        ),
        "items": user.call("product.product", "read", [record["product"], *(m["product"] for m in moves)], fields),
        "bill": bill,
        "bill_inputs": user.call("production.bom.input", "read", bill["inputs"], ["product.code", "quantity", unit]),
        "bill_outputs": user.call("production.bom.output", "read", bill["outputs"], ["product.code", "quantity", unit]),
        "routing": routing,
        "steps": user.call("production.routing.step", "read", routing["steps"], ["sequence", "operation.name"]),
    }


def shape(value: Any) -> Any:
    """Names and kinds without the values; a number is a number, and nothing fits everything."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__
