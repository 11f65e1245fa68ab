"""A lot: where it is, what holds it, what went into it and what it went into, and who got it; all from the ledger."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import grpc
from starlette.requests import Request

from isthmus.inventory.v1 import inventory_service_pb2 as messages
from isthmus.inventory.v1 import inventory_transaction_pb2 as ledger
from services.operations.console.asked import DEADLINE, Asked, rows
from services.operations.console.words import Refused, Shown, at
from services.operations.telling import UNITS, amount

LINES_MOST = 5000  # of a lot, or of an order
DEPTH_MOST, LOTS_MOST = 6, 200  # of the tree each way
SHIPMENT = "shipment/"
MOVEMENTS = {
    ledger.MOVEMENT_TYPE_OPENING_BALANCE: "was there when the ledger began",
    ledger.MOVEMENT_TYPE_CONSUMPTION: "went into an order",
    ledger.MOVEMENT_TYPE_OUTPUT: "came out of an order",
    ledger.MOVEMENT_TYPE_SCRAP: "lost at an order",
    ledger.MOVEMENT_TYPE_TRANSFER: "from one place to another",
    ledger.MOVEMENT_TYPE_SHIPMENT: "left for a customer",
    ledger.MOVEMENT_TYPE_ADJUSTMENT: "set right by a person",
}


@dataclass(slots=True)
class Branch:
    """A lot in the tree, and by which order it hangs on the one above. `lot_id` is empty for items without lots."""

    item_id: str
    lot_id: str
    work_order_id: str
    amount: str
    branches: list[Branch] = field(default_factory=list)
    is_cut: bool = False  # there may be more than is shown


async def search(asked: Asked, request: Request) -> Shown:
    """Which plants know a lot."""
    lot_id = request.query_params.get("lot", "").strip()[:64]
    plants = [plant for plant in asked.plants if lot_id and await _lines(asked, plant, lot_id=lot_id, most=1)]
    return "lots.html", {"lot": lot_id, "plants": plants}


async def page(asked: Asked, request: Request) -> Shown:
    """One lot of a plant."""
    plant, lot_id = request.path_params["plant_id"], request.path_params["lot_id"]
    lines = await _lines(asked, plant, lot_id=lot_id)
    if not lines:
        raise Refused("LOT_UNKNOWN", f"The ledger of {plant} has no line of a lot {lot_id}.", 404)
    holds = messages.ListHoldsRequest(plant_id=plant, lot_id=lot_id, with_released=True)
    shown = {
        "plant_id": plant,
        "lot_id": lot_id,
        "items": sorted({line.item_id for line in lines}),
        "places": _sums(lines, lambda line: line.location_id),
        "holds": [_hold(one) async for one in rows(asked.inventory.ListHolds, holds, "holds")],
        "came_from": await _tree(asked, plant, lines, ledger.MOVEMENT_TYPE_OUTPUT),
        "went_into": await _tree(asked, plant, lines, ledger.MOVEMENT_TYPE_CONSUMPTION),
        "shipments": await _shipments(asked, lines),
        "lines": [_line(line) for line in lines],
        "live": (plant,),
    }
    return "lot.html", shown


async def _lines(
    asked: Asked, plant: str, *, lot_id: str = "", order_id: str = "", most: int = LINES_MOST
) -> list[Any]:
    if asked.inventory is None:
        raise Refused("INVENTORY_UNKNOWN", "OPERATIONS_DESKS names no inventory: there is no ledger to ask.", 503)
    wanted = messages.ListInventoryTransactionsRequest(
        plant_id=plant, lot_id=lot_id, work_order_id=order_id, page_size=min(500, most)
    )
    return [one async for one in rows(asked.inventory.ListInventoryTransactions, wanted, "transactions", most)]


async def made_lots(asked: Asked, plant: str, order_id: str) -> list[str]:
    """Lots that came out of an order; none where the ledger does not answer, for the order's own page must."""
    try:
        lines = await _lines(asked, plant, order_id=order_id)
    except grpc.aio.AioRpcError:
        return []
    return sorted({line.lot_id for line in lines if line.movement_type == ledger.MOVEMENT_TYPE_OUTPUT} - {""})


