"""What books work in production: confirmations and their reversal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from isthmus.production.v1 import production_events_pb2 as events
from isthmus.production.v1 import production_service_pb2 as messages
from servicekit.clock import micros
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.production import confirmation_wire, wire
from services.production.domain import confirmation as confirmations
from services.production.domain import totals
from services.production.domain.confirmation import Confirmation, ConfirmationMissing, PlantMismatch
from services.production.domain.line import Line
from services.production.domain.plant import UNKNOWN_PLANT, Plant
from services.production.domain.work_order import Operation, WorkOrder
from services.production.line_use_cases import line_loads, told_reopened
from services.production.store import CONFIRMATIONS, OPERATIONS, PLANTS, TOTALS, WORK_ORDERS

Loads = Iterable[Key[Any] | Owned[Any]]


def decide_confirm(seen: Seen, command: confirmation_wire.ConfirmOperation, now: datetime) -> Decision:
    """Book what was done at an operation; the last one completes the order."""
    order = seen.one(WORK_ORDERS.key(command.work_order_id))
    operations = seen.all(OPERATIONS.of(order.work_order_id))
    plant = seen.get(PLANTS.shared(order.plant_id)) or UNKNOWN_PLANT
    done = _confirmation(command, plant, order.version)
    booked = confirmations.book(done, order, operations, plant.over_delivery_percent, now)
    after = [booked.operation if o.sequence == booked.operation.sequence else o for o in operations]
    lines = totals.add(seen.all(TOTALS.of(order.work_order_id)), done, is_last_operation=booked.is_last_operation)
    said = confirmation_wire.confirmation_message(done)
    confirmed = confirmation_wire.operation_confirmed(order, done, said, is_last=booked.is_last_operation)
    facts = [_document_fact(confirmed, order, command)]
    if done.scraps:
        facts.append(_document_fact(confirmation_wire.scrap_reported(order, done), order, command))
    if confirmations.was_completed(booked.order):
        everything = _merged(seen.all(TOTALS.of(order.work_order_id)), lines)
        completed = wire.work_order_completed(booked.order, after, everything)
        facts.append(_document_fact(completed, booked.order, command))
    return Decision(
        changed=[booked.order, done, changed_now(booked.operation, now), *lines],
        facts=facts,
        answer=messages.ConfirmOperationResponse(confirmation=said),
        traceparent=order.traceparent,
    )


def _confirmation(command: confirmation_wire.ConfirmOperation, plant: Plant, booking_number: int) -> Confirmation:
    return Confirmation(
        confirmation_id=command.confirmation_id,
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
    command: confirmation_wire.ConfirmOperation | confirmation_wire.ReverseConfirmation,
    at: datetime | None = None,
) -> Fact:
    occur_time = at or (
        command.occur_time if isinstance(command, confirmation_wire.ConfirmOperation) else order.release_time
    )
    fact = wire.order_fact(data, order, occur_time, command.business_key)
    return fact._replace(is_late=True) if command.is_late else fact


def _merged(before: Sequence[totals.Total], changed: Sequence[totals.Total]) -> list[totals.Total]:
    lines = {(t.total_kind, t.name, t.lot_id): t for t in (*before, *changed)}
    return [lines[key] for key in sorted(lines)]


def changed_now(operation: Operation, now: datetime) -> Operation:
    return replace(operation, change_time=micros(now))


confirm_operation = UseCase(
    name="confirm_operation",
    loads=lambda c, seen: _confirm_loads(c.work_order_id, c.plant_id, c.confirmation_id, seen),
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


def decide_reverse(seen: Seen, command: confirmation_wire.ReverseConfirmation, now: datetime) -> Decision:
    """Take back a confirmation that was wrong."""
    wrong = seen.get(CONFIRMATIONS.key(confirmation_wire.confirmation_id(command.confirmation_key)))
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
        confirmation=confirmation_wire.confirmation_message(negated),
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
        changed=[after, reversed_one, changed_now(back.operation, now), *lines, *new_lines],
        facts=facts,
        answer=messages.ReverseConfirmationResponse(confirmation=confirmation_wire.confirmation_message(reversed_one)),
        traceparent=order.traceparent,
    )


def _reverse_loads(command: confirmation_wire.ReverseConfirmation, seen: Seen) -> Loads:
    key = CONFIRMATIONS.key(confirmation_wire.confirmation_id(command.confirmation_key))
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
