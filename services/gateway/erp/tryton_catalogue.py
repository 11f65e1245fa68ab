"""Reads all master data of a Tryton: what it offers now. What is archived or deleted there is simply not in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

from isthmus.masterdata.v1.inventory_policy_pb2 import InventoryPolicy
from isthmus.masterdata.v1.partner_pb2 import Partner
from servicekit.domain import DomainError
from services.gateway.erp import tryton_words
from services.gateway.erp.canonical import Catalogue
from services.gateway.erp.tryton import TrytonReader, by_id, flat

log = structlog.get_logger()
M = TypeVar("M")
SUPPLIERS = (("stock.shipment.in", "supplier"), ("stock.shipment.in.return", "supplier"))
CUSTOMERS = (("stock.shipment.out", "customer"), ("stock.shipment.out.return", "customer"))
GOODS = [["type", "=", "goods"], ["code", "!=", None]]


async def read_catalogue(reader: TrytonReader) -> Catalogue:
    """All items, bills of materials, routings of those bills, partners, resources and inventory policies."""
    goods = await reader.search("product.product", GOODS, ["code"])
    bills = await reader.search("production.bom", [["outputs", "!=", None]], ["outputs"])
    routings = await reader.search("production.routing", [["steps", "!=", None]], ["boms"])
    known = {bill["id"] for bill in bills}
    bill_of = {r["id"]: next((bill for bill in r["boms"] if bill in known), None) for r in routings}
    made = {routing: bill for routing, bill in bill_of.items() if bill is not None}
    master = await reader.master_data(sorted(g["id"] for g in goods), sorted(known), sorted(made))
    items = _said((g["id"] for g in goods), master.item)
    recipes = _said(known, master.bill)
    ways = _said(made, lambda routing: master.routing(routing, master.bill(made[routing]).item_id))
    partners = await _partners(reader)
    centres = by_id(await reader.search("production.work.center", [], ["name", "category.name", "parent.name"]))
    resources = {str(number): tryton_words.resource(centre) for number, centre in centres.items()}
    return Catalogue(items, recipes, ways, partners, resources, await _policies(reader))


async def _policies(reader: TrytonReader) -> dict[str, InventoryPolicy | None]:
    """Order points of the warehouse. A Tryton without its supply module has none; a safety stock no Tryton has."""
    if not await reader.search("ir.module", [["name", "=", "stock_supply"], ["state", "=", "activated"]], ["name"]):
        return {}
    fields = ["min_quantity", "target_quantity", "product.code", "product.default_uom.symbol"]
    of_warehouse = [["type", "in", ["purchase", "production"]], ["product.code", "!=", None]]
    points = by_id(await reader.search("stock.order_point", of_warehouse, fields))
    return _said(points, lambda number: tryton_words.inventory_policy(points[number]))


async def _partners(reader: TrytonReader) -> dict[str, Partner]:
    """Parties that shipments name. A plain Tryton marks no supplier and no customer: what it did with a party tells."""
    suppliers = {number for where in SUPPLIERS for number in await reader.used(*where)}
    customers = {number for where in CUSTOMERS for number in await reader.used(*where)}
    named = [["id", "in", sorted(suppliers | customers)], ["code", "!=", None]]
    parties = await reader.search("party.party", named, ["code", "name", "addresses"])
    addresses = by_id(await reader.read("party.address", flat(parties, "addresses"), ["country.code"]))
    return {
        str(party["id"]): tryton_words.partner(
            party,
            [addresses[number] for number in party["addresses"]],
            is_supplier=party["id"] in suppliers,
            is_customer=party["id"] in customers,
        )
        for party in parties
    }


def _said(numbers: Iterable[int], say: Callable[[int], M]) -> dict[str, M | None]:
    """By the ERP's own id, in canonical words; None where there are none."""
    said: dict[str, M | None] = {}
    for number in sorted(numbers):
        try:
            said[str(number)] = say(number)
        except (DomainError, ArithmeticError) as fault:
            log.warning("master data of the ERP is unreadable", number=number, fault=str(fault))
            said[str(number)] = None
    return said
