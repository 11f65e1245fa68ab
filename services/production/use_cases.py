"""What changes something in production: per verb what to load, and a pure decision. The kit saves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from isthmus.production.v1 import production_events_pb2 as events
from isthmus.production.v1 import production_service_pb2 as messages
from servicekit.clock import micros
from servicekit.domain import UnitMismatch
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.production import wire
from services.production.domain import confirmation as confirmations
from services.production.domain import totals, work_order
from services.production.domain.confirmation import Confirmation, ConfirmationMissing, PlantMismatch
from services.production.domain.line import Line, hold_reasons
from services.production.domain.plant import Plant
from services.production.domain.recipe import BillOfMaterials, Routing
from services.production.domain.work_order import (
    ComponentAllocation,
    Item,
    Operation,
    State,
    WorkOrder,
    WorkOrderExists,
)
from services.production.line_use_cases import line_loads, lines_of, told, told_reopened
from services.production.store import (
    BILLS_OF_MATERIALS,
    COMPONENTS,
    CONFIRMATIONS,
    ITEMS,
    OPERATIONS,
    PLANTS,
    ROUTINGS,
    TOTALS,
    WORK_ORDERS,
)

UNKNOWN_PLANT = Plant("", "UTC", Decimal(10))
Loads = Iterable[Key[Any] | Owned[Any]]


def _order_loads(order_id: str) -> list[Key[Any] | Owned[Any]]:
    return [WORK_ORDERS.key(order_id), OPERATIONS.of(order_id), COMPONENTS.of(order_id)]


# --- release


def decide_release(seen: Seen, command: wire.ReleaseWorkOrder, now: datetime) -> Decision:
    """Take an order that the ERP released, and announce it."""
    if seen.get(WORK_ORDERS.key(command.work_order_id)) is not None:
        raise WorkOrderExists(work_order_id=command.work_order_id)
    item = seen.one(ITEMS.shared(command.plant_id, command.item_id))
    if command.planned.unit_code != item.unit_code:
        raise UnitMismatch(unit_code=command.planned.unit_code, other=item.unit_code)
    for recipe in _recipe_loads(command):
        seen.one(recipe)
    order = _new_order(command, item, seen.traceparent, now)
    operations = [
        Operation(order.work_order_id, o.sequence, o.description, o.work_centre_id) for o in command.operations
    ]
    components = [
        ComponentAllocation(order.work_order_id, line, c.item_id, c.quantity, c.lot_id)
        for line, c in enumerate(command.components, start=1)
    ]
    work_order.release(order, operations, components)
    lines, new_lines = lines_of(seen, order.plant_id, operations)
    released = events.WorkOrderReleased(work_order=wire.work_order_message(order, operations, components))
    fact = wire.order_fact(released, order, now, command.business_key)
    order, held = told(order, operations, lines, now)
    said = wire.work_order_message(order, operations, components, hold_reasons(lines))
    return Decision(
        changed=[order, *operations, *components, *new_lines],
        facts=[fact, *held],
        answer=messages.ReleaseWorkOrderResponse(work_order=said),
        traceparent=order.traceparent,
    )


def _recipe_loads(command: wire.ReleaseWorkOrder) -> list[Key[Any]]:
    """The bill and the routing that the order names; an order may name none."""
    recipes: list[Key[Any]] = []
    if command.bill_of_materials_id:
        recipes.append(BILLS_OF_MATERIALS.shared(command.plant_id, command.bill_of_materials_id))
    if command.routing_id:
        recipes.append(ROUTINGS.shared(command.plant_id, command.routing_id))
    return recipes


def _new_order(command: wire.ReleaseWorkOrder, item: Item, traceparent: str, now: datetime) -> WorkOrder:
    return WorkOrder(
        work_order_id=command.work_order_id,
        plant_id=command.plant_id,
        erp_order_number=command.erp_order_number,
        item_id=command.item_id,
        is_lot_tracked=item.is_lot_tracked,
        planned=command.planned,
        good=command.planned.zero(),
        scrap=command.planned.zero(),
        bill_of_materials_id=command.bill_of_materials_id,
        routing_id=command.routing_id,
        planned_start_date=command.planned_start_date,
        due_date=command.due_date,
        state=State.RELEASED,
        mes_order_number="",
        release_time=now,
        traceparent=traceparent,
        version=1,
    )


release_work_order = UseCase(
    name="release_work_order",
    loads=lambda c, seen: [
        *_order_loads(c.work_order_id),
        ITEMS.shared(c.plant_id, c.item_id),
        *_recipe_loads(c),
        *line_loads(c.plant_id, [operation.work_centre_id for operation in c.operations]),
    ],
    decide=decide_release,
    fingerprint=Fingerprint.of(
        "plant_id",
        "erp_order_number",
        "item_id",
        "planned",
        "bill_of_materials_id",
        "routing_id",
        "planned_start_date",
        "due_date",
        "operations",
        "components",
    ),
    answers=messages.ReleaseWorkOrderResponse,
)


# --- change and cancel


def decide_change(seen: Seen, command: wire.ChangeWorkOrder, now: datetime) -> Decision:
    """Change quantity or dates as the ERP says."""
    order = seen.one(WORK_ORDERS.key(command.work_order_id))
    order.require_etag(command.etag)
    changed = order.change(command.planned, command.planned_start_date, command.due_date)
    said = _said(seen, changed)
    return Decision(
        changed=[changed],
        facts=[wire.order_fact(events.WorkOrderChanged(work_order=said), changed, now, command.business_key)],
        answer=messages.ChangeWorkOrderResponse(work_order=said),
        traceparent=order.traceparent,
    )


change_work_order = UseCase(
    name="change_work_order",
    loads=lambda c, seen: _order_loads(c.work_order_id),
    decide=decide_change,
    fingerprint=Fingerprint.of("work_order_id", "planned", "planned_start_date", "due_date"),
    answers=messages.ChangeWorkOrderResponse,
)


def decide_cancel(seen: Seen, command: wire.CancelWorkOrder, now: datetime) -> Decision:
    """Take an order back before work began."""
    order = seen.one(WORK_ORDERS.key(command.work_order_id))
    order.require_etag(command.etag)
    cancelled = order.cancel(seen.all(OPERATIONS.of(order.work_order_id)))
    said = _said(seen, cancelled)
    fact = events.WorkOrderCancelled(work_order=said, cancel_reason=command.cancel_reason)
    return Decision(
        changed=[cancelled],
        facts=[wire.order_fact(fact, cancelled, now, command.business_key)],
        answer=messages.CancelWorkOrderResponse(work_order=said),
        traceparent=order.traceparent,
    )


cancel_work_order = UseCase(
    name="cancel_work_order",
    loads=lambda c, seen: _order_loads(c.work_order_id),
    decide=decide_cancel,
    fingerprint=Fingerprint.of("work_order_id"),
    answers=messages.CancelWorkOrderResponse,
)


def _said(seen: Seen, order: WorkOrder) -> Any:
    """The order with its operations and allocations, as the world sees it."""
    order_id = order.work_order_id
    return wire.work_order_message(order, seen.all(OPERATIONS.of(order_id)), seen.all(COMPONENTS.of(order_id)))


# --- confirm and reverse


def decide_confirm(seen: Seen, command: wire.ConfirmOperation, now: datetime) -> Decision:
    """Book what was done at an operation; the last one completes the order."""
    order = seen.one(WORK_ORDERS.key(command.work_order_id))
    operations = seen.all(OPERATIONS.of(order.work_order_id))
    plant = seen.get(PLANTS.shared(order.plant_id)) or UNKNOWN_PLANT
    done = _confirmation(command, plant, order.version)
    booked = confirmations.book(done, order, operations, plant.over_delivery_percent, now)
    after = [booked.operation if o.sequence == booked.operation.sequence else o for o in operations]
    lines = totals.add(seen.all(TOTALS.of(order.work_order_id)), done, is_last_operation=booked.is_last_operation)
    said = wire.confirmation_message(done)
    confirmed = wire.operation_confirmed(order, done, said, is_last=booked.is_last_operation)
    facts = [_document_fact(confirmed, order, command)]
    if done.scraps:
        facts.append(_document_fact(wire.scrap_reported(order, done), order, command))
    if confirmations.was_completed(booked.order):
        everything = _merged(seen.all(TOTALS.of(order.work_order_id)), lines)
        completed = wire.work_order_completed(booked.order, after, everything)
        facts.append(_document_fact(completed, booked.order, command))
    return Decision(
        changed=[booked.order, done, _changed_now(booked.operation, now), *lines],
        facts=facts,
        answer=messages.ConfirmOperationResponse(confirmation=said),
        traceparent=order.traceparent,
    )


def _confirmation(command: wire.ConfirmOperation, plant: Plant, booking_number: int) -> Confirmation:
    return Confirmation(
        confirmation_id=wire.confirmation_id(command.business_key),
        business_key=command.business_key,
        plant_id=command.plant_id,
        work_order_id=command.work_order_id,
        operation_sequence=command.operation_sequence,
        good=command.good,
        scraps=command.scraps,
        labour=command.labour,
        consumptions=command.consumptions,
        output_lot_id=command.output_lot_id,
        occur_time=command.occur_time,
        operator_id=command.operator_id,
        is_final=command.is_final,
        shift_id=plant.shift_of(command.occur_time),
        is_reversed=False,
        booking_number=booking_number,
    )


def _document_fact(
    data: object,
    order: WorkOrder,
    command: wire.ConfirmOperation | wire.ReverseConfirmation,
    at: datetime | None = None,
) -> Fact:
    occur_time = at or (command.occur_time if isinstance(command, wire.ConfirmOperation) else order.release_time)
    fact = wire.order_fact(data, order, occur_time, command.business_key)
    return replace(fact, is_late=True) if command.is_late else fact


def _merged(before: Sequence[totals.Total], changed: Sequence[totals.Total]) -> list[totals.Total]:
    lines = {(t.total_kind, t.name, t.lot_id): t for t in (*before, *changed)}
    return [lines[key] for key in sorted(lines)]


def _changed_now(operation: Operation, now: datetime) -> Operation:
    return replace(operation, change_time=micros(now))


confirm_operation = UseCase(
    name="confirm_operation",
    loads=lambda c, seen: _confirm_loads(c.work_order_id, c.plant_id, wire.confirmation_id(c.business_key), seen),
    decide=decide_confirm,
    fingerprint=Fingerprint.of(
        "plant_id",
        "work_order_id",
        "operation_sequence",
        "good",
        "scraps",
        "labour",
        "consumptions",
        "output_lot_id",
        "operator_id",
        "is_final",
    ),
    answers=messages.ConfirmOperationResponse,
)


def _confirm_loads(order_id: str, plant_id: str, confirmation_id: str, seen: Seen) -> list[Key[Any] | Owned[Any]]:
    wanted: list[Key[Any] | Owned[Any]] = [
        WORK_ORDERS.key(order_id),
        OPERATIONS.of(order_id),
        TOTALS.of(order_id),
        CONFIRMATIONS.key(confirmation_id),
        PLANTS.shared(plant_id),
    ]
    order = seen.get(WORK_ORDERS.key(order_id))
    if order is not None and order.plant_id != plant_id:
        wanted.append(PLANTS.shared(order.plant_id))
    return wanted


def decide_reverse(seen: Seen, command: wire.ReverseConfirmation, now: datetime) -> Decision:
    """Take back a confirmation that was wrong."""
    wrong = seen.get(CONFIRMATIONS.key(wire.confirmation_id(command.confirmation_key)))
    if wrong is None:
        raise ConfirmationMissing(confirmation_key=command.confirmation_key)
    order = seen.one(WORK_ORDERS.key(wrong.work_order_id))
    if command.plant_id != order.plant_id:
        raise PlantMismatch(work_order_id=order.work_order_id, plant_id=command.plant_id)
    reversed_one = wrong.reverse()
    back = confirmations.take_back(wrong, order, seen.all(OPERATIONS.of(order.work_order_id)))
    negated = wrong.negated()
    lines = totals.add(seen.all(TOTALS.of(order.work_order_id)), negated, is_last_operation=back.is_last_operation)
    fact = events.ConfirmationReversed(
        confirmation=wire.confirmation_message(negated),
        item_id=order.item_id,
        is_last_operation=back.is_last_operation,
        reversal_reason=command.reversal_reason,
    )
    facts = [_document_fact(fact, order, command, now)]
    after, new_lines = back.order, list[Line]()
    if confirmations.was_completed(order):
        reopened = events.WorkOrderReopened(work_order=wire.work_order_message(after))
        facts.append(_document_fact(reopened, after, command, now))
        after, new_lines, held = told_reopened(seen, after, now)
        facts += held
    return Decision(
        changed=[after, reversed_one, _changed_now(back.operation, now), *lines, *new_lines],
        facts=facts,
        answer=messages.ReverseConfirmationResponse(confirmation=wire.confirmation_message(reversed_one)),
        traceparent=order.traceparent,
    )


def _reverse_loads(command: wire.ReverseConfirmation, seen: Seen) -> Loads:
    key = CONFIRMATIONS.key(wire.confirmation_id(command.confirmation_key))
    wrong = seen.get(key)
    if wrong is None:
        return [key]
    operations = seen.all(OPERATIONS.of(wrong.work_order_id))
    lines = line_loads(wrong.plant_id, [operation.work_centre_id for operation in operations])
    return [key, *_confirm_loads(wrong.work_order_id, wrong.plant_id, wrong.confirmation_id, seen), *lines]


reverse_confirmation = UseCase(
    name="reverse_confirmation",
    loads=_reverse_loads,
    decide=decide_reverse,
    fingerprint=Fingerprint.of("plant_id", "confirmation_key"),
    answers=messages.ReverseConfirmationResponse,
)


# --- what the plant says about an order, and what master data says of an item


def decide_acceptance(seen: Seen, command: wire.RecordAcceptance, now: datetime) -> Decision:
    """Note that the plant's MES took or refused a step."""
    order = seen.one(WORK_ORDERS.key(command.work_order_id))
    if not command.refusal_reason:
        after = order.accept(command.mes_order_number) if command.step == "release" else order
        if after is order:
            return Decision(moot=f"the plant took the {command.step}", traceparent=order.traceparent)
        fact: Any = events.WorkOrderDispatched(work_order=_said(seen, after))
    else:
        after = order.decline() if command.step == "release" else order
        fact = events.WorkOrderDeclined(
            work_order=_said(seen, after), declined_step=command.step, decline_reason=command.refusal_reason
        )
    changed = [after] if after is not order else []
    return Decision(
        changed=changed, facts=[wire.order_fact(fact, after, command.occur_time)], traceparent=order.traceparent
    )


