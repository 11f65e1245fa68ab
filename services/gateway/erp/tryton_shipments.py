"""Internal shipments in Tryton: how stock changes its place. Our key is their reference.

Drafted, assigned, finished: every write is absolute, so a step that was cut off is simply done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from servicekit.postings import NoAnswer, Refused
from services.gateway.erp.tryton_dialects import UNIT_CODES
from services.gateway.erp.tryton_moves import Tryton, Want, differences, sums_of, sums_wanted
from services.gateway.erp.tryton_words import amount


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one shipment moves. `is_taken`: its source is a place of stock, so all of it must be there."""

    reference: str
    wants: Sequence[Want]
    source: int
    target: int
    is_taken: bool = True


class InternalShipments(Tryton):
    """What postings that move stock within the plant share."""

    MODEL = "stock.shipment.internal"

    async def standing(self, reference: str) -> dict[str, Any] | None:
        """Of two drafts with our key the older stays; a late orphan is never booked."""
        return await self.one(self.MODEL, [["reference", "=", reference]], ["state", "number", "moves"])

    async def put(self, transfer: Transfer, **more: Any) -> int:
        """Make the draft, or write what is wanted over one that stands from before."""
        company = self.client.context.get("company")
        base = {"from_location": transfer.source, "to_location": transfer.target, "company": company}
        values = await self.make_moves(transfer.wants, base)
        standing = await self.standing(transfer.reference)
        if standing is None:  # in one call: a shipment without its moves would be booked as nothing
            made = {**base, **more, "reference": transfer.reference, "moves": [["create", values]]}
            (number,) = await self.client.model(self.MODEL, "create", [made])
            return int(number)
        if standing["state"] not in ("done", "cancelled"):
            await self._write_again(standing, transfer.wants, values)
        return int(standing["id"])

    async def _write_again(self, standing: dict[str, Any], wants: Sequence[Want], values: list[dict[str, Any]]) -> None:
        """The draft stands from before; its content may have been corrected since."""
        if not differences(sums_of(await self.moves(standing["moves"])), sums_wanted(wants)):
            return
        for button in {"assigned": ("wait", "draft"), "waiting": ("draft",)}.get(standing["state"], ()):
            await self.press(self.MODEL, button, standing["id"])
        moves = [["delete", standing["moves"]], ["create", values]]
        await self.client.model(self.MODEL, "write", [standing["id"]], {"moves": moves})

    async def assign(self, transfer: Transfer) -> str:
        """Assign all of it, or say what is short."""
        standing = await self.standing(transfer.reference)
        if standing is None:
            raise NoAnswer(f"draft {transfer.reference} is not there any more")
        if standing["state"] in ("assigned", "done", "cancelled"):
            return ""
        await self.press(self.MODEL, "wait", standing["id"])  # gives back what a short assignment took
        short = await self.short_lots(transfer.wants, transfer.source) if transfer.is_taken else ""
        if not short:
            await self.press(self.MODEL, "assign_try", standing["id"])
        if await self.state(self.MODEL, standing["id"]) == "assigned":
            return ""
        return f"{transfer.reference}: not all of it is in the ERP's stock. {short}".strip()

    async def finish(self, reference: str) -> None:
        standing = await self.standing(reference)
        for button in self.client.dialect.finish_internal:
            if standing is not None and standing["state"] == "assigned":
                await self.press(self.MODEL, button, standing["id"])

    async def free_of_lot(self, item_id: str, lot_id: str, place: int) -> Want:
        """What of a lot is at a place and not assigned to anything."""
        context = {"locations": [place], "with_childs": True, "stock_date_end": date.max, "stock_assign": True}
        domain = [["number", "=", lot_id], ["product.code", "=", item_id]]
        fields = ["quantity", "product.default_uom.symbol"]
        order = [["id", "ASC"]]
        found = await self.client.model("stock.lot", "search_read", domain, 0, 1, order, fields, context=context)
        if not found:
            return Want(item_id, lot_id, Decimal(0), "")
        symbol = found[0]["product."]["default_uom."]["symbol"]
        if symbol not in UNIT_CODES:
            raise Refused("ERP_UNIT_MISSING", f"the unit {symbol} of {item_id} in the ERP is none of ours")
        return Want(item_id, lot_id, amount(found[0]["quantity"] or 0), UNIT_CODES[symbol])
