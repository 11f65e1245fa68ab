"""Tryton in canonical words: released orders with their master data, waiting deliveries, stock. Reading only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from google.protobuf.duration_pb2 import Duration

from isthmus.common.v1.quantity_pb2 import Quantity as QuantityMessage
from isthmus.inventory.v1.shipment_pb2 import Shipment
from isthmus.masterdata.v1.bill_of_materials_pb2 import BillOfMaterials
from isthmus.masterdata.v1.item_pb2 import Item
from isthmus.masterdata.v1.routing_pb2 import Routing
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit.domain import Quantity, UnitUnknown, plain
from servicekit.wire import date_message
from services.gateway.erp.canonical import Changes, ErpOrder, ErpState, StockLine
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_dialects import UNIT_CODES

OVERLAP = timedelta(seconds=3)  # 6.0 and 7.0 keep whole seconds; a record may commit after a later one
PAGE = 200
STATES = {"waiting": ErpState.RELEASED, "assigned": ErpState.RELEASED, "cancelled": ErpState.CANCELLED}
MILLIONTH = Decimal("0.000001")


def unit_code(symbol: str) -> str:
    """UN/ECE code of a Tryton unit symbol; UNIT_UNKNOWN."""
    if symbol not in UNIT_CODES:
        raise UnitUnknown(unit_code=symbol)
    return UNIT_CODES[symbol]


def amount(value: Any) -> Decimal:
    """A Tryton float, which was read as its decimal text, to our six digits."""
    return Decimal(value).quantize(MILLIONTH, ROUND_HALF_UP).normalize()


def quantity_message(value: Any, symbol: str) -> QuantityMessage:
    return QuantityMessage(value=plain(amount(value)), unit_code=unit_code(symbol))


def work_order(
    plant_id: str, record: dict[str, Any], moves: Iterable[dict[str, Any]], works: Iterable[dict[str, Any]]
) -> WorkOrder:
    """A production, its inputs and its works as a canonical work order."""
    order = WorkOrder(
        plant_id=plant_id,
        erp_order_number=record["number"],
        item_id=record["product."]["code"],
        planned_quantity=quantity_message(record["quantity"], record["unit."]["symbol"]),
        bill_of_materials_id=_id("bom", record["bom"]),
        routing_id=_id("routing", record["routing"]),
    )
    for field, day in (("planned_start_date", record["planned_start_date"]), ("due_date", record["planned_date"])):
        if isinstance(day, date):
            getattr(order, field).CopyFrom(date_message(day))
    for number, work in enumerate(sorted(works, key=lambda w: (w["sequence"] or 0, w["id"])), 1):
        order.operations.add(
            sequence=number * 10,
            description=work["operation."]["name"],
            work_centre_id=work["work_center."]["name"] if work.get("work_center.") else "",
        )
    for move in sorted(moves, key=lambda m: m["id"]):
        lot = (move.get("lot.") or {}).get("number") or ""
        order.components.add(
            item_id=move["product."]["code"],
            quantity=quantity_message(move["quantity"], move["unit."]["symbol"]),
            lot_id=lot,
        )
    return order


def item(record: dict[str, Any]) -> Item:
    """A product as a canonical item."""
    return Item(
        item_id=record["code"],
        description=record["template."]["name"],
        unit_code=unit_code(record["default_uom."]["symbol"]),
        is_lot_tracked="storage" in (record["lot_required"] or ()),
    )


def bill_of_materials(
    record: dict[str, Any], inputs: Iterable[dict[str, Any]], output: dict[str, Any]
) -> BillOfMaterials:
    bill = BillOfMaterials(
        bill_of_materials_id=_id("bom", record["id"]),
        item_id=output["product."]["code"],
        revision=record["name"],
        output_quantity=quantity_message(output["quantity"], output["unit."]["symbol"]),
    )
    for line in sorted(inputs, key=lambda i: i["id"]):
        quantity = quantity_message(line["quantity"], line["unit."]["symbol"])
        bill.components.add(item_id=line["product."]["code"], quantity=quantity)
    return bill


def routing(record: dict[str, Any], item_id: str, steps: Iterable[dict[str, Any]]) -> Routing:
    made = Routing(routing_id=_id("routing", record["id"]), item_id=item_id)
    for number, step in enumerate(sorted(steps, key=lambda s: (s["sequence"] or 0, s["id"])), 1):
        made.operations.add(
            sequence=number * 10, description=step["operation."]["name"], labour_standard=Duration(seconds=0)
        )
        made.operations[-1].ClearField("labour_standard")  # Tryton's routings hold none
    return made


def _id(noun: str, number: Any) -> str:
    return f"{noun}-{number}" if number else ""


class TrytonReader:
    """Reads one plant's Tryton."""

    def __init__(self, plant_id: str, client: TrytonClient) -> None:
        self._plant_id, self._client = plant_id, client

    async def changes(self, watermark: str) -> Changes:
        """Orders and deliveries that changed since the watermark; all open ones when it is empty."""
        since = datetime.fromisoformat(watermark) if watermark else None
        numbers, seen = await self._changed_orders(since)
        orders = [await self._order(number) for number in sorted(numbers)]
        shipments = await self._shipments(since)
        newest = max((at for at in (seen, since, shipments[1]) if at is not None), default=None)
        told = newest.isoformat() if newest is not None else watermark
        return Changes(told, [order for order in orders if order is not None], shipments[0])

    async def order(self, erp_order_number: str) -> ErpOrder | None:
        """One order by its number, as it stands now."""
        found = await self._search("production", [["number", "=", erp_order_number]], ["state"])
        return await self._order(found[0]["id"]) if found else None

    async def _changed_orders(self, since: datetime | None) -> tuple[set[int], datetime | None]:
        """Ids of productions that changed themselves or through an input, and the newest stamp among them.

        Changing an input does not touch the order's stamp, so moves are asked too.
        """
        stamps = ["write_date", "create_date"]
        open_now = [["state", "in", ["waiting", "assigned"]]]
        domain = open_now if since is None else [_since(since), ["state", "in", [*STATES]]]
        records = await self._search("production", domain, stamps)
        found = {record["id"] for record in records}
        moves: list[dict[str, Any]] = []
        if since is not None:
            domain = [_since(since), ["production_input.state", "in", ["waiting", "assigned"]]]
            moves = await self._search("stock.move", domain, [*stamps, "production_input"])
            found |= {move["production_input"] for move in moves}
        return found, _newest([*records, *moves])

    async def _order(self, number: int) -> ErpOrder | None:
        unit = self._client.dialect.unit
        fields = ["number", "state", "product", "product.code", "quantity", f"{unit}.symbol", "planned_date"]
        fields += ["planned_start_date", "bom", "routing", "inputs", "works"]
        found = await self._client.model("production", "read", [number], fields)
        record = self._plain(found[0]) if found else None
        if record is None or not record["number"] or not record["bom"]:
            return None  # a draft of 8.x has no number; an order without a bill is not one for a plant
        moves = await self._read("stock.move", record["inputs"], ["product", "product.code", "quantity", f"{unit}.symbol",
                                                                   "lot.number", "state"])  # fmt: skip
        works = await self._read("production.work", record["works"], ["sequence", "operation.name", "work_center.name"])
        live = [move for move in moves if move["state"] != "cancelled"]
        order = work_order(self._plant_id, record, _summed(live), works)
        state = STATES.get(record["state"], ErpState.OTHER)
        if state is not ErpState.RELEASED:
            return ErpOrder(order, state)
        items = await self._items({record["product"], *(move["product"] for move in live)})
        return ErpOrder(
            order, state, items, await self._bill(record["bom"]), await self._routing(record, order.item_id)
        )

    async def _items(self, products: set[int]) -> list[Item]:
        fields = ["code", "template.name", "default_uom.symbol", "lot_required"]
        return [item(record) for record in await self._read("product.product", sorted(products), fields)]

    async def _bill(self, number: int) -> BillOfMaterials:
        unit = self._client.dialect.unit
        (record,) = await self._read("production.bom", [number], ["name", "inputs", "outputs"])
        fields = ["product.code", "quantity", f"{unit}.symbol"]
        inputs = await self._read("production.bom.input", record["inputs"], fields)
        outputs = await self._read("production.bom.output", record["outputs"], fields)
        return bill_of_materials(record, inputs, outputs[0])

    async def _routing(self, record: dict[str, Any], item_id: str) -> Routing | None:
        if not record["routing"]:
            return None
        (found,) = await self._read("production.routing", [record["routing"]], ["name", "steps"])
        steps = await self._read("production.routing.step", found["steps"], ["sequence", "operation.name"])
        return routing(found, item_id, steps)

    async def _shipments(self, since: datetime | None) -> tuple[list[Shipment], datetime | None]:
        unit = self._client.dialect.unit
        domain: list[Any] = [["state", "in", ["waiting", "assigned"]]]
        if since is not None:
            domain.insert(0, _since(since))
        fields = ["number", "planned_date", "customer.name", "outgoing_moves", "write_date", "create_date"]
        records = await self._search("stock.shipment.out", domain, fields)
        shipments = []
        for record in records:
            moves = await self._read(
                "stock.move", record["outgoing_moves"], ["product.code", "quantity", f"{unit}.symbol"]
            )
            shipments.append(self._shipment(record, moves))
        return shipments, _newest(records)

    def _shipment(self, record: dict[str, Any], moves: Iterable[dict[str, Any]]) -> Shipment:
        shipment = Shipment(
            plant_id=self._plant_id,
            erp_delivery_number=record["number"],
            customer_name=record["customer."]["name"] or "",
        )
        if isinstance(record["planned_date"], date):
            shipment.planned_date.CopyFrom(date_message(record["planned_date"]))
        # While lots are picked Tryton splits and empties outgoing moves: what the customer gets is their sum.
        for move in _summed([{**move, "lot.": None} for move in moves if amount(move["quantity"])]):
            quantity = quantity_message(move["quantity"], move["unit."]["symbol"])
            shipment.lines.add(item_id=move["product."]["code"], quantity=quantity)
        return shipment

    async def stock(self) -> list[StockLine]:
        """Stock in the warehouse by item and lot. The levels need their places in the context; else they say 0.0."""
        (warehouse,) = await self._search("stock.location", [["type", "=", "warehouse"]], ["storage_location"])
        context = {"locations": [warehouse["storage_location"]], "with_childs": True, "stock_date_end": date.max}
        lots = await self._client.model(
            "stock.lot", "search_read", [], 0, None, None, ["number", "quantity", "product.code",
            "product.default_uom.symbol"], context=context)  # fmt: skip
        lines = [
            _line(r["product."]["code"], r["number"], r["quantity"], r["product."]["default_uom."]["symbol"])
            for r in lots
        ]
        products = await self._client.model(
            "product.product", "search_read", [["type", "=", "goods"]], 0, None, None,
            ["code", "quantity", "default_uom.symbol", "lot_required"], context=context)  # fmt: skip
        lines += [
            _line(r["code"], "", r["quantity"], r["default_uom."]["symbol"]) for r in products if not r["lot_required"]
        ]
        return [line for line in lines if line.quantity.value > 0]

    async def _search(self, model: str, domain: list[Any], fields: list[str]) -> list[dict[str, Any]]:
        """All records of a domain, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self._client.model(model, "search_read", domain, len(found), PAGE, [["id", "ASC"]], fields)
            found += [self._plain(record) for record in page]
            if len(page) < PAGE:
                return found

    async def _read(self, model: str, ids: list[int], fields: list[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        return [self._plain(record) for record in await self._client.model(model, "read", ids, fields)]

    def _plain(self, record: dict[str, Any]) -> dict[str, Any]:
        """The release's name of the unit field under one name."""
        unit = f"{self._client.dialect.unit}."
        return {("unit." if name == unit else name): value for name, value in record.items()}


def _summed(moves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A short assignment splits an input move: the parts of a product and lot are one allocation."""
    whole: dict[tuple[str, str], dict[str, Any]] = {}
    for move in sorted(moves, key=lambda m: m["id"]):
        key = (move["product."]["code"], (move.get("lot.") or {}).get("number") or "")
        if key in whole:
            whole[key] = {**whole[key], "quantity": amount(whole[key]["quantity"]) + amount(move["quantity"])}
        else:
            whole[key] = move
    return list(whole.values())


def _line(item_id: str, lot_id: str, value: Any, symbol: str) -> StockLine:
    return StockLine(item_id, lot_id, Quantity(amount(value or 0), unit_code(symbol)))


def _since(at: datetime) -> list[Any]:
    """A record never written has no write_date: both stamps are asked."""
    start = at.astimezone(UTC) - OVERLAP
    return ["OR", ["write_date", ">=", start], ["create_date", ">=", start]]


def _newest(records: Iterable[dict[str, Any]]) -> datetime | None:
    stamps = [record[name] for record in records for name in ("write_date", "create_date")]
    return max((stamp for stamp in stamps if stamp is not None), default=None)
