"""What reads in inventory."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from isthmus.inventory.v1 import inventory_service_pb2 as messages
from servicekit import clock, paging
from servicekit.clock import micros
from servicekit.database import Tx
from servicekit.domain import Quantity
from servicekit.rows import unscaled
from services.inventory import hold_wire, stock_wire, wire
from services.inventory.domain.allocation import AllocationMark, FreeLot, allocate
from services.inventory.domain.availability import Availability
from services.inventory.domain.ledger import OUTPUT, STORAGE, WAREHOUSE
from services.inventory.store import ALLOCATIONS, AVAILABILITIES, HOLDS, LOTS, SHIPMENTS, STOCKS, TRANSACTIONS


def get_shipment(tx: Tx, request: messages.GetShipmentRequest) -> messages.GetShipmentResponse:
    return messages.GetShipmentResponse(shipment=wire.shipment_message(SHIPMENTS.require(tx, request.shipment_id)))


def list_stock(tx: Tx, request: messages.ListStockRequest) -> messages.ListStockResponse:
    most = paging.size(request)
    after = paging.after(request) or ["", "", ""]
    found = STOCKS.select(
        tx,
        "plant_id = ? AND (? = '' OR item_id = ?) AND (item_id, lot_id, location_id) > (?, ?, ?) "
        "ORDER BY item_id, lot_id, location_id LIMIT ?",
        (request.plant_id, request.item_id, request.item_id, *after, most),
    )
    last = list(found[-1].key[1:]) if len(found) == most else None
    return messages.ListStockResponse(
        stocks=map(wire.stock_message, found), next_page_token=paging.token(request, last)
    )


def list_inventory_transactions(
    tx: Tx, request: messages.ListInventoryTransactionsRequest
) -> messages.ListInventoryTransactionsResponse:
    most = paging.size(request)
    after = paging.after(request) or [0, ""]
    asked = {"plant_id": request.plant_id, "work_order_id": request.work_order_id, "lot_id": request.lot_id}
    wanted = {name: value for name, value in asked.items() if value}  # only these, so that an index serves them
    found = TRANSACTIONS.select(
        tx,
        "".join(f"{name} = ? AND " for name in wanted)
        + "(record_time, transaction_id) > (?, ?) ORDER BY record_time, transaction_id LIMIT ?",
        (*wanted.values(), *after, most),
    )
    last = [micros(found[-1].record_time), found[-1].transaction_id] if len(found) == most else None
    return messages.ListInventoryTransactionsResponse(
        transactions=map(wire.transaction_message, found), next_page_token=paging.token(request, last)
    )


def list_holds(tx: Tx, request: messages.ListHoldsRequest) -> messages.ListHoldsResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = HOLDS.select(
        tx,
        "plant_id = ? AND (? = '' OR lot_id = ?) AND (? OR release_time IS NULL) AND hold_id > ? ORDER BY hold_id LIMIT ?",
        (request.plant_id, request.lot_id, request.lot_id, request.with_released, after, most),
    )
    last = [found[-1].hold_id] if len(found) == most else None
    return messages.ListHoldsResponse(
        holds=map(hold_wire.hold_message, found), next_page_token=paging.token(request, last)
    )


def list_allocations(tx: Tx, request: messages.ListAllocationsRequest) -> messages.ListAllocationsResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = ALLOCATIONS.select(
        tx, "plant_id = ? AND shipment_id > ? ORDER BY shipment_id LIMIT ?", (request.plant_id, after, most)
    )
    last = [found[-1].shipment_id] if len(found) == most else None
    return messages.ListAllocationsResponse(
        allocations=map(hold_wire.allocation_message, found), next_page_token=paging.token(request, last)
    )


def reallocation(tx: Tx, mark: AllocationMark) -> hold_wire.Reallocate:
    """What the plant's open deliveries get, from what stands in this snapshot."""
    plant_id = mark.plant_id
    shipments = SHIPMENTS.select(tx, "plant_id = ? AND state = 'advised'", (plant_id,))
    items = sorted({line.item_id for shipment in shipments for line in shipment.lines})
    free = [lot for item_id in items for lot in _free_lots(tx, plant_id, item_id)]
    before = ALLOCATIONS.select(tx, "plant_id = ?", (plant_id,))
    return hold_wire.Reallocate(plant_id, mark.changes, tuple(allocate(plant_id, shipments, free)), tuple(before))


