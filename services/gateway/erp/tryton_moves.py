"""Stock moves of a Tryton as they should be and as they are: what all postings write, and what they compare.

A posting says what really went in and came out. Here that becomes draft moves, by absolute writes that can be repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from isthmus.common.v1.quantity_pb2 import Quantity as QuantityMessage
from servicekit.domain import plain
from servicekit.postings import NoAnswer, Refused
from services.gateway.erp.tryton_client import Stale, TrytonClient
from services.gateway.erp.tryton_dialects import SYMBOLS, UNIT_CODES
from services.gateway.erp.tryton_words import amount

SETTLE = timedelta(seconds=45)  # a request that the server has not begun by then was lost

Line = tuple[str, str, str]  # item, lot, unit code
Sums = dict[Line, Decimal]


@dataclass(frozen=True, slots=True)
class Want:
    """A move as it should be."""

    item_id: str
    lot_id: str
    quantity: Decimal
    unit_code: str

    def opposite(self) -> Want:
        """The other way."""
        return replace(self, quantity=-self.quantity)


def wanted(lines: Iterable[tuple[str, str, QuantityMessage]]) -> list[Want]:
    """One move an item, lot and unit; what comes to nothing is left out."""
    sums: Sums = defaultdict(Decimal)
    for item_id, lot_id, quantity in lines:
        sums[item_id, lot_id, quantity.unit_code] += Decimal(quantity.value)
    return [Want(item_id, lot_id, value, unit) for (item_id, lot_id, unit), value in sums.items() if value]


def sums_wanted(wants: Iterable[Want]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for want in wants:
        sums[want.item_id, want.lot_id, want.unit_code] += want.quantity
    return sums


def differences(have: Mapping[Line, Decimal], want: Mapping[Line, Decimal]) -> str:
    """Where they differ, in words; empty where they are equal."""
    told = []
    for line in sorted({*have, *want}):
        there, asked = have.get(line, Decimal(0)), want.get(line, Decimal(0))
        if there != asked:
            item_id, lot_id, unit_code = line
            name = f"{item_id} lot {lot_id}" if lot_id else item_id
            told.append(f"{name}: ERP {plain(there)}, plant {plain(asked)} {unit_code}")
    return "; ".join(told)


class Tryton:
    """What the postings share: ids looked up by code, buttons whose success is the state read back."""

    settle_time = SETTLE

    def __init__(self, client: TrytonClient) -> None:
        self.client = client

    async def one(self, model: str, domain: list[Any], fields: Sequence[str]) -> dict[str, Any] | None:
        """The oldest that fits."""
        found = await self.client.model(model, "search_read", domain, 0, 1, [["id", "ASC"]], list(fields))
        return found[0] if found else None

    async def read_one(self, model: str, number: int, fields: Sequence[str]) -> dict[str, Any]:
        found: list[dict[str, Any]] = await self.client.model(model, "read", [number], list(fields))
        return found[0]

    async def state(self, model: str, number: int) -> str:
        return str((await self.read_one(model, number, ["state"]))["state"])

    async def press(self, model: str, button: str, number: int) -> None:
        """A button. Its answer is no success: older releases say nothing when they did nothing."""
        try:
            answer = await self.client.model(model, button, [number])
        except Stale as stale:
            raise NoAnswer(str(stale)) from stale
        if isinstance(answer, dict) and str(answer.get("type", "")).startswith("ir.action"):
            raise Refused("ERP_ASKS_MORE", f"{button} answered with {answer.get('wiz_name') or answer.get('name')}")

    async def place(self, code: str) -> int:
        place = await self.one("stock.location", [["code", "=", code]], ["name"])
        if place is None:
            raise Refused("ERP_PLACE_MISSING", f"the ERP has no location {code}")
        return int(place["id"])

    async def storage(self) -> int:
        warehouse = await self.one("stock.location", [["type", "=", "warehouse"]], ["storage_location"])
        if warehouse is None:
            raise Refused("ERP_PLACE_MISSING", "the ERP has no warehouse")
        return int(warehouse["storage_location"])

    async def has_note(self, resource: str, text: str) -> bool:
        domain = [["resource", "=", resource], ["message", "=", text]]
        return await self.one("ir.note", domain, ["message"]) is not None

    async def note(self, resource: str, text: str) -> None:
        """A note on a record, once: what has no field of its own in the ERP."""
        if not await self.has_note(resource, text):
            await self.client.model("ir.note", "create", [{"resource": resource, "message": text}])

    async def moves(self, ids: Sequence[int], *more: str) -> list[dict[str, Any]]:
        """Moves that are not cancelled, oldest first, with their unit's symbol as "symbol"."""
        if not ids:
            return []
        unit = self.client.dialect.unit
        fields = ["product.code", "lot.number", "quantity", "state", f"{unit}.symbol", *more]
        found = await self.client.model("stock.move", "read", list(ids), fields)
        live = [{**move, "symbol": move[f"{unit}."]["symbol"]} for move in found if move["state"] != "cancelled"]
        return sorted(live, key=lambda move: int(move["id"]))

    async def short_lots(self, wants: Sequence[Want], place: int) -> str:
        """Which lots are not there in full, in words. 6.0 assigns by item and would take a lot below zero."""
        with_lot = [want for want in wants if want.lot_id]
        if not with_lot:
            return ""
        # What is assigned to others is gone. Levels need their place in the context; else they are 0.0.
        context = {"locations": [place], "with_childs": True, "stock_date_end": date.max, "stock_assign": True}
        domain = [["number", "in", sorted({want.lot_id for want in with_lot})]]
        fields = ["number", "product.code", "quantity"]
        found = await self.client.model("stock.lot", "search_read", domain, 0, None, None, fields, context=context)
        there: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for lot in found:
            there[lot["product."]["code"], lot["number"]] += amount(lot["quantity"] or 0)
        short = [want for want in with_lot if there[want.item_id, want.lot_id] < want.quantity]
        return "; ".join(
            f"{want.item_id} lot {want.lot_id}: {plain(there[want.item_id, want.lot_id])} of {plain(want.quantity)}"
            for want in short
        )

    async def make_moves(self, wants: Sequence[Want], base: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Values of new moves. Lots are looked up before they are made: Tryton makes the same number twice."""
        if not wants:
            return []
        codes = sorted({want.item_id for want in wants})
        found = await self.client.model(
            "product.product", "search_read", [["code", "in", codes]], 0, None, None, ["code"]
        )
        products = {record["code"]: int(record["id"]) for record in found}
        if missing := [code for code in codes if code not in products]:
            raise Refused("ERP_ITEM_MISSING", f"the ERP has no item {', '.join(missing)}")
        units = await self._units()
        made = []
        for want in wants:
            product = products[want.item_id]
            if want.unit_code not in units:
                raise Refused("ERP_UNIT_MISSING", f"the ERP has no unit {want.unit_code}")
            lot = await self._lot(product, want.lot_id) if want.lot_id else None
            values = {"product": product, "quantity": want.quantity, "lot": lot}
            made.append({**base, **values, self.client.dialect.unit: units[want.unit_code]})
        return made

    async def shape_moves(self, ids: Sequence[int], wants: Sequence[Want], base: Mapping[str, Any]) -> None:
        """Make draft moves be what is wanted: one of the same item is written, else one is made; what is left is deleted."""
        moves = await self.moves(ids)
        values = await self.make_moves(wants, base)
        free: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for move in moves:
            free[move["product."]["code"]].append(move)
        unit = self.client.dialect.unit
        written, made = [], []
        for want, value in zip(wants, values, strict=True):
            if free[want.item_id]:
                absolute = {name: value[name] for name in ("quantity", "lot", unit)}
                written += [[free[want.item_id].pop(0)["id"]], absolute]
            else:
                made.append(value)
        left = [move["id"] for moves_of in free.values() for move in moves_of]
        if written:
            await self.client.model("stock.move", "write", *written)
        if made:
            await self.client.model("stock.move", "create", made)
        if left:
            await self.client.model("stock.move", "delete", left)

    async def _units(self) -> dict[str, int]:
        """Ids of units by code."""
        domain = [["symbol", "in", list(SYMBOLS.values())]]
        found = await self.client.model("product.uom", "search_read", domain, 0, None, None, ["symbol"])
        ids = {record["symbol"]: int(record["id"]) for record in found}
        return {code: ids[symbol] for code, symbol in SYMBOLS.items() if symbol in ids}

    async def _lot(self, product: int, number: str) -> int:
        async with self.client.making_lot:
            found = await self.one("stock.lot", [["number", "=", number], ["product", "=", product]], ["number"])
            if found is not None:
                return int(found["id"])
            (made,) = await self.client.model("stock.lot", "create", [{"number": number, "product": product}])
            return int(made)


def sums_of(moves: Iterable[Mapping[str, Any]]) -> Sums:
    """What moves come to. A short assignment splits a move: only sums tell."""
    sums: Sums = defaultdict(Decimal)
    for move in moves:
        lot_id = (move.get("lot.") or {}).get("number") or ""
        sums[move["product."]["code"], lot_id, UNIT_CODES.get(move["symbol"], move["symbol"])] += amount(
            move["quantity"]
        )
    return {line: value for line, value in sums.items() if value}
