"""What reads in production: SQL to page, no rules."""

from __future__ import annotations

from typing import Any

from isthmus.production.v1 import production_service_pb2 as messages
from servicekit import paging
from servicekit.database import Tx
from services.production import wire
from services.production.store import COMPONENTS, CONFIRMATIONS, OPERATIONS, WORK_ORDERS


def get_work_order(tx: Tx, request: messages.GetWorkOrderRequest) -> messages.GetWorkOrderResponse:
    rows = tx.rows(f"{_select(WORK_ORDERS)} WHERE work_order_id = ?", (request.work_order_id,))
    if not rows:
        assert WORK_ORDERS.missing is not None
        raise WORK_ORDERS.missing(work_order_id=request.work_order_id)
    order = WORK_ORDERS.from_row(rows[0])
    operations = _owned(tx, OPERATIONS, order.work_order_id, "sequence")
    components = _owned(tx, COMPONENTS, order.work_order_id, "line")
    return messages.GetWorkOrderResponse(work_order=wire.work_order_message(order, operations, components))


def list_work_orders(tx: Tx, request: messages.ListWorkOrdersRequest) -> messages.ListWorkOrdersResponse:
    most = paging.size(request)
    release, order_id = paging.after(request) or [2**62, ""]
    states = {number: state.value for state, number in wire.STATES.items()}
    state = states.get(request.state, "")
    rows = tx.rows(
        f"{_select(WORK_ORDERS)} WHERE (? = '' OR plant_id = ?) AND (? = '' OR state = ?) "
        "AND (release_time, work_order_id) < (?, ?) ORDER BY release_time DESC, work_order_id DESC LIMIT ?",
        (request.plant_id, request.plant_id, state, state, release, order_id, most),
    )
    last = [rows[-1].release_time, rows[-1].work_order_id] if len(rows) == most else None
    orders = [wire.work_order_message(WORK_ORDERS.from_row(row)) for row in rows]
    return messages.ListWorkOrdersResponse(work_orders=orders, next_page_token=paging.token(request, last))


def list_confirmations(tx: Tx, request: messages.ListConfirmationsRequest) -> messages.ListConfirmationsResponse:
    most = paging.size(request)
    number, confirmation_id = paging.after(request) or [-1, ""]
    rows = tx.rows(
        f"{_select(CONFIRMATIONS)} WHERE work_order_id = ? AND (booking_number, confirmation_id) > (?, ?) "
        "ORDER BY booking_number, confirmation_id LIMIT ?",
        (request.work_order_id, number, confirmation_id, most),
    )
    last = [rows[-1].booking_number, rows[-1].confirmation_id] if len(rows) == most else None
    found = [wire.confirmation_message(CONFIRMATIONS.from_row(row)) for row in rows]
    return messages.ListConfirmationsResponse(confirmations=found, next_page_token=paging.token(request, last))


def _select(rows: Any) -> str:
    return f"SELECT {', '.join(rows.columns)} FROM {rows.table.name}"


def _owned(tx: Tx, rows: Any, order_id: str, by: str) -> list[Any]:
    found = tx.rows(f"{_select(rows)} WHERE work_order_id = ? ORDER BY {by}", (order_id,))
    return [rows.from_row(row) for row in found]
