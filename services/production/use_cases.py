"""What changes something in production: per verb what to load, and a pure decision. The kit saves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from isthmus.production.v1 import production_events_pb2 as events
from isthmus.production.v1 import production_service_pb2 as messages
from servicekit.domain import UnitMismatch
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fingerprint, Seen, UseCase
from services.production import wire
from services.production.confirmation_use_cases import changed_now
from services.production.domain import work_order
from services.production.domain.line import hold_reasons
from services.production.domain.plant import UNKNOWN_PLANT, Plant
from services.production.domain.recipe import BillOfMaterials, Resource, Routing
from services.production.domain.work_order import (
    ComponentAllocation,
    Item,
    Operation,
    State,
    WorkOrder,
    WorkOrderExists,
)
from services.production.line_use_cases import line_loads, lines_of, told
from services.production.store import (
    BILLS_OF_MATERIALS,
    COMPONENTS,
    ITEMS,
    OPERATIONS,
    PLANTS,
    RESOURCES,
    ROUTINGS,
    WORK_ORDERS,
)

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
    _require_in_use(seen, command, command.start_day, now)
    for resource in _resource_loads(command):
        if (known := seen.get(resource)) is not None:
            known.require_offered()
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


def _require_in_use(seen: Seen, order: wire.ReleaseWorkOrder | WorkOrder, day: date | None, now: datetime) -> None:
    """Bill and routing are known, and in use on the day the order starts; without a day: today in the plant."""
    plant = seen.get(PLANTS.shared(order.plant_id)) or UNKNOWN_PLANT
    for recipe in _recipe_loads(order):
        seen.one(recipe).require_effective(day or plant.day_of(now))


def _recipe_loads(order: wire.ReleaseWorkOrder | WorkOrder) -> list[Key[Any]]:
    """The bill and the routing that the order names; an order may name none."""
    recipes: list[Key[Any]] = []
    if order.bill_of_materials_id:
        recipes.append(BILLS_OF_MATERIALS.shared(order.plant_id, order.bill_of_materials_id))
    if order.routing_id:
        recipes.append(ROUTINGS.shared(order.plant_id, order.routing_id))
    return recipes


def _resource_loads(command: wire.ReleaseWorkOrder) -> list[Key[Resource]]:
    centres = dict.fromkeys(operation.work_centre_id for operation in command.operations)
    return [RESOURCES.shared(command.plant_id, centre) for centre in centres if centre]


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
        demand=command.demand,
    )


release_work_order = UseCase(
    name="release_work_order",
    loads=lambda c, seen: [
        *_order_loads(c.work_order_id),
        ITEMS.shared(c.plant_id, c.item_id),
        PLANTS.shared(c.plant_id),
        *_recipe_loads(c),
        *_resource_loads(c),
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
    if (day := changed.start_day) is not None and day != order.start_day:
        _require_in_use(seen, changed, day, now)
    said = _said(seen, changed)
    return Decision(
        changed=[changed],
        facts=[wire.order_fact(events.WorkOrderChanged(work_order=said), changed, now, command.business_key)],
        answer=messages.ChangeWorkOrderResponse(work_order=said),
        traceparent=order.traceparent,
    )


def _change_loads(command: wire.ChangeWorkOrder, seen: Seen) -> Loads:
    order = seen.get(WORK_ORDERS.key(command.work_order_id))
    return [*_order_loads(command.work_order_id), *(_recipe_loads(order) if order is not None else [])]


change_work_order = UseCase(
    name="change_work_order",
    loads=_change_loads,
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
    return Decision(changed=[changed_now(counted, now)], traceparent=order.traceparent)


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


def decide_copy(seen: Seen, command: BillOfMaterials | Routing | Resource, now: datetime) -> Decision:
    """Keep what master data says of a bill of materials, a routing or a resource."""
    return Decision(changed=[command])


record_bill_of_materials: UseCase[BillOfMaterials] = UseCase(
    name="record_bill_of_materials",
    loads=lambda c, seen: [BILLS_OF_MATERIALS.key(c.plant_id, c.bill_of_materials_id)],
    decide=decide_copy,
)
record_routing: UseCase[Routing] = UseCase(
    name="record_routing", loads=lambda c, seen: [ROUTINGS.key(c.plant_id, c.routing_id)], decide=decide_copy
)
record_resource: UseCase[Resource] = UseCase(
    name="record_resource", loads=lambda c, seen: [RESOURCES.key(c.plant_id, c.resource_id)], decide=decide_copy
)


def decide_plant(seen: Seen, command: Plant, now: datetime) -> Decision:
    """Keep a plant's calendar and tolerance as the settings have them."""
    return Decision(changed=[command] if seen.get(PLANTS.key(command.plant_id)) != command else [])


record_plant = UseCase(name="record_plant", loads=lambda c, seen: [PLANTS.key(c.plant_id)], decide=decide_plant)
