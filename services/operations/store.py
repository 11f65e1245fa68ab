"""Operations' tables, and how their rows become nouns."""

from __future__ import annotations

from servicekit.clock import instant, micros
from servicekit.rows import Rows, table
from servicekit.use_case import Store
from services.operations.domain.order_comparison import ToldOrderVariance
from services.operations.domain.reconciliation import Desk, Reconciliation, ReconciliationMissing, State, ToldVariance
from services.operations.domain.sla import SlaClock, Standing
from services.operations.domain.timeline import Entry, Number, OrderMissing, OrderReference

ORDERS = Rows(
    table("order_references", "work_order_id plant_id item_id trace_id"),
    OrderReference,
    key=("work_order_id",),
    from_row=lambda r: OrderReference(r.work_order_id, r.plant_id, r.item_id, r.trace_id),
    to_row=lambda o: {
        "work_order_id": o.work_order_id,
        "plant_id": o.plant_id,
        "item_id": o.item_id,
        "trace_id": o.trace_id,
    },
    missing=OrderMissing,
)

NUMBERS = Rows(
    table("order_numbers", "number work_order_id"),
    Number,
    key=("number", "work_order_id"),
    from_row=lambda r: Number(r.number, r.work_order_id),
    to_row=lambda n: {"number": n.number, "work_order_id": n.work_order_id},
)

ENTRIES = Rows(
    table(
        "timeline_entries",
        "event_id work_order_id plant_id text said_by fact_type",
        "occur_time record_time sequence",
        flags="is_late is_alarm is_variance",
    ),
    Entry,
    key=("event_id",),
    from_row=lambda r: Entry(
        event_id=r.event_id,
        work_order_id=r.work_order_id,
        plant_id=r.plant_id,
        occur_time=instant(r.occur_time),
        record_time=instant(r.record_time),
        text=r.text,
        said_by=r.said_by,
        fact_type=r.fact_type,
        is_late=bool(r.is_late),
        is_alarm=bool(r.is_alarm),
        is_variance=bool(r.is_variance),
        sequence=r.sequence,
    ),
    to_row=lambda e: {
        "event_id": e.event_id,
        "work_order_id": e.work_order_id,
        "plant_id": e.plant_id,
        "occur_time": micros(e.occur_time),
        "record_time": micros(e.record_time),
        "text": e.text,
        "said_by": e.said_by,
        "fact_type": e.fact_type,
        "is_late": e.is_late,
        "is_alarm": e.is_alarm,
        "is_variance": e.is_variance,
        "sequence": e.sequence,
    },
)

DESKS = Rows(
    table("reconciliation_desks", "plant_id running_id", "count"),
    Desk,
    key=("plant_id",),
    from_row=lambda r: Desk(r.plant_id, r.count, r.running_id),
    to_row=lambda d: {"plant_id": d.plant_id, "count": d.count, "running_id": d.running_id},
)

RECONCILIATIONS = Rows(
    table(
        "reconciliations",
        "reconciliation_id plant_id state read_books failure_text",
        "start_time end_time compared open_variances explained_variances",
    ),
    Reconciliation,
    key=("reconciliation_id",),
    from_row=lambda r: Reconciliation(
        reconciliation_id=r.reconciliation_id,
        plant_id=r.plant_id,
        state=State(r.state),
        start_time=instant(r.start_time),
        end_time=instant(r.end_time) if r.end_time else None,
        read_books=r.read_books,
        compared=r.compared,
        open_variances=r.open_variances,
        explained_variances=r.explained_variances,
        failure_text=r.failure_text,
    ),
    to_row=lambda r: {
        "reconciliation_id": r.reconciliation_id,
        "plant_id": r.plant_id,
        "state": r.state.value,
        "start_time": micros(r.start_time),
        "end_time": micros(r.end_time) if r.end_time else 0,
        "read_books": r.read_books,
        "compared": r.compared,
        "open_variances": r.open_variances,
        "explained_variances": r.explained_variances,
        "failure_text": r.failure_text,
    },
    missing=ReconciliationMissing,
)

VARIANCES = Rows(
    table("stock_variances", "reconciliation_id content", "number"),
    ToldVariance,
    key=("reconciliation_id", "number"),
    from_row=lambda r: ToldVariance(r.reconciliation_id, r.number, r.content),
    to_row=lambda v: {"reconciliation_id": v.reconciliation_id, "number": v.number, "content": v.content},
    insert_only=True,
)

ORDER_VARIANCES = Rows(
    table("order_variances", "reconciliation_id content", "number"),
    ToldOrderVariance,
    key=("reconciliation_id", "number"),
    from_row=lambda r: ToldOrderVariance(r.reconciliation_id, r.number, r.content),
    to_row=lambda v: {"reconciliation_id": v.reconciliation_id, "number": v.number, "content": v.content},
    insert_only=True,
)

CLOCKS = Rows(
    table("sla_clocks", "interface_id plant_id work_id work_order_id", "open_time close_time", flags="is_reached"),
    SlaClock,
    key=("interface_id", "plant_id", "work_id"),
    from_row=lambda r: SlaClock(
        interface_id=r.interface_id,
        plant_id=r.plant_id,
        work_id=r.work_id,
        work_order_id=r.work_order_id,
        open_time=instant(r.open_time) if r.open_time else None,
        close_time=instant(r.close_time) if r.close_time else None,
        is_reached=bool(r.is_reached),
    ),
    to_row=lambda c: {
        "interface_id": c.interface_id,
        "plant_id": c.plant_id,
        "work_id": c.work_id,
        "work_order_id": c.work_order_id,
        "open_time": micros(c.open_time) if c.open_time else 0,
        "close_time": micros(c.close_time) if c.close_time else 0,
        "is_reached": c.is_reached,
    },
)

STANDINGS = Rows(
    table("sla_standings", "interface_id plant_id", "since_time", flags="is_breached"),
    Standing,
    key=("interface_id", "plant_id"),
    from_row=lambda r: Standing(
        r.interface_id, r.plant_id, bool(r.is_breached), instant(r.since_time) if r.since_time else None
    ),
    to_row=lambda s: {
        "interface_id": s.interface_id,
        "plant_id": s.plant_id,
        "is_breached": s.is_breached,
        "since_time": micros(s.since_time) if s.since_time else 0,
    },
)

STORE = Store(
    "operations",
    (ORDERS, NUMBERS, ENTRIES, DESKS, RECONCILIATIONS, VARIANCES, ORDER_VARIANCES, CLOCKS, STANDINGS),
)
