"""What people set right in the stock: adjustments and transfers. Pure decisions; the kit saves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from isthmus.inventory.v1 import inventory_events_pb2 as events
from isthmus.inventory.v1 import inventory_service_pb2 as messages
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.inventory import stock_wire, wire
from services.inventory.domain import hold, ledger
from services.inventory.domain.ledger import PLACES, WAREHOUSE, Lot, Movement, Stock, Transaction
from services.inventory.hold_use_cases import reallocated
from services.inventory.store import ALLOCATION_MARKS, AVAILABILITIES, HOLDS, LOTS, STOCKS
from services.inventory.use_cases import ledger_line, post_lines

Change = stock_wire.AdjustStock | stock_wire.TransferStock


def _loads(command: Change, seen: Seen) -> list[Key[Any] | Owned[Any]]:
    """What all places have of it, for its unit; the lot and its holds; the mark that deliveries may lose or gain by it."""
    name = command.plant_id, command.item_id, command.lot_id
    wanted: list[Key[Any] | Owned[Any]] = [STOCKS.key(*name, place) for place in PLACES]
    wanted.append(ALLOCATION_MARKS.key(command.plant_id))
    return [*wanted, LOTS.key(*name), HOLDS.of(*name)] if command.lot_id else wanted


def _lot_of(seen: Seen, command: Change) -> Lot | None:
    """LOT_MISSING. None: the item has no lots."""
    return seen.one(LOTS.key(command.plant_id, command.item_id, command.lot_id)) if command.lot_id else None


def _require_unit(seen: Seen, command: Change) -> None:
    keys = [STOCKS.key(command.plant_id, command.item_id, command.lot_id, place) for place in PLACES]
    ledger.require_unit(command.quantity, [stock for key in keys if (stock := seen.get(key)) is not None])


def _booked(
    seen: Seen, command: Change, lot: Lot | None, lines: list[Transaction], after: list[Stock], data: Any, answer: Any
) -> Decision:
    """The lines, what is there after them, and both facts, in the order of the lot or item."""
    order_key = lot.order_key if lot is not None else f"item:{command.item_id}"
    subject, traceparent = command.lot_id or command.item_id, lot.traceparent if lot is not None else ""
    moved = wire.inventory_moved(command.document_id, lot.work_order_id if lot is not None else "", lines)
    facts = [
        Fact(said, command.plant_id, order_key, subject, command.occur_time, command.business_key)
        for said in (data, moved)
    ]
    is_allocated = any(line.location_id == WAREHOUSE for line in lines)
    marks = [reallocated(seen, command.plant_id)] if is_allocated else []
    return Decision(changed=[*lines, *after, *marks], facts=facts, answer=answer, traceparent=traceparent)


def decide_adjust(seen: Seen, command: stock_wire.AdjustStock, now: datetime) -> Decision:
    """Set right what is at a place; of a held lot too, for what is there is there."""
    ledger.require_place(command.location_id)
    ledger.require_change("quantity", command.quantity)
    ledger.require_past(command.occur_time, now)
    lot = _lot_of(seen, command)
    _require_unit(seen, command)
    order_id = lot.work_order_id if lot is not None else ""
    key = command.plant_id, command.item_id, command.lot_id, command.location_id
    line = ledger_line(
        command.document_id,
        1,
        key,
        Movement.ADJUSTMENT,
        command.quantity,
        command.occur_time,
        now,
        order_id,
        command.adjustment_reason,
    )
    (stock,) = post_lines(seen, [line])
    answer = messages.AdjustStockResponse(stock=wire.stock_message(stock))
    return _booked(seen, command, lot, [line], [stock], stock_wire.stock_adjusted(command, order_id), answer)


adjust_stock = UseCase(
    name="adjust_stock",
    loads=_loads,
    decide=decide_adjust,
    fingerprint=Fingerprint.of("plant_id", "item_id", "lot_id", "location_id", "quantity", "adjustment_reason"),
    answers=messages.AdjustStockResponse,
)


def decide_transfer(seen: Seen, command: stock_wire.TransferStock, now: datetime) -> Decision:
    """Move an amount from one place to another: two lines that come to nothing together."""
    source, target = command.from_location_id, command.to_location_id
    ledger.require_two_places(source, target)
    ledger.require_positive("quantity", command.quantity)
    ledger.require_past(command.occur_time, now)
    lot = _lot_of(seen, command)
    if lot is not None:
        holds = seen.all(HOLDS.of(lot.plant_id, lot.item_id, lot.lot_id))
        hold.require_transferable(lot.lot_id, holds, target)
    _require_unit(seen, command)
    order_id = lot.work_order_id if lot is not None else ""
    lines = [
        ledger_line(
            command.document_id,
            number,
            (command.plant_id, command.item_id, command.lot_id, place),
            Movement.TRANSFER,
            quantity,
            command.occur_time,
            now,
            order_id,
            command.transfer_reason,
        )
        for number, (place, quantity) in enumerate(((source, -command.quantity), (target, command.quantity)), start=1)
    ]
    after = {stock.location_id: stock for stock in post_lines(seen, lines)}
    stocks = [after[source], after[target]]
    answer = messages.TransferStockResponse(stocks=map(wire.stock_message, stocks))
    return _booked(seen, command, lot, lines, stocks, stock_wire.stock_transferred(command, order_id), answer)


transfer_stock = UseCase(
    name="transfer_stock",
    loads=_loads,
    decide=decide_transfer,
    fingerprint=Fingerprint.of(
        "plant_id", "item_id", "lot_id", "from_location_id", "to_location_id", "quantity", "transfer_reason"
    ),
    answers=messages.TransferStockResponse,
)


# --- what can be used


def decide_availability(seen: Seen, command: stock_wire.TellAvailability, now: datetime) -> Decision:
    """Say how much of items can be used, where it differs from what was said last."""
    changed: list[object] = []
    facts = []
    for found in command.found:
        before = seen.get(AVAILABILITIES.key(found.plant_id, found.item_id))
        after = found.said_over(before)
        if after == before:
            continue
        changed.append(after)
        said = events.MaterialAvailabilityChanged(material_availability=stock_wire.availability_message(after))
        facts.append(Fact(said, after.plant_id, f"availability:{after.item_id}", after.item_id, now))
    return Decision(changed=changed, facts=facts)


tell_availability = UseCase(
    name="tell_availability",
    loads=lambda c, seen: [AVAILABILITIES.key(found.plant_id, found.item_id) for found in c.found],
    decide=decide_availability,
    is_traced=False,
)
