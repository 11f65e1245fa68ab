"""What reads in production: SQL to page, no rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from isthmus.production.v1 import production_service_pb2 as messages
from isthmus.production.v1.work_order_pb2 import WorkOrder as WorkOrderMessage
from servicekit import paging
from servicekit.clock import micros
from servicekit.database import Tx
from services.production import confirmation_wire, line_wire, wire
from services.production.domain.confirmation import Confirmation
from services.production.domain.line import Line, hold_reasons
from services.production.domain.work_order import WorkOrder
from services.production.store import COMPONENTS, CONFIRMATIONS, LINES, OPERATIONS, WORK_ORDERS

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


def lines_to_tell(tx: Tx) -> list[Line]:
    return LINES.select(tx, "told < changes ORDER BY plant_id, line_id", ())


def open_orders_of_line(tx: Tx, line: Line, after: str, most: int) -> list[str]:
    rows = tx.rows(
        "SELECT w.work_order_id FROM work_orders w WHERE w.plant_id = ? AND w.work_order_id > ? "
        "AND w.state NOT IN ('cancelled', 'completed', 'declined') AND EXISTS (SELECT 1 FROM operations o "
        "WHERE o.work_order_id = w.work_order_id AND o.work_centre_id = ?) ORDER BY w.work_order_id LIMIT ?",
        (line.plant_id, after, line.line_id, most),
    )
    return [row[0] for row in rows]


def list_lines(tx: Tx, request: messages.ListLinesRequest) -> messages.ListLinesResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = LINES.select(
        tx,
        "plant_id = ? AND (? OR blocks <> '[]') AND line_id > ? ORDER BY line_id LIMIT ?",
        (request.plant_id, not request.only_blocked, after, most),
    )
    last = [found[-1].line_id] if len(found) == most else None
    return messages.ListLinesResponse(
        lines=map(line_wire.line_message, found), next_page_token=paging.token(request, last)
    )


def _holds(tx: Tx, orders: Sequence[WorkOrder]) -> dict[str, list[str]]:
    """By open order why it is held, from the lines as they are now: what was told may be a moment behind."""
    open_ids = {order.work_order_id: order.plant_id for order in orders if not order.is_closed()}
    plants = sorted(set(open_ids.values()))
    marks = ", ".join("?" for _ in plants)
    blocked = LINES.select(tx, f"blocks <> '[]' AND plant_id IN ({marks})", plants) if plants else []
    if not blocked:
        return {}
    needed: dict[str, set[str]] = {}
    wanted = ", ".join("?" for _ in open_ids)
    for operation in OPERATIONS.select(tx, f"work_order_id IN ({wanted})", list(open_ids)):
        needed.setdefault(operation.work_order_id, set()).add(operation.work_centre_id)
    return {
        order_id: hold_reasons(
            line for line in blocked if line.plant_id == plant_id and line.line_id in needed.get(order_id, ())
        )
        for order_id, plant_id in open_ids.items()
    }


def get_work_order(tx: Tx, request: messages.GetWorkOrderRequest) -> messages.GetWorkOrderResponse:
    order = WORK_ORDERS.require(tx, request.work_order_id)
    operations = OPERATIONS.select(tx, "work_order_id = ? ORDER BY sequence", (order.work_order_id,))
    components = COMPONENTS.select(tx, "work_order_id = ? ORDER BY line", (order.work_order_id,))
    said = wire.work_order_message(order, operations, components)
    _show_hold(said, _holds(tx, [order]))
    return messages.GetWorkOrderResponse(work_order=said)


def _show_hold(said: WorkOrderMessage, holds: dict[str, list[str]]) -> None:
    reasons = holds.get(said.work_order_id, [])
    said.is_held = bool(reasons)
    said.hold_reasons[:] = reasons


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
    holds = _holds(tx, orders)
    for one in said:
        _show_hold(one, holds)
    return messages.ListWorkOrdersResponse(work_orders=said, next_page_token=paging.token(request, last))


def list_confirmations(tx: Tx, request: messages.ListConfirmationsRequest) -> messages.ListConfirmationsResponse:
    if not request.work_order_id:
        return _confirmations_of_plant(tx, request)
    most = paging.size(request)
    number, confirmation_id = paging.after(request) or [-1, ""]
    found = CONFIRMATIONS.select(
        tx,
        "work_order_id = ? AND (booking_number, confirmation_id) > (?, ?) "
        "AND (? = '' OR plant_id = ?) ORDER BY booking_number, confirmation_id LIMIT ?",
        (request.work_order_id, number, confirmation_id, request.plant_id, request.plant_id, most),
    )
    last = [found[-1].booking_number, found[-1].confirmation_id] if len(found) == most else None
    return _confirmations(request, found, last)


def _confirmations_of_plant(tx: Tx, request: messages.ListConfirmationsRequest) -> messages.ListConfirmationsResponse:
    most = paging.size(request)
    order_id, number, confirmation_id = paging.after(request) or ["", -1, ""]
    found = CONFIRMATIONS.select(
        tx,
        "(? = '' OR plant_id = ?) AND (work_order_id, booking_number, confirmation_id) > (?, ?, ?) "
        "ORDER BY work_order_id, booking_number, confirmation_id LIMIT ?",
        (request.plant_id, request.plant_id, order_id, number, confirmation_id, most),
    )
    end = found[-1] if len(found) == most else None
    last = [end.work_order_id, end.booking_number, end.confirmation_id] if end is not None else None
    return _confirmations(request, found, last)


def _confirmations(
    request: messages.ListConfirmationsRequest, found: Sequence[Confirmation], last: list[Any] | None
) -> messages.ListConfirmationsResponse:
    said = [confirmation_wire.listed_confirmation_message(confirmation) for confirmation in found]
    return messages.ListConfirmationsResponse(confirmations=said, next_page_token=paging.token(request, last))
