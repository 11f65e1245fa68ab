"""What reads in inventory."""

from __future__ import annotations

from isthmus.inventory.v1 import inventory_service_pb2 as messages
from servicekit import paging
from servicekit.clock import micros
from servicekit.database import Tx
from services.inventory import wire
from services.inventory.store import SHIPMENTS, STOCKS, TRANSACTIONS


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
    found = TRANSACTIONS.select(
        tx,
        "plant_id = ? AND (? = '' OR work_order_id = ?) AND (? = '' OR lot_id = ?) "
        "AND (record_time, transaction_id) > (?, ?) ORDER BY record_time, transaction_id LIMIT ?",
        (
            request.plant_id,
            request.work_order_id,
            request.work_order_id,
            request.lot_id,
            request.lot_id,
            *after,
            most,
        ),
    )
    last = [micros(found[-1].record_time), found[-1].transaction_id] if len(found) == most else None
    return messages.ListInventoryTransactionsResponse(
        transactions=map(wire.transaction_message, found), next_page_token=paging.token(request, last)
    )
