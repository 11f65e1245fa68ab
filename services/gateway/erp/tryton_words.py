"""Tryton's records in canonical words: pure conversions, tested on recorded answers of each release."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from isthmus.common.v1.quantity_pb2 import Quantity as QuantityMessage
from isthmus.inventory.v1.shipment_pb2 import Shipment
from isthmus.masterdata.v1.bill_of_materials_pb2 import BillOfMaterials
from isthmus.masterdata.v1.inventory_policy_pb2 import InventoryPolicy
from isthmus.masterdata.v1.item_pb2 import Item
from isthmus.masterdata.v1.partner_pb2 import Partner
from isthmus.masterdata.v1.resource_pb2 import Resource
from isthmus.masterdata.v1.routing_pb2 import Routing
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit.domain import Quantity, UnitUnknown, plain
from servicekit.wire import date_message
from services.gateway.erp.canonical import StockLine
from services.gateway.erp.tryton_dialects import UNIT_CODES

MILLIONTH = Decimal("0.000001")
Record = dict[str, Any]


def unit_code(symbol: str) -> str:
    """UN/ECE code of a Tryton unit symbol; UNIT_UNKNOWN."""
    if symbol not in UNIT_CODES:
        raise UnitUnknown(unit_code=symbol)
    return UNIT_CODES[symbol]


def amount(value: Any) -> Decimal:
    """A Tryton float, which was read as its decimal text, to our six digits."""
    return Decimal(value).quantize(MILLIONTH, ROUND_HALF_UP).normalize()


def with_unit(record: Record, unit: str) -> Record:
    """A record with the unit field under one name, whatever the release calls it."""
    return {("unit." if name == f"{unit}." else name): value for name, value in record.items()}


def quantity_message(value: Any, symbol: str) -> QuantityMessage:
    return QuantityMessage(value=plain(amount(value)), unit_code=unit_code(symbol))


def work_order(plant_id: str, record: Record, moves: Iterable[Record], works: Iterable[Record]) -> WorkOrder:
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


def demand(order: WorkOrder, sold: Record | None) -> None:
    """What the sale that a production was made for adds to its order; None: it was made for none."""
    if sold is None:
        return
    order.demand.sales_order_number = sold["number"]
    order.demand.partner_id = (sold["party."] or {}).get("code") or ""
    if isinstance(sold["day"], date):
        order.demand.requested_date.CopyFrom(date_message(sold["day"]))


def item(record: Record) -> Item:
    """A product as a canonical item."""
    return Item(
        item_id=record["code"],
        description=record["template."]["name"],
        unit_code=unit_code(record["default_uom."]["symbol"]),
        is_lot_tracked="storage" in (record["lot_required"] or ()),
    )


def bill_of_materials(record: Record, inputs: Iterable[Record], output: Record) -> BillOfMaterials:
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


def routing(record: Record, item_id: str, steps: Iterable[Record]) -> Routing:
    made = Routing(routing_id=_id("routing", record["id"]), item_id=item_id)
    for number, step in enumerate(sorted(steps, key=lambda s: (s["sequence"] or 0, s["id"])), 1):
        made.operations.add(sequence=number * 10, description=step["operation."]["name"])  # it knows no standard times
    return made


def partner(record: Record, addresses: Iterable[Record], *, is_supplier: bool, is_customer: bool) -> Partner:
    """A party; its country is that of the first of its addresses that names one."""
    countries = [(address.get("country.") or {}).get("code") or "" for address in addresses]
    return Partner(
        partner_id=record["code"],
        name=record["name"] or "",
        is_supplier=is_supplier,
        is_customer=is_customer,
        country_code=next(filter(None, countries), ""),
    )


def inventory_policy(record: Record) -> InventoryPolicy:
    """An order point: below its minimum the item is ordered up to its target."""
    product = record["product."]
    policy, unit = InventoryPolicy(item_id=product["code"]), product["default_uom."]["symbol"]
    for level, field in ((policy.reorder_point, "min_quantity"), (policy.target_stock, "target_quantity")):
        if record[field] is not None:
            level.CopyFrom(quantity_message(record[field], unit))
    return policy


def resource(record: Record) -> Resource:
    """A work centre, by the name that work orders call it by."""
    return Resource(
        resource_id=record["name"],
        name=record["name"],
        category=(record.get("category.") or {}).get("name") or "",
        parent_resource_id=(record.get("parent.") or {}).get("name") or "",
    )


def _id(noun: str, number: Any) -> str:
    return f"{noun}-{number}" if number else ""


def summed(moves: Iterable[Record]) -> list[Record]:
    """A short assignment splits an input move: the parts of a product and lot are one allocation."""
    whole: dict[tuple[str, str], Record] = {}
    for move in sorted(moves, key=lambda m: m["id"]):
        key = (move["product."]["code"], (move.get("lot.") or {}).get("number") or "")
        if key in whole:
            whole[key] = {**whole[key], "quantity": amount(whole[key]["quantity"]) + amount(move["quantity"])}
        else:
            whole[key] = move
    return list(whole.values())


def stock_line(item_id: str, lot_id: str, value: Any, symbol: str) -> StockLine:
    return StockLine(item_id, lot_id, Quantity(amount(value or 0), unit_code(symbol)))


def shipment(plant_id: str, record: Record, moves: Iterable[Record]) -> Shipment:
    made = Shipment(
        plant_id=plant_id, erp_delivery_number=record["number"], customer_name=record["customer."]["name"] or ""
    )
    if isinstance(record["planned_date"], date):
        made.planned_date.CopyFrom(date_message(record["planned_date"]))
    # While lots are picked Tryton splits and empties outgoing moves: what the customer gets is their sum.
    for move in summed([{**move, "lot.": None} for move in moves if amount(move["quantity"])]):
        quantity = quantity_message(move["quantity"], move["unit."]["symbol"])
        made.lines.add(item_id=move["product."]["code"], quantity=quantity)
    return made
