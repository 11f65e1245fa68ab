"""What changes something in operations: a fact becomes a timeline entry and moves clocks; a plant's books are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from isthmus.operations.v1 import operations_service_pb2 as messages
from servicekit.facts import EventMeta
from servicekit.rows import Key
from servicekit.use_case import Decision, Fingerprint, Seen, UseCase
from services.operations import order_wire, sla_wire, wire
from services.operations.domain.reconciliation import Desk, Reconciliation, ReconciliationUnderWay, State
from services.operations.domain.sla import Change, SlaClock, Standing, Step, clock_of
from services.operations.domain.timeline import Entry, Number, OrderReference
from services.operations.store import CLOCKS, DESKS, ENTRIES, NUMBERS, ORDERS, RECONCILIATIONS, STANDINGS
from services.operations.telling import Told


@dataclass(frozen=True, slots=True)
class RecordEntry:
    told: Told
    meta: EventMeta
    steps: tuple[Step, ...] = ()  # what the fact is to the clocks of interfaces


def decide_entry(seen: Seen, command: RecordEntry, now: datetime) -> Decision:
    """Add a fact to its order's timeline; the order's references grow with what it says."""
    told, meta = command.told, command.meta
    if seen.get(ENTRIES.key(meta.event_id)) is not None:
        return Decision(moot="told before")
    entry = Entry(
        event_id=meta.event_id,
        work_order_id=told.work_order_id,
        plant_id=meta.plant_id,
        occur_time=meta.occur_time,
        record_time=meta.record_time,
        text=told.text[:1000],
        said_by=f"{meta.business_key.source_system} via {meta.producer_slot}"
        if meta.business_key
        else meta.producer_slot,
        fact_type=meta.fact_type,
        is_late=meta.is_late,
        is_alarm=told.is_alarm,
        is_variance=told.is_variance,
        sequence=meta.producer_sequence,
    )
    known = seen.get(ORDERS.key(told.work_order_id))
    order = known or OrderReference(told.work_order_id, meta.plant_id, "", "")
    trace_id = meta.traceparent.split("-")[1] if meta.traceparent else ""
    order = replace(order, item_id=order.item_id or told.item_id, trace_id=order.trace_id or trace_id)
    new = [
        Number(number, told.work_order_id)
        for number in {told.work_order_id, *told.numbers} - {""}
        if seen.get(NUMBERS.key(number, told.work_order_id)) is None
    ]
    changed: list[object] = [entry, *new, *([order] if order != known else []), *_moved_clocks(seen, command.steps)]
    return Decision(changed=changed, traceparent=meta.traceparent)


def _moved_clocks(seen: Seen, steps: Iterable[Step]) -> Iterator[SlaClock]:
    """A fact is one step of an interface at most, so that none of these is changed twice."""
    for step in steps:
        known = seen.get(CLOCKS.key(step.interface_id, step.plant_id, step.work_id))
        after = (known or clock_of(step)).after(step)
        if after != known:
            yield after


def _loads(command: RecordEntry, seen: Seen) -> list[Key[Any]]:
    order_id = command.told.work_order_id
    numbers = {order_id, *command.told.numbers} - {""}
    return [
        ENTRIES.key(command.meta.event_id),
        ORDERS.key(order_id),
        *(NUMBERS.key(number, order_id) for number in numbers),
        *(CLOCKS.key(step.interface_id, step.plant_id, step.work_id) for step in command.steps),
    ]


record_entry = UseCase(name="record_entry", loads=_loads, decide=decide_entry, is_traced=False)


# --- the time of interfaces


def decide_breach(seen: Seen, command: sla_wire.ChangeStanding, now: datetime) -> Decision:
    """Say that an interface is breached, once until it recovers."""
    standing = seen.get(STANDINGS.key(command.waiting.interface_id, command.waiting.plant_id))
    if standing is not None and standing.is_breached:
        return Decision(moot="said before")
    return _said(command, Change.BREACHED, command.time)


def decide_recovery(seen: Seen, command: sla_wire.ChangeStanding, now: datetime) -> Decision:
    """Say that a breach is over, once."""
    standing = seen.get(STANDINGS.key(command.waiting.interface_id, command.waiting.plant_id))
    if standing is None or not standing.is_breached:
        return Decision(moot="said before")
    return _said(command, Change.RECOVERED, standing.since_time or now)


def _said(command: sla_wire.ChangeStanding, change: Change, breach_time: datetime) -> Decision:
    waiting = command.waiting
    standing = Standing(waiting.interface_id, waiting.plant_id, change is Change.BREACHED, command.time)
    return Decision(changed=[standing], facts=[sla_wire.fact(waiting, change, breach_time, command.time)])


def _standing(command: sla_wire.ChangeStanding, seen: Seen) -> list[Key[Any]]:
    return [STANDINGS.key(command.waiting.interface_id, command.waiting.plant_id)]


# Traced, though of no order: the collector counts spans by name, which is the metric of breaches.
breach_sla = UseCase(name="breach_sla", loads=_standing, decide=decide_breach)
recover_sla = UseCase(name="recover_sla", loads=_standing, decide=decide_recovery)


# --- reconciliation


def decide_reconcile(seen: Seen, command: wire.ReconcilePlant, now: datetime) -> Decision:
    """Begin to compare a plant's books, one comparison at a time."""
    desk = _desk(seen, command.plant_id)
    if desk.running_id:
        raise ReconciliationUnderWay(plant_id=command.plant_id, reconciliation_id=desk.running_id)
    begun = Reconciliation(desk.next_id, command.plant_id, State.RUNNING, now)
    answer = messages.ReconcilePlantResponse(reconciliation=wire.reconciliation_message(begun))
    return Decision(changed=[Desk(desk.plant_id, desk.count + 1, begun.reconciliation_id), begun], answer=answer)


def _desk(seen: Seen, plant_id: str) -> Desk:
    return seen.get(DESKS.key(plant_id)) or Desk(plant_id, 0, "")


reconcile_plant = UseCase(
    name="reconcile_plant",
    loads=lambda c, seen: [DESKS.key(c.plant_id), RECONCILIATIONS.key(_desk(seen, c.plant_id).next_id)],
    decide=decide_reconcile,
    fingerprint=Fingerprint.of("plant_id"),
    answers=messages.ReconcilePlantResponse,
)


def decide_end(seen: Seen, command: wire.EndReconciliation, now: datetime) -> Decision:
    """Keep what a comparison found, and say what needs a person."""
    said = command.reconciliation
    desk = seen.get(DESKS.key(said.plant_id))
    if desk is None or desk.running_id != said.reconciliation_id:
        return Decision(moot="it has ended before")
    told = [wire.told_variance(number, one) for number, one in enumerate(command.variances, start=1)]
    of_orders = [order_wire.told_variance(number, one) for number, one in enumerate(command.order_variances, start=1)]
    free = replace(desk, running_id="")
    return Decision(changed=[free, said, *told, *of_orders], facts=wire.facts(command, now))


end_reconciliation = UseCase(
    name="end_reconciliation",
    loads=lambda c, seen: [
        DESKS.key(c.reconciliation.plant_id),
        RECONCILIATIONS.key(c.reconciliation.reconciliation_id),
    ],
    decide=decide_end,
)
