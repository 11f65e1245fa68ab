"""What reads in operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from isthmus.operations.v1 import operations_service_pb2 as messages
from servicekit import clock, paging
from servicekit.clock import micros
from servicekit.database import Tx
from servicekit.wire import timestamp
from services.operations import order_wire, sla_queries, wire
from services.operations.domain.timeline import Entry, OrderReference
from services.operations.interfaces import Interface
from services.operations.store import ENTRIES, NUMBERS, ORDER_VARIANCES, ORDERS, RECONCILIATIONS, VARIANCES

ENTRIES_MOST = 2000


def find_orders(tx: Tx, request: messages.FindOrdersRequest) -> messages.FindOrdersResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = NUMBERS.select(
        tx, "number = ? AND work_order_id > ? ORDER BY work_order_id LIMIT ?", (request.number, after, most)
    )
    orders = [_reference(tx, ORDERS.require(tx, number.work_order_id)) for number in found]
    last = [found[-1].work_order_id] if len(found) == most else None
    return messages.FindOrdersResponse(orders=orders, next_page_token=paging.token(request, last))


def _reference(tx: Tx, order: OrderReference) -> messages.OrderReference:
    numbers = NUMBERS.select(tx, "work_order_id = ? ORDER BY number", (order.work_order_id,))
    return messages.OrderReference(
        work_order_id=order.work_order_id,
        plant_id=order.plant_id,
        item_id=order.item_id,
        trace_id=order.trace_id,
        numbers=[number.number for number in numbers],
    )


def get_timeline(
    tx: Tx, request: messages.GetTimelineRequest, interfaces: Mapping[str, Interface]
) -> messages.GetTimelineResponse:
    order = ORDERS.require(tx, request.work_order_id)
    entries = ENTRIES.select(
        tx, "work_order_id = ? ORDER BY record_time, sequence, event_id LIMIT ?", (order.work_order_id, ENTRIES_MOST)
    )
    missing = sla_queries.missing_steps(tx, order.work_order_id, interfaces, clock.now())
    response = messages.GetTimelineResponse(order=_reference(tx, order), missing_steps=missing)
    before: Entry | None = None
    for entry in entries:
        said = response.entries.add(
            occur_time=timestamp(entry.occur_time),
            record_time=timestamp(entry.record_time),
            text=entry.text,
            said_by=entry.said_by,
            fact_type=entry.fact_type,
            event_id=entry.event_id,
            is_late=entry.is_late,
            is_alarm=entry.is_alarm,
            producer_slot=entry.said_by.rsplit(" via ", 1)[-1],
            producer_sequence=entry.sequence,
        )
        said.since_previous.FromTimedelta(entry.record_time - before.record_time if before else timedelta())
        before = entry
    return response


def list_spans(tx: Tx, request: messages.ListSpansRequest) -> messages.ListSpansResponse:
    most = paging.size(request, default=1000, most=5000)
    start, span_id = paging.after(request) or [0, ""]
    rows = tx.rows(
        "SELECT span_id, parent_span_id, service_name, name, start_ns, end_ns, is_error FROM spans "
        "WHERE trace_id = ? AND (start_ns, span_id) > (?, ?) ORDER BY start_ns, span_id LIMIT ?",
        (request.trace_id, start, span_id, most),
    )
    response = messages.ListSpansResponse()
    for row in rows:
        response.spans.add(
            trace_id=request.trace_id,
            span_id=row.span_id,
            parent_span_id=row.parent_span_id,
            service_name=row.service_name,
            name=row.name,
            start_time=timestamp(clock.instant(row.start_ns // 1000)),
            end_time=timestamp(clock.instant(row.end_ns // 1000)),
            is_error=bool(row.is_error),
        )
    last = [rows[-1].start_ns, rows[-1].span_id] if len(rows) == most else None
    response.next_page_token = paging.token(request, last)
    return response


def list_variances(tx: Tx, request: messages.ListVariancesRequest) -> messages.ListVariancesResponse:
    most = paging.size(request)
    found_time, event_id = paging.after(request) or [2**62, ""]
    found = ENTRIES.select(
        tx,
        "is_variance = ? AND (? = '' OR plant_id = ?) AND (record_time, event_id) < (?, ?) "
        "ORDER BY record_time DESC, event_id DESC LIMIT ?",
        (True, request.plant_id, request.plant_id, found_time, event_id, most),
    )
    variances = [
        messages.Variance(
            plant_id=entry.plant_id,
            work_order_id=entry.work_order_id,
            text=entry.text,
            found_time=timestamp(entry.record_time),
        )
        for entry in found
    ]
    last = [micros(found[-1].record_time), found[-1].event_id] if len(found) == most else None
    return messages.ListVariancesResponse(variances=variances, next_page_token=paging.token(request, last))


def get_reconciliation(tx: Tx, request: messages.GetReconciliationRequest) -> messages.GetReconciliationResponse:
    found = RECONCILIATIONS.require(tx, request.reconciliation_id)
    return messages.GetReconciliationResponse(reconciliation=wire.reconciliation_message(found))


def list_reconciliations(tx: Tx, request: messages.ListReconciliationsRequest) -> messages.ListReconciliationsResponse:
    most = paging.size(request)
    start, number = paging.after(request) or [2**62, ""]
    found = RECONCILIATIONS.select(
        tx,
        "plant_id = ? AND (start_time, reconciliation_id) < (?, ?) ORDER BY start_time DESC, reconciliation_id DESC LIMIT ?",
        (request.plant_id, start, number, most),
    )
    last = [micros(found[-1].start_time), found[-1].reconciliation_id] if len(found) == most else None
    said = [wire.reconciliation_message(one) for one in found]
    return messages.ListReconciliationsResponse(reconciliations=said, next_page_token=paging.token(request, last))


def list_stock_variances(tx: Tx, request: messages.ListStockVariancesRequest) -> messages.ListStockVariancesResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [0]
    found = VARIANCES.select(
        tx,
        "reconciliation_id = ? AND number > ? ORDER BY number LIMIT ?",
        (request.reconciliation_id, after, most),
    )
    last = [found[-1].number] if len(found) == most else None
    said = [wire.variance_of(one) for one in found]
    return messages.ListStockVariancesResponse(stock_variances=said, next_page_token=paging.token(request, last))


def list_order_variances(tx: Tx, request: messages.ListOrderVariancesRequest) -> messages.ListOrderVariancesResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [0]
    found = ORDER_VARIANCES.select(
        tx,
        "reconciliation_id = ? AND number > ? ORDER BY number LIMIT ?",
        (request.reconciliation_id, after, most),
    )
    last = [found[-1].number] if len(found) == most else None
    said = [order_wire.variance_of(one) for one in found]
    return messages.ListOrderVariancesResponse(order_variances=said, next_page_token=paging.token(request, last))