def _sums(lines: Iterable[Any], by: Any) -> dict[Any, str]:
    """Amount with its unit by something of a line, where it is not nothing."""
    sums: dict[Any, Decimal] = defaultdict(Decimal)
    units: dict[Any, str] = {}
    for line in lines:
        sums[by(line)] += Decimal(line.quantity.value)
        units[by(line)] = line.quantity.unit_code
    found = ((key, total.normalize()) for key, total in sorted(sums.items()) if total)
    return {key: f"{total:f} {UNITS.get(units[key], units[key])}" for key, total in found}


async def _tree(asked: Asked, plant: str, lines: list[Any], ours: int) -> list[Branch]:
    """Lots on the other side of the orders that this one came out of (`ours` OUTPUT), or went into (CONSUMPTION)."""
    theirs = ledger.MOVEMENT_TYPE_CONSUMPTION if ours == ledger.MOVEMENT_TYPE_OUTPUT else ledger.MOVEMENT_TYPE_OUTPUT
    seen: set[tuple[str, str]] = {(line.item_id, line.lot_id) for line in lines}

    async def grown(lines: list[Any], depth: int) -> list[Branch]:
        found: list[Branch] = []
        for order_id in _sums((line for line in lines if line.movement_type == ours), lambda line: line.work_order_id):
            of_order = await _lines(asked, plant, order_id=order_id)
            others = (line for line in of_order if line.movement_type == theirs)
            for (item_id, lot_id), used in _sums(others, lambda line: (line.item_id, line.lot_id)).items():
                branch = Branch(item_id, lot_id, order_id, used.lstrip("-"))
                found.append(branch)
                if not lot_id or (item_id, lot_id) in seen:
                    continue
                seen.add((item_id, lot_id))
                if depth >= DEPTH_MOST or len(seen) > LOTS_MOST:
                    branch.is_cut = True
                else:
                    branch.branches = await grown(await _lines(asked, plant, lot_id=lot_id), depth + 1)
        return found

    return await grown(lines, 1)


async def _shipments(asked: Asked, lines: list[Any]) -> list[dict[str, Any]]:
    shipped = [line for line in lines if line.movement_type == ledger.MOVEMENT_TYPE_SHIPMENT]
    amounts = _sums(shipped, lambda line: line.document_id.removeprefix(SHIPMENT))
    return await asyncio.gather(*(_shipment(asked, one, left.lstrip("-")) for one, left in amounts.items()))


async def _shipment(asked: Asked, shipment_id: str, left: str) -> dict[str, Any]:
    shown = {"shipment_id": shipment_id, "amount": left, "customer": "", "delivery": ""}
    try:
        wanted = messages.GetShipmentRequest(shipment_id=shipment_id)
        found = (await asked.inventory.GetShipment(wanted, timeout=DEADLINE)).shipment
    except grpc.aio.AioRpcError:  # the ledger knows that it left, even where the delivery is no longer known
        return shown
    return {**shown, "customer": found.customer_name, "delivery": found.erp_delivery_number}


def _hold(one: Any) -> dict[str, Any]:
    return {
        "reason": one.hold_reason,
        "hold_time": at(one.hold_time),
        "release_time": at(one.release_time),
        "release_reason": one.release_reason,
    }


def _line(line: Any) -> dict[str, Any]:
    return {
        "record_time": at(line.record_time),
        "what": MOVEMENTS.get(line.movement_type, "moved"),
        "amount": amount(line.quantity),
        "location": line.location_id,
        "work_order_id": line.work_order_id,
        "document_id": line.document_id,
        "reason": line.reason_code,
    }
