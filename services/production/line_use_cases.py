"""What changes something about lines: a line is blocked or freed, and the orders that need it are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from isthmus.production.v1 import production_events_pb2 as events
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Seen, UseCase
from services.production import line_wire, wire
from services.production.domain.line import Line, hold_reasons
from services.production.domain.work_order import Operation, WorkOrder
from services.production.store import LINES, OPERATIONS, WORK_ORDERS

Loads = list[Key[Any] | Owned[Any]]


def line_loads(plant_id: str, work_centre_ids: Sequence[str]) -> list[Key[Any]]:
    """The lines of operations, to be read: a line that is being blocked waits for this decision, or this for that."""
    return [LINES.shared(plant_id, line_id) for line_id in sorted({*work_centre_ids} - {""})]


def lines_of(seen: Seen, plant_id: str, operations: Sequence[Operation]) -> tuple[list[Line], list[Line]]:
    """(the lines of operations, those of them that nobody has named before).

    A new line is a row from its first order on: a block that comes at the same moment makes the same row, and one of the
    two is decided again on what the other left.
    """
    found, new = [], []
    for key in line_loads(plant_id, [operation.work_centre_id for operation in operations]):
        known = seen.get(key)
        line = known or Line(*key.values)
        found.append(line)
        new += [line] if known is None else []
    return found, new


def told(
    order: WorkOrder, operations: Sequence[Operation], lines: Sequence[Line], now: datetime
) -> tuple[WorkOrder, list[Fact]]:
    """The order as it must be told now, and the fact that tells it if that differs from what was told last."""
    reasons = hold_reasons(lines)
    if order.is_closed() or bool(reasons) == order.is_held:
        return order, []
    after = order.held() if reasons else order.resumed()
    said = wire.work_order_message(after, operations, hold_reasons=reasons)
    data: Any = events.WorkOrderHeld(work_order=said) if reasons else events.WorkOrderResumed(work_order=said)
    return after, [wire.order_fact(data, after, now)]


def told_reopened(seen: Seen, order: WorkOrder, now: datetime) -> tuple[WorkOrder, list[Line], list[Fact]]:
    """(the order, lines that are new, facts): an order that was closed has missed what became of its lines."""
    operations = seen.all(OPERATIONS.of(order.work_order_id))
    lines, new_lines = lines_of(seen, order.plant_id, operations)
    order, facts = told(order, operations, lines, now)
    return order, new_lines, facts


# --- what maintenance says of a line


def decide_block(seen: Seen, command: line_wire.BlockLine, now: datetime) -> Decision:
    """An asset that stops its line is down: the line is blocked until that is over."""
    before = seen.get(LINES.key(command.plant_id, command.line_id)) or Line(command.plant_id, command.line_id)
    after = before.blocked(command.block)
    if after == before:
        return Decision(moot="blocked by it already")
    facts = (
        []
        if before.is_blocked
        else [_line_fact(events.LineBlocked(line=line_wire.line_message(after)), after, command)]
    )
    return Decision(changed=[after], facts=facts)


def _line_fact(data: Any, line: Line, command: line_wire.BlockLine | line_wire.FreeLine) -> Fact:
    return Fact(data, line.plant_id, f"line:{line.line_id}", line.line_id, command.occur_time)


block_line = UseCase(name="block_line", loads=lambda c, seen: [LINES.key(c.plant_id, c.line_id)], decide=decide_block)


def decide_free(seen: Seen, command: line_wire.FreeLine, now: datetime) -> Decision:
    """The asset is up again: the line is free when nothing else blocks it."""
    before = seen.get(LINES.key(command.plant_id, command.line_id))
    after = before.freed(command.block_id) if before is not None else None
    if before is None or after is None or after == before:
        return Decision(moot="not blocked by it")
    facts = (
        [] if after.is_blocked else [_line_fact(events.LineFreed(line=line_wire.line_message(after)), after, command)]
    )
    return Decision(changed=[after], facts=facts)


free_line = UseCase(name="free_line", loads=lambda c, seen: [LINES.key(c.plant_id, c.line_id)], decide=decide_free)


# --- the orders that need it


def decide_tell_orders(seen: Seen, command: line_wire.TellOrders, now: datetime) -> Decision:
    """Tell open orders that they are held or resumed, a page at a time; who knows already is not told again."""
    changed: list[object] = []
    facts: list[Fact] = []
    for order_id in command.work_order_ids:
        order = seen.get(WORK_ORDERS.key(order_id))
        if order is None:
            continue
        operations = seen.all(OPERATIONS.of(order_id))
        lines, _ = lines_of(seen, order.plant_id, operations)
        after, said = told(order, operations, lines, now)
        changed += [after] if said else []
        facts += said
    line = seen.get(LINES.key(command.plant_id, command.line_id))
    if command.is_last and line is not None and line.told < command.changes:
        changed.append(replace(line, told=command.changes))
    return Decision(changed=changed, facts=facts) if changed else Decision(moot="all know already")


def _tell_loads(command: line_wire.TellOrders, seen: Seen) -> Loads:
    wanted: Loads = [LINES.key(command.plant_id, command.line_id)]
    for order_id in command.work_order_ids:
        wanted += [WORK_ORDERS.key(order_id), OPERATIONS.of(order_id)]
        work_centres = [operation.work_centre_id for operation in seen.all(OPERATIONS.of(order_id))]
        wanted += line_loads(command.plant_id, work_centres)
    return wanted


tell_orders = UseCase(name="tell_orders", loads=_tell_loads, decide=decide_tell_orders, is_traced=False)