def _free_lots(tx: Tx, plant_id: str, item_id: str) -> list[FreeLot]:
    """What the warehouse has of an item, without lots that are held."""
    of_item = (plant_id, item_id)
    held = {hold.lot_id for hold in HOLDS.select(tx, "plant_id = ? AND item_id = ? AND release_time IS NULL", of_item)}
    here = "plant_id = ? AND item_id = ? AND location_id = ? AND quantity > 0"
    stocks = STOCKS.select(tx, here, (*of_item, WAREHOUSE))
    lots = LOTS.select(
        tx,
        f"plant_id = ? AND item_id = ? AND lot_id IN (SELECT lot_id FROM stocks WHERE {here})",
        (*of_item, *of_item, WAREHOUSE),
    )
    since = {lot.lot_id: lot.make_time for lot in lots}
    return [
        FreeLot(item_id, stock.lot_id, stock.quantity, since.get(stock.lot_id, clock.instant(0)))
        for stock in stocks
        if stock.lot_id not in held
    ]


USABLE = (STORAGE, OUTPUT, WAREHOUSE)


def differing_availabilities(tx: Tx, plant_id: str) -> list[Availability]:
    """How much of a plant's items can be used, where it is another than was said last; an item that is gone is of nothing."""
    said = {one.item_id: one for one in AVAILABILITIES.select(tx, "plant_id = ?", (plant_id,))}
    found = {one.item_id: one for one in _availabilities(tx, plant_id)}
    for item_id in said.keys() - found.keys():
        zero = said[item_id].on_hand.zero()
        found[item_id] = Availability(plant_id, item_id, zero, zero, zero)
    return [
        found[item_id] for item_id in sorted(found) if found[item_id].said_over(said.get(item_id)) != said.get(item_id)
    ]


def _availabilities(tx: Tx, plant_id: str) -> list[Availability]:
    allocated: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for allocation in ALLOCATIONS.select(tx, "plant_id = ?", (plant_id,)):
        for lot in allocation.allocated_lots:
            allocated[lot.item_id, lot.quantity.unit_code] += lot.quantity.value
    rows = tx.rows(
        "SELECT s.item_id, s.unit_code, SUM(s.quantity) AS on_hand, SUM(CASE WHEN EXISTS (SELECT 1 FROM holds h WHERE "
        "h.plant_id = s.plant_id AND h.item_id = s.item_id AND h.lot_id = s.lot_id AND h.release_time IS NULL) "
        "THEN s.quantity ELSE 0 END) AS held FROM stocks s WHERE s.plant_id = ? AND s.location_id IN (?, ?, ?) "
        "GROUP BY s.item_id, s.unit_code ORDER BY s.item_id, s.unit_code",
        (plant_id, *USABLE),
    )
    return [
        Availability(
            plant_id,
            row.item_id,
            Quantity(unscaled(int(row.on_hand)), row.unit_code),
            Quantity(unscaled(int(row.held)), row.unit_code),
            Quantity(allocated[row.item_id, row.unit_code], row.unit_code),
        )
        for row in rows
    ]


def list_material_availabilities(
    tx: Tx, request: messages.ListMaterialAvailabilitiesRequest
) -> messages.ListMaterialAvailabilitiesResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = AVAILABILITIES.select(
        tx,
        "plant_id = ? AND (? = '' OR item_id = ?) AND item_id > ? ORDER BY item_id LIMIT ?",
        (request.plant_id, request.item_id, request.item_id, after, most),
    )
    last = [found[-1].item_id] if len(found) == most else None
    return messages.ListMaterialAvailabilitiesResponse(
        material_availabilities=map(stock_wire.availability_message, found), next_page_token=paging.token(request, last)
    )
