"""Reads a Tryton: released orders with their master data, waiting deliveries, stock. Polls, for Tryton tells nobody.

What changed is found by the stamps that the ERP itself writes; what belongs to it is read set-based, so that a poll costs
the same few requests for one order and for a hundred.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog

from isthmus.inventory.v1.shipment_pb2 import Shipment
from isthmus.masterdata.v1.bill_of_materials_pb2 import BillOfMaterials
from isthmus.masterdata.v1.item_pb2 import Item
from isthmus.masterdata.v1.routing_pb2 import Routing
from servicekit import foreign
from servicekit.domain import DomainError
from servicekit.postings import Refused
from services.gateway.erp import tryton_words
from services.gateway.erp.canonical import Changes, ErpOrder, ErpState, StockLine
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_words import Record

log = structlog.get_logger()
OVERLAP = timedelta(seconds=3)  # 6.0 and 7.0 keep whole seconds; a record may commit after a later one
PAGE = 200
STATES = {"waiting": ErpState.RELEASED, "assigned": ErpState.RELEASED, "cancelled": ErpState.CANCELLED}
OPEN = ["waiting", "assigned"]
SALE_LINE = "sale.line,"  # before the id, in the origin of what is produced for a sale
STAMPS = ["write_date", "create_date"]
ORDER_FIELDS = ("number", "state", "product", "product.code", "quantity", "planned_date", "planned_start_date", "bom")
Watermark = Mapping[str, datetime]


class TrytonReader:
    """Reads one plant's Tryton."""

    def __init__(self, plant_id: str, client: TrytonClient) -> None:
        self._plant_id, self._client = plant_id, client

    async def changes(self, watermark: str) -> Changes:
        """Orders and deliveries that changed since the watermark; all open ones when it is empty.

        Each kind of record has a watermark of its own, from its own answers: they are asked one after another, and what
        changes in between must not hide behind a later stamp of another kind. The overlap repeats; the caller compares.
        """
        before = read_watermark(watermark)
        changed = await self._changed_orders(before)
        deliveries = await self._stamped("stock.shipment.out", before.get("deliveries"), ["state", "in", OPEN])
        numbers = {r["id"] for r in changed["orders"]} | {r["production_input"] for r in changed["moves"]}
        after = {
            "orders": newest(changed["orders"], before.get("orders")),
            "moves": newest([*changed["moves"], *changed["orders"]], before.get("moves")),
            "deliveries": newest(deliveries, before.get("deliveries")),
        }
        orders = await self._orders(sorted(numbers))
        shipments = await self._shipments([r["id"] for r in deliveries])
        return Changes(write_watermark(after), orders, shipments)

    async def order(self, erp_order_number: str) -> ErpOrder | None:
        """One order by its number, as it stands now."""
        found = await self.search("production", [["number", "=", erp_order_number]], ["state"])
        orders = await self._orders([record["id"] for record in found])
        return orders[0] if orders else None

    async def stock(self) -> list[StockLine]:
        """Stock in the warehouse by item and lot. The levels need their places in the context; else they say 0.0."""
        (warehouse,) = await self.search("stock.location", [["type", "=", "warehouse"]], ["storage_location"])
        places = {"locations": [warehouse["storage_location"]], "with_childs": True, "stock_date_end": date.max}
        fields = ["number", "quantity", "product.code", "product.default_uom.symbol"]
        lots = await self.search("stock.lot", [], fields, places)
        fields = ["code", "quantity", "default_uom.symbol", "lot_required"]
        goods = await self.search("product.product", [["type", "=", "goods"]], fields, places)
        said = [(r["product."]["code"], r["number"], r["quantity"], r["product."]["default_uom."]) for r in lots]
        said += [(r["code"], "", r["quantity"], r["default_uom."]) for r in goods if not r["lot_required"]]
        return [
            tryton_words.stock_line(item_id, lot_id, value, unit["symbol"])
            for item_id, lot_id, value, unit in said
            if (value or 0) > 0
        ]

    # --- what changed

    async def _changed_orders(self, before: Watermark) -> dict[str, list[Record]]:
        """Productions that changed, and inputs that did: changing an input does not touch its order's stamp."""
        since = before.get("orders")
        states = ["state", "in", OPEN if since is None else [*STATES]]
        moves: list[Record] = []
        if "moves" in before:
            of_open = ["production_input.state", "in", OPEN]
            moves = await self._stamped("stock.move", before["moves"], of_open, "production_input")
        return {"orders": await self._stamped("production", since, states), "moves": moves}

    async def _stamped(self, model: str, since: datetime | None, which: list[Any], *more: str) -> list[Record]:
        """Ids and stamps. A record never written has no write_date: both stamps are asked."""
        domain = [which]
        if since is not None:
            start = since.astimezone(UTC) - OVERLAP
            domain.append(["OR", ["write_date", ">=", start], ["create_date", ">=", start]])
        return await self.search(model, domain, [*STAMPS, *more])

    # --- what belongs to it

    async def _orders(self, numbers: Sequence[int]) -> list[ErpOrder]:
        unit = self._client.dialect.unit
        fields = [*ORDER_FIELDS, f"{unit}.symbol", "routing", "inputs", "works", "origin"]
        found = await self.read("production", numbers, fields)
        # A draft of 8.x has no number; an order without a bill is not one for a plant.
        records = [record for record in found if record["number"] and record["bom"]]
        fields = ["product", "product.code", "quantity", f"{unit}.symbol", "lot.number", "state"]
        moves = by_id(await self.read("stock.move", flat(records, "inputs"), fields))
        fields = ["sequence", "operation.name", "work_center.name"]
        works = by_id(await self.read("production.work", flat(records, "works"), fields))
        released = [record for record in records if STATES.get(record["state"]) is ErpState.RELEASED]
        products = {r["product"] for r in released} | {moves[n]["product"] for n in flat(released, "inputs")}
        master = await self.master_data(products, ids_of(released, "bom"), ids_of(released, "routing"))
        sold = await self._sold(released)
        orders = []
        for record in records:
            try:
                order = self._order(record, moves, works, master)
                tryton_words.demand(order.work_order, sold.get(record["origin"] or ""))
                orders.append(order)
            except (DomainError, ArithmeticError) as fault:
                # One order that can't be said in canonical words must not hide the others.
                log.error("ERP order is unreadable", plant_id=self._plant_id, number=record["number"], fault=str(fault))
        return orders

    def _order(
        self, record: Record, moves: Mapping[int, Record], works: Mapping[int, Record], master: MasterData
    ) -> ErpOrder:
        inputs = [moves[number] for number in record["inputs"] if moves[number]["state"] != "cancelled"]
        steps = [works[number] for number in record["works"]]
        said = tryton_words.work_order(self._plant_id, record, tryton_words.summed(inputs), steps)
        state = STATES.get(record["state"], ErpState.OTHER)
        if state is not ErpState.RELEASED:
            return ErpOrder(said, state)
        products = sorted({record["product"], *(move["product"] for move in inputs)})
        items = [master.item(number) for number in products]
        content = {**record, "inputs": inputs, "works": steps}
        source = foreign.record_of(f"erp-{self._plant_id}", "production", str(record["id"]), content)
        routing = master.routing(record["routing"], said.item_id)
        return ErpOrder(said, state, items, master.bill(record["bom"]), routing, source)

    async def _sold(self, records: Iterable[Record]) -> dict[str, Record]:
        """The lines of sales that productions were made for, by their origin. Whose user may read no sales has none."""
        origins = {record["origin"] for record in records if (record["origin"] or "").startswith(SALE_LINE)}
        numbers = sorted(int(origin.removeprefix(SALE_LINE)) for origin in origins)
        try:
            lines = await self.read("sale.line", numbers, ["sale", "shipping_date"])
            sales = await self.read("sale.sale", ids_of(lines, "sale"), ["number", "party.code"])
        except Refused as refused:
            log.warning("sales are not readable", plant_id=self._plant_id, fault=str(refused))
            return {}
        by_sale = by_id(sales)
        return {f"{SALE_LINE}{line['id']}": {**by_sale[line["sale"]], "day": line["shipping_date"]} for line in lines}

    async def master_data(
        self, products: Iterable[int], bills_of: Sequence[int], routings_of: Sequence[int]
    ) -> MasterData:
        """What belongs to these ids of the ERP."""
        unit = self._client.dialect.unit
        fields = ["code", "template.name", "default_uom.symbol", "lot_required"]
        items = await self.read("product.product", sorted(products), fields)
        bills = await self.read("production.bom", bills_of, ["name", "inputs", "outputs"])
        fields = ["product.code", "quantity", f"{unit}.symbol"]
        inputs = await self.read("production.bom.input", flat(bills, "inputs"), fields)
        outputs = await self.read("production.bom.output", flat(bills, "outputs"), fields)
        routings = await self.read("production.routing", routings_of, ["name", "steps"])
        fields = ["sequence", "operation.name"]
        steps = await self.read("production.routing.step", flat(routings, "steps"), fields)
        return MasterData(*(by_id(records) for records in (items, bills, inputs, outputs, routings, steps)))

    async def _shipments(self, numbers: Sequence[int]) -> list[Shipment]:
        unit = self._client.dialect.unit
        fields = ["number", "planned_date", "customer.name", "outgoing_moves"]
        records = await self.read("stock.shipment.out", numbers, fields)
        fields = ["product.code", "quantity", f"{unit}.symbol"]
        moves = by_id(await self.read("stock.move", flat(records, "outgoing_moves"), fields))
        shipments = []
        for record in records:
            lines = [moves[number] for number in record["outgoing_moves"]]
            try:
                shipments.append(tryton_words.shipment(self._plant_id, record, lines))
            except (DomainError, ArithmeticError) as fault:
                log.error(
                    "ERP delivery is unreadable", plant_id=self._plant_id, number=record["number"], fault=str(fault)
                )
        return shipments

    # --- requests

    async def search(
        self, model: str, domain: list[Any], fields: list[str], context: dict[str, Any] | None = None
    ) -> list[Record]:
        """All records of a domain, page by page."""
        found: list[Record] = []
        while True:
            page = await self._client.model(
                model, "search_read", domain, len(found), PAGE, [["id", "ASC"]], fields, context=context
            )
            found += [tryton_words.with_unit(record, self._client.dialect.unit) for record in page]
            if len(page) < PAGE:
                return found

    async def used(self, model: str, field: str) -> set[int]:
        """What a field of a model refers to. What is known is left out of the next page: few requests, many records."""
        found: set[int] = set()
        while True:
            domain = [[field, "!=", None], [field, "not in", sorted(found)]]
            page = await self._client.model(model, "search_read", domain, 0, PAGE, None, [field])
            found |= {record[field] for record in page}
            if len(page) < PAGE:
                return found

    async def read(self, model: str, ids: Sequence[int], fields: list[str]) -> list[Record]:
        found: list[Record] = []
        for start in range(0, len(ids), PAGE):
            page = await self._client.model(model, "read", list(ids[start : start + PAGE]), fields)
            found += [tryton_words.with_unit(record, self._client.dialect.unit) for record in page]
        return found


