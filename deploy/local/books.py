"""`isthmus reconcile`: begins a comparison of a plant's books, waits for it, and shows what differs and why."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import typer
from google.protobuf import json_format
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.local.calls import DEADLINE, pages, stub
from deploy.local.output import console, show
from isthmus.operations.v1 import operations_service_pb2 as messages
from isthmus.operations.v1 import reconciliation_pb2
from servicekit import clock
from servicekit.domain import BusinessKey
from servicekit.facts import key_message

PATIENCE = 300.0
POLL_SECONDS = 0.5


def reconcile(ports: Mapping[str, int], plant: str, *, as_json: bool) -> int:
    """0: the books agree, or what differs will go away by itself; 1: a person is needed, or books could not be read."""
    with stub(ports, "operations") as operations:
        key = BusinessKey("desk", "reconciliation", clock.new_id())
        request = messages.ReconcilePlantRequest(business_key=key_message(key), plant_id=plant)
        begun = operations.ReconcilePlant(request, timeout=DEADLINE).reconciliation
        ended = _wait(operations, begun.reconciliation_id, is_shown=not as_json)
        wanted = messages.ListStockVariancesRequest(reconciliation_id=ended.reconciliation_id)
        variances = list(pages(operations.ListStockVariances, wanted, "stock_variances"))
        of_orders = messages.ListOrderVariancesRequest(reconciliation_id=ended.reconciliation_id)
        orders = list(pages(operations.ListOrderVariances, of_orders, "order_variances"))
    if as_json:
        told = {"variances": [json_format.MessageToDict(variance) for variance in variances]}
        told["order_variances"] = [json_format.MessageToDict(variance) for variance in orders]
        typer.echo(json.dumps({"reconciliation": json_format.MessageToDict(ended), **told}, indent=1))
    else:
        rows = [row for variance in variances for row in _rows(variance)]
        rows += [row for variance in orders for row in order_rows(variance)]
        show(rows or [{"plant": plant, "result": "the books agree"}], ended.reconciliation_id, as_json)
        console.print(_summary(ended))
    is_clean = ended.state == reconciliation_pb2.RECONCILIATION_STATE_COMPLETED and not ended.open_variance_count
    return 0 if is_clean else 1


def _wait(operations: Any, reconciliation_id: str, *, is_shown: bool) -> reconciliation_pb2.Reconciliation:
    request = messages.GetReconciliationRequest(reconciliation_id=reconciliation_id)
    deadline = time.monotonic() + PATIENCE
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not is_shown) as progress:
        progress.add_task(f"comparing books, {reconciliation_id}", total=None)
        while True:
            found: reconciliation_pb2.Reconciliation
            found = operations.GetReconciliation(request, timeout=DEADLINE).reconciliation
            if found.state != reconciliation_pb2.RECONCILIATION_STATE_RUNNING:
                return found
            if time.monotonic() > deadline:
                raise SystemExit(f"{reconciliation_id} still runs; look again later: isthmus logs operations")
            time.sleep(POLL_SECONDS)


def _summary(ended: reconciliation_pb2.Reconciliation) -> str:
    if ended.state == reconciliation_pb2.RECONCILIATION_STATE_FAILED:
        return f"Not compared: {ended.failure_text}"
    books = ", ".join(f"{book.system_id} {book.line_count} lines" for book in ended.read_books)
    told = f"{ended.open_variance_count} need a person, {ended.explained_variance_count} are explained"
    return f"{ended.compared_count} lots and operations compared ({books}); {told}"


def _rows(variance: reconciliation_pb2.StockVariance) -> list[dict[str, Any]]:
    """A row a cause, and one for what nothing explains."""
    lot = f"{variance.item_id}/{variance.lot_id}" if variance.lot_id else variance.item_id
    known = {"system": variance.system_id, "lot": lot}
    known |= {"ledger": _amount(variance.ledger_quantity), "there": _amount(variance.partner_quantity)}
    rows = [
        {
            **known,
            "document": cause.document_id,
            "cause": _kind(cause),
            "text": cause.text,
        }
        for cause in variance.causes
    ]
    if variance.unexplained_quantity.value not in ("", "0"):
        text = f"{_amount(variance.unexplained_quantity)} that no transaction explains"
        rows.append({**known, "document": "", "cause": "unexplained", "text": text})
    return rows


def order_rows(variance: reconciliation_pb2.OrderVariance) -> list[dict[str, Any]]:
    """A row a report: what production booked of it, and what the MES says."""
    return [
        {
            "system": variance.system_id,
            "lot": f"{variance.work_order_id} operation {variance.operation_sequence}",
            "ledger": _done(cause, "booked"),
            "there": _done(cause, "mes"),
            "document": cause.document_id,
            "cause": _kind(cause),
            "text": cause.text,
        }
        for cause in variance.causes
    ]


def _done(cause: reconciliation_pb2.OrderVarianceCause, side: str) -> str:
    good, scrap = getattr(cause, f"{side}_good_quantity"), getattr(cause, f"{side}_scrap_quantity")
    if not cause.HasField(f"{side}_good_quantity"):  # type: ignore[arg-type]
        return "-"
    return f"{_amount(good)} good, {scrap.value} scrap"


def _kind(cause: reconciliation_pb2.VarianceCause | reconciliation_pb2.OrderVarianceCause) -> str:
    return reconciliation_pb2.CauseKind.Name(cause.kind).removeprefix("CAUSE_KIND_").lower()


def _amount(quantity: Any) -> str:
    return f"{quantity.value} {quantity.unit_code}"
