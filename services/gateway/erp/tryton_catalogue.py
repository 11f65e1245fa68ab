"""Reads all master data of a Tryton: what it offers now. What is archived or deleted there is simply not in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog

from servicekit.domain import DomainError
from services.gateway.erp.canonical import Catalogue
from services.gateway.erp.tryton import MasterData, TrytonReader

log = structlog.get_logger()
M = TypeVar("M")
GOODS = [["type", "=", "goods"], ["code", "!=", None]]


async def read_catalogue(reader: TrytonReader) -> Catalogue:
    """All items, bills of materials, and routings of those bills. What can't be said in canonical words is counted."""
    goods = await reader.search("product.product", GOODS, ["code"])
    bills = await reader.search("production.bom", [["outputs", "!=", None]], ["outputs"])
    routings = await reader.search("production.routing", [["steps", "!=", None]], ["boms"])
    known = {bill["id"] for bill in bills}
    bill_of = {r["id"]: next((bill for bill in r["boms"] if bill in known), None) for r in routings}
    made = {routing: bill for routing, bill in bill_of.items() if bill is not None}
    master = await reader.master_data(sorted(g["id"] for g in goods), sorted(known), sorted(made))
    items, unsaid = _said((g["id"] for g in goods), master.item)
    recipes, unsaid_bills = _said(known, master.bill)
    ways, unsaid_ways = _said(made, lambda routing: _routing(master, routing, made[routing]))
    return Catalogue(items, recipes, ways, unsaid + unsaid_bills + unsaid_ways)


def _routing(master: MasterData, number: int, bill: int) -> Any:
    return master.routing(number, master.bill(bill).item_id)


def _said(numbers: Iterable[int], say: Callable[[int], M]) -> tuple[dict[str, M], int]:
    """By the ERP's own id, in canonical words, and how many could not be said."""
    said, faulty = {}, 0
    for number in sorted(numbers):
        try:
            said[str(number)] = say(number)
        except (DomainError, ArithmeticError) as fault:
            log.warning("master data of the ERP is unreadable", number=number, fault=str(fault))
            faulty += 1
    return said, faulty
