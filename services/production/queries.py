"""What reads in production: SQL to page, no rules."""

from __future__ import annotations

from datetime import datetime, timedelta

from isthmus.production.v1 import production_service_pb2 as messages
from servicekit import paging
from servicekit.clock import micros
from servicekit.database import Tx
from services.production import wire
from services.production.store import COMPONENTS, CONFIRMATIONS, OPERATIONS, WORK_ORDERS

SETTLE_SECONDS = 5.0  # counters and confirmations of one piece come by different ways


def orders_to_compare(tx: Tx, now: datetime, most: int = 50) -> list[str]:
    """Completed orders whose line and MES differ from what was told of them, once both have been silent for a while."""
    before = micros(now - timedelta(seconds=SETTLE_SECONDS))
    rows = tx.rows(
        "SELECT DISTINCT o.work_order_id FROM operations o JOIN work_orders w ON w.work_order_id = o.work_order_id "
        "WHERE w.state = 'completed' AND o.is_counted = ? AND o.change_time < ? AND "
        "((o.counted_good = o.good AND o.counted_scrap = o.scrap) <> (o.variance_told = '')) LIMIT ?",
        (True, before, most),
    )
    return [row[0] for row in rows]


def get_work_order(tx: Tx, request: messages.GetWorkOrderRequest) -> messages.GetWorkOrderResponse:
    order = WORK_ORDERS.require(tx, request.work_order_id)
    operations = OPERATIONS.select(tx, "work_order_id = ? ORDER BY sequence", (order.work_order_id,))
    components = COMPONENTS.select(tx, "work_order_id = ? ORDER BY line", (order.work_order_id,))
    return messages.GetWorkOrderResponse(work_order=wire.work_order_message(order, operations, components))


def list_work_orders(tx: Tx, request: messages.ListWorkOrdersRequest) -> messages.ListWorkOrdersResponse:
    most = paging.size(request)
    release, order_id = paging.after(request) or [2**62, ""]
    states = {number: state.value for state, number in wire.STATES.items()}
    state = states.get(request.state, "")
    orders = WORK_ORDERS.select(
        tx,
        "(? = '' OR plant_id = ?) AND (? = '' OR state = ?) AND (release_time, work_order_id) < (?, ?) "
        "ORDER BY release_time DESC, work_order_id DESC LIMIT ?",
        (request.plant_id, request.plant_id, state, state, release, order_id, most),
    )
    last = [micros(orders[-1].release_time), orders[-1].work_order_id] if len(orders) == most else None
    said = [wire.work_order_message(order) for order in orders]
    return messages.ListWorkOrdersResponse(work_orders=said, next_page_token=paging.token(request, last))


def list_confirmations(tx: Tx, request: messages.ListConfirmationsRequest) -> messages.ListConfirmationsResponse:
    most = paging.size(request)
    number, confirmation_id = paging.after(request) or [-1, ""]
    found = CONFIRMATIONS.select(
        tx,
        "work_order_id = ? AND (booking_number, confirmation_id) > (?, ?) "
        "ORDER BY booking_number, confirmation_id LIMIT ?",
        (request.work_order_id, number, confirmation_id, most),
    )
    last = [found[-1].booking_number, found[-1].confirmation_id] if len(found) == most else None
    said = [wire.confirmation_message(confirmation) for confirmation in found]
    return messages.ListConfirmationsResponse(confirmations=said, next_page_token=paging.token(request, last))