record_acceptance = UseCase(
    name="record_acceptance", loads=lambda c, seen: _order_loads(c.work_order_id), decide=decide_acceptance
)


def decide_count(seen: Seen, command: wire.CountPieces, now: datetime) -> Decision:
    """Add what the line counted, as evidence beside the confirmations."""
    order = seen.get(WORK_ORDERS.key(command.work_order_id))
    if order is None:
        return Decision(moot="the line names an order that is not ours")
    operations = {o.sequence: o for o in seen.all(OPERATIONS.of(order.work_order_id))}
    if command.operation_sequence not in operations:
        return Decision(moot="the line names an operation that the order does not have", traceparent=order.traceparent)
    before = operations[command.operation_sequence]
    counted = replace(
        before,
        counted_good=before.counted_good + command.good,
        counted_scrap=before.counted_scrap + command.scrap,
        is_counted=True,
    )
    return Decision(changed=[_changed_now(counted, now)], traceparent=order.traceparent)


count_pieces = UseCase(
    name="count_pieces",
    loads=lambda c, seen: [WORK_ORDERS.key(c.work_order_id), OPERATIONS.of(c.work_order_id)],
    decide=decide_count,
    is_traced=False,
)


def decide_variance(seen: Seen, command: wire.CompareCounts, now: datetime) -> Decision:
    """Tell a difference between line and MES that has settled, and tell when it went away again."""
    order = seen.one(WORK_ORDERS.key(command.work_order_id))
    told = [
        replace(operation, variance_told=operation.variance())
        for operation in seen.all(OPERATIONS.of(order.work_order_id))
        if operation.variance() != operation.variance_told
    ]
    facts = [wire.order_fact(wire.counter_variance_found(order, operation), order, now) for operation in told]
    return Decision(changed=told, facts=facts, traceparent=order.traceparent)