class MasterData:
    """Records of items, bills and routings, as they were read together."""

    def __init__(self, *records: Mapping[int, Record]) -> None:
        self._items, self._bills, self._inputs, self._outputs, self._routings, self._steps = records

    def item(self, number: int) -> Item:
        return tryton_words.item(self._items[number])

    def bill(self, number: int) -> BillOfMaterials:
        record = self._bills[number]
        inputs = [self._inputs[line] for line in record["inputs"]]
        return tryton_words.bill_of_materials(record, inputs, self._outputs[record["outputs"][0]])

    def routing(self, number: int | None, item_id: str) -> Routing | None:
        if not number:
            return None
        record = self._routings[number]
        return tryton_words.routing(record, item_id, [self._steps[step] for step in record["steps"]])


def by_id(records: Iterable[Record]) -> dict[int, Record]:
    return {int(record["id"]): record for record in records}


def flat(records: Iterable[Record], field: str) -> list[int]:
    return [number for record in records for number in record[field]]


def ids_of(records: Iterable[Record], field: str) -> list[int]:
    return sorted({record[field] for record in records if record[field]})


def newest(records: Iterable[Record], before: datetime | None) -> datetime | None:
    stamps = [before, *(record[name] for record in records for name in STAMPS)]
    return max((stamp for stamp in stamps if stamp is not None), default=None)


def read_watermark(text: str) -> dict[str, datetime]:
    return {kind: datetime.fromisoformat(stamp) for kind, stamp in json.loads(text or "{}").items()}


def write_watermark(stamps: Mapping[str, datetime | None]) -> str:
    return json.dumps({kind: stamp.isoformat() for kind, stamp in stamps.items() if stamp is not None})
