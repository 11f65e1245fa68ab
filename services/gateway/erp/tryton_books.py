"""What a Tryton has booked into and out of its warehouse, move by move, each with the document that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from servicekit.domain import Quantity
from services.gateway import wire
from services.gateway.books import Booking
from services.gateway.erp import tryton_words
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_words import Record

HOLD_PLACE = "QHOLD"  # where held lots lie, outside the storage: still the plant's stock
NAMED = ("number", "reference")
STOCK_CHANGES = ("adjustment/", "transfer/")  # how the ids of such documents begin


class TrytonBooks:
    """Reads one plant's Tryton. Its stock is the sum of its moves by its own rule, so both come from one place."""

    def __init__(self, client: TrytonClient) -> None:
        self._client = client

    async def bookings(self, plant_id: str, after: int, most: int) -> Sequence[Booking]:
        """Done moves over the border of the plant's stock; their ids are the places."""
        inside = await self._inside()
        unit = self._client.dialect.unit
        fields = ["product.code", "lot.number", "quantity", f"{unit}.symbol", "to_location", "shipment", "origin"]
        fields += ["production_input.number", "production_output.number", "write_date", "create_date"]
        into = [["from_location", "not in", inside], ["to_location", "in", inside]]
        out = [["from_location", "in", inside], ["to_location", "not in", inside]]
        domain = [["state", "=", "done"], ["id", ">", after], ["OR", into, out]]
        found = await self._client.model("stock.move", "search_read", domain, 0, most, [["id", "ASC"]], fields)
        moves = [tryton_words.with_unit(move, unit) for move in found]
        shipments = await self._shipments(moves)
        return [_booking(plant_id, move, inside, shipments) for move in moves]

    async def stocks(self, plant_id: str) -> Mapping[tuple[str, str], Quantity]:
        """Levels as Tryton counts them. Without places in the context they would be 0.0, and no error."""
        context = {"locations": await self._inside(), "with_childs": False, "stock_date_end": date.max}
        lots = await self._all(
            "stock.lot", ["number", "quantity", "product.code", "product.default_uom.symbol"], context
        )
        fields = ["code", "quantity", "default_uom.symbol", "lot_required"]
        goods = [r for r in await self._all("product.product", fields, context) if r["code"]]
        said = [(r["product."]["code"], r["number"], r["quantity"], r["product."]["default_uom."]) for r in lots]
        said += [(r["code"], "", r["quantity"], r["default_uom."]) for r in goods if not r["lot_required"]]
        lines = [tryton_words.stock_line(item, lot, value, unit["symbol"]) for item, lot, value, unit in said]
        return {(line.item_id, line.lot_id): line.quantity for line in lines if line.quantity.value}

    async def _inside(self) -> list[int]:
        """Ids of the places that are the plant's stock."""
        warehouse = [["type", "=", "warehouse"]]
        found = await self._client.model(
            "stock.location", "search_read", warehouse, 0, None, None, ["storage_location"]
        )
        roots = [record["storage_location"] for record in found]
        tree = ["OR", ["parent", "child_of", roots], ["id", "in", roots], ["code", "=", HOLD_PLACE]]
        places = await self._client.model("stock.location", "search_read", [tree], 0, None, [["id", "ASC"]], ["code"])
        return [int(place["id"]) for place in places]

    async def _all(self, model: str, fields: list[str], context: dict[str, Any]) -> list[Record]:
        found: list[Record] = await self._client.model(
            model, "search_read", [], 0, None, [["id", "ASC"]], fields, context=context
        )
        return found

    async def _shipments(self, moves: Sequence[Record]) -> dict[str, Record]:
        """Numbers and references of the shipments that moves name, by "model,id"."""
        wanted: dict[str, set[int]] = {}
        for move in moves:
            if move["shipment"]:
                model, number = move["shipment"].split(",")
                wanted.setdefault(model, set()).add(int(number))
        found = {}
        for model, numbers in sorted(wanted.items()):
            for record in await self._client.model(model, "read", sorted(numbers), list(NAMED)):
                found[f"{model},{record['id']}"] = record
        return found


def _booking(plant_id: str, move: Record, inside: Sequence[int], shipments: Mapping[str, Record]) -> Booking:
    document, is_ours = _document(plant_id, move, shipments)
    amount = tryton_words.amount(move["quantity"])
    sign = 1 if move["to_location"] in inside else -1
    return Booking(
        place=int(move["id"]),
        document_id=document,
        is_ours=is_ours,
        item_id=move["product."]["code"],
        lot_id=(move.get("lot.") or {}).get("number") or "",
        quantity=Quantity(sign * amount, tryton_words.unit_code(move["unit."]["symbol"])),
        book_time=move["write_date"] or move["create_date"],
    )


def _document(plant_id: str, move: Record, shipments: Mapping[str, Record]) -> tuple[str, bool]:
    """Our id of what made the move, and whether our postings make such; else the ERP's own name of it."""
    for field in ("production_input.", "production_output."):
        if move.get(field):
            return wire.work_order_id(plant_id, move[field]["number"]), True
    if move["shipment"]:
        model = move["shipment"].split(",")[0]
        record = shipments[move["shipment"]]
        if model == "stock.shipment.out":
            return wire.shipment_id(plant_id, record["number"]), True
        reference = record["reference"] or ""
        if reference.startswith(STOCK_CHANGES):  # the document's own id
            return reference, True
        order = reference.split("/")[0]
        if order.startswith(f"{plant_id}-"):  # our corrections carry their key there
            return order, True
        return f"{model} {record['number']}", False
    origin = move["origin"] or f"stock.move,{move['id']}"
    return origin.replace(",", " "), False