compare_counts = UseCase(
    name="compare_counts",
    loads=lambda c, seen: [WORK_ORDERS.key(c.work_order_id), OPERATIONS.of(c.work_order_id)],
    decide=decide_variance,
)


def decide_item(seen: Seen, command: Item, now: datetime) -> Decision:
    """Keep our copy of an item."""
    return Decision(changed=[command])


record_item = UseCase(name="record_item", loads=lambda c, seen: [ITEMS.key(c.plant_id, c.item_id)], decide=decide_item)


def decide_recipe(seen: Seen, command: BillOfMaterials | Routing, now: datetime) -> Decision:
    """Keep that a bill of materials or a routing is known."""
    return Decision(changed=[command])


record_bill_of_materials: UseCase[BillOfMaterials] = UseCase(
    name="record_bill_of_materials",
    loads=lambda c, seen: [BILLS_OF_MATERIALS.key(c.plant_id, c.bill_of_materials_id)],
    decide=decide_recipe,
)
record_routing: UseCase[Routing] = UseCase(
    name="record_routing", loads=lambda c, seen: [ROUTINGS.key(c.plant_id, c.routing_id)], decide=decide_recipe
)


def decide_plant(seen: Seen, command: Plant, now: datetime) -> Decision:
    """Keep a plant's calendar and tolerance as the settings have them."""
    return Decision(changed=[command] if seen.get(PLANTS.key(command.plant_id)) != command else [])


record_plant = UseCase(name="record_plant", loads=lambda c, seen: [PLANTS.key(c.plant_id)], decide=decide_plant)
