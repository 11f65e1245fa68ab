"""Whether stock is right: the last comparison of each plant's books, what differs, and the transactions that explain it."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from isthmus.operations.v1 import operations_service_pb2 as messages
from isthmus.operations.v1 import reconciliation_pb2 as book
from services.operations.console.asked import Asked, rows
from services.operations.console.words import Shown, at
from services.operations.telling import amount

VARIANCES_MOST = 500  # of a plant
KINDS = {
    book.CAUSE_KIND_UNDER_WAY: "under way",
    book.CAUSE_KIND_PARKED: "parked",
    book.CAUSE_KIND_MISSING: "missing there",
    book.CAUSE_KIND_DOUBLED: "doubled there",
    book.CAUSE_KIND_WRONG_QUANTITY: "another quantity",
    book.CAUSE_KIND_FOREIGN: "not ours",
}
STATES = {
    book.RECONCILIATION_STATE_RUNNING: "is under way",
    book.RECONCILIATION_STATE_COMPLETED: "is done",
    book.RECONCILIATION_STATE_FAILED: "failed",
}


async def page(asked: Asked, _request: Request) -> Shown:
    """Every plant, what needs a person first."""
    plants = await asyncio.gather(*(_plant(asked, plant) for plant in asked.plants))
    return "stock.html", {"plants": plants, "live": asked.plants, "most": VARIANCES_MOST}


async def _plant(asked: Asked, plant: str) -> dict[str, Any]:
    """The last comparison; what differs is of the last that came to its end."""
    listed = messages.ListReconciliationsRequest(plant_id=plant, page_size=20)
    runs = [one async for one in rows(asked.operations.ListReconciliations, listed, "reconciliations", 20)]
    done = next((one for one in runs if one.state == book.RECONCILIATION_STATE_COMPLETED), None)
    stocks: list[dict[str, Any]] = []
    orders: list[dict[str, Any]] = []
    if done is not None:
        of_stock = messages.ListStockVariancesRequest(reconciliation_id=done.reconciliation_id)
        of_orders = messages.ListOrderVariancesRequest(reconciliation_id=done.reconciliation_id)
        call = asked.operations
        stocks = [_stock(v) async for v in rows(call.ListStockVariances, of_stock, "stock_variances", VARIANCES_MOST)]
        orders = [_order(v) async for v in rows(call.ListOrderVariances, of_orders, "order_variances", VARIANCES_MOST)]
    last = runs[0] if runs else None
    return {
        "plant_id": plant,
        "state": STATES.get(last.state, "is in an unknown state") if last is not None else "",
        "failure": last.failure_text if last is not None else "",
        "end_time": at(done.end_time) if done is not None else None,
        "compared": done.compared_count if done is not None else 0,
        "open_count": done.open_variance_count if done is not None else 0,
        "stocks": sorted(stocks, key=lambda one: not one["is_open"]),
        "orders": sorted(orders, key=lambda one: not one["is_open"]),
    }


def _amount(quantity: Any) -> str:
    return amount(quantity) if quantity.value else ""


def _stock(one: Any) -> dict[str, Any]:
    return {
        "is_open": one.is_open,
        "system": one.system_id,
        "item": one.item_id,
        "lot": one.lot_id,
        "ours": _amount(one.ledger_quantity),
        "theirs": _amount(one.partner_quantity),
        "unexplained": _amount(one.unexplained_quantity) if one.unexplained_quantity.value not in ("", "0") else "",
        "causes": [(KINDS.get(cause.kind, "other"), cause.document_id, cause.text) for cause in one.causes],
    }


def _order(one: Any) -> dict[str, Any]:
    ours = f"{_amount(one.booked_good_quantity)} good, {_amount(one.booked_scrap_quantity)} scrap"
    theirs = f"{_amount(one.mes_good_quantity)} good, {_amount(one.mes_scrap_quantity)} scrap"
    return {
        "is_open": one.is_open,
        "system": one.system_id,
        "work_order_id": one.work_order_id,
        "operation": one.operation_sequence,
        "ours": ours if one.HasField("booked_good_quantity") else "nothing",
        "theirs": theirs if one.HasField("mes_good_quantity") else "nothing",
        "causes": [(KINDS.get(cause.kind, "other"), cause.document_id, cause.text) for cause in one.causes],
    }
