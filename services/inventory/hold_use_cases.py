"""What changes something about holds and allocations: per verb what to load, and a pure decision. The kit saves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from isthmus.inventory.v1 import inventory_events_pb2 as events
from isthmus.inventory.v1 import inventory_service_pb2 as messages
from servicekit.domain import BusinessKey
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.inventory import wire
from services.inventory.domain import hold
from services.inventory.domain.allocation import AllocationMark
from services.inventory.domain.hold import OF_QUALITY, Cause, Disposition, Hold, InspectedItem
from services.inventory.domain.ledger import OUTPUT, STORAGE, WAREHOUSE, Lot, Stock
from services.inventory.store import (
    ALLOCATION_MARKS,
    ALLOCATIONS,
    HOLDS,
    INSPECTED_ITEMS,
    LOT_SHIPMENTS,
    LOTS,
    STOCKS,
)

PLACES = OUTPUT, STORAGE, WAREHOUSE
Loads = list[Key[Any] | Owned[Any]]


# --- what holds have to do with


def lot_loads(plant_id: str, item_id: str, lot_id: str) -> Loads:
    """A lot, its holds and its stock, and the mark that its plant's allocations changed."""
    lot = plant_id, item_id, lot_id
    places = [STOCKS.key(*lot, place) for place in PLACES]
    return [LOTS.key(*lot), HOLDS.of(*lot), ALLOCATION_MARKS.key(plant_id), *places]


def reallocated(seen: Seen, plant_id: str) -> AllocationMark:
    """The plant's allocations are to be made anew."""
    mark = seen.get(ALLOCATION_MARKS.key(plant_id)) or AllocationMark(plant_id, 0, 0)
    return replace(mark, changes=mark.changes + 1)


def hold_output(
    seen: Seen, command: wire.BookConfirmation, lot: Lot, now: datetime, booked: list[Stock]
) -> tuple[Lot, list[object], list[Fact]]:
    """(the lot, what else changes, facts): output of an inspected item is held until its lot passes."""
    item = seen.get(INSPECTED_ITEMS.shared(lot.plant_id, lot.item_id))
    is_output = command.output is not None and command.output.value > 0
    if (
        item is None
        or not is_output
        or lot.disposition is not Disposition.NONE
        or not item.is_inspected(command.plant_day)
    ):
        return lot, [], []
    lot = replace(lot, disposition=Disposition.PENDING)
    new = _new_hold(lot, Cause.INSPECTION_PENDING, "its inspection is pending", now)
    fact = _lot_fact(lot, events.LotHeld(hold=wire.hold_message(new), stocks=_stocks(seen, lot, booked)), now)
    return lot, [new, reallocated(seen, lot.plant_id)], [fact]


def _new_hold(lot: Lot, cause: Cause, reason: str, now: datetime) -> Hold:
    return Hold(lot.plant_id, lot.item_id, lot.lot_id, cause, lot.work_order_id, reason, now)


def _stocks(seen: Seen, lot: Lot, booked: list[Stock] | None = None) -> list[Any]:
    """What the ledger holds of the lot, by place; `booked` is what the same decision changes of it."""
    after = {stock.key: stock for stock in booked or ()}
    keys = [(lot.plant_id, lot.item_id, lot.lot_id, place) for place in PLACES]
    found = [after.get(key) or seen.get(STOCKS.key(*key)) for key in keys]
    return [wire.stock_message(stock) for stock in found if stock is not None and stock.quantity.value]


def _lot_fact(lot: Lot, data: Any, now: datetime, key: BusinessKey | None = None) -> Fact:
    return Fact(data, lot.plant_id, lot.order_key, lot.lot_id, now, key, traceparent=lot.traceparent)


def _released_fact(
    seen: Seen, lot: Lot, ended: Hold, is_available: bool, now: datetime, key: BusinessKey | None
) -> Fact:
    said = events.LotReleased(hold=wire.hold_message(ended), stocks=_stocks(seen, lot), is_available=is_available)
    return _lot_fact(lot, said, now, key)


# --- what quality says


def decide_inspected(seen: Seen, command: InspectedItem, now: datetime) -> Decision:
    """Lots of the item are inspected from now on, as its test specification says."""
    if seen.get(INSPECTED_ITEMS.key(command.plant_id, command.item_id)) == command:
        return Decision(moot="known already")
    return Decision(changed=[command])


record_inspected_item = UseCase(
    name="record_inspected_item",
    loads=lambda c, seen: [INSPECTED_ITEMS.key(c.plant_id, c.item_id)],
    decide=decide_inspected,
)


def decide_dispose(seen: Seen, command: wire.DisposeLot, now: datetime) -> Decision:
    """Hold or release a lot as its disposition says; the ledger may not know the lot yet."""
    known = seen.get(LOTS.key(command.plant_id, command.item_id, command.lot_id))
    before = known.disposition if known is not None else Disposition.NONE
    if before is command.disposition:
        return Decision(moot=f"the lot is {before.value} already", traceparent=command.traceparent)
    lot = known or Lot(
        command.plant_id, command.item_id, command.lot_id, command.work_order_id, command.traceparent, now
    )
    lot = replace(lot, disposition=command.disposition)
    holds = seen.all(HOLDS.of(*_lot_key(lot)))
    cause = OF_QUALITY.get(command.disposition)
    new = _new_hold(lot, cause, command.reason, now) if cause is not None else None
    set_now, ended = hold.dispose(command.disposition, command.reason, holds, new, now)
    facts = []
    if set_now is not None:
        said = wire.hold_message(set_now)
        facts.append(_lot_fact(lot, events.LotHeld(hold=said, stocks=_stocks(seen, lot)), now))
    standing = {one.hold_id for one in [*holds, *([set_now] if set_now else [])] if one.stands}
    is_available = not standing - {one.hold_id for one in ended}
    facts += [_released_fact(seen, lot, one, is_available, now, None) for one in ended]
    if set_now is not None and before is Disposition.PASSED and command.disposition is Disposition.FAILED:
        facts.append(_recall(seen, lot, set_now, now))
    changed: list[object] = [lot, reallocated(seen, lot.plant_id), *ended, *([set_now] if set_now else [])]
    return Decision(changed=changed, facts=facts, traceparent=lot.traceparent)


def _lot_key(lot: Lot) -> tuple[str, str, str]:
    return lot.plant_id, lot.item_id, lot.lot_id


def _recall(seen: Seen, lot: Lot, new: Hold, now: datetime) -> Fact:
    """The lot had passed: what is here is held, what has left is listed."""
    left = seen.all(LOT_SHIPMENTS.of(*_lot_key(lot)))
    data = events.RecallRaised(
        hold=wire.hold_message(new),
        held_stocks=_stocks(seen, lot),
        recalled_shipments=[wire.recalled_message(one) for one in left],
    )
    return _lot_fact(lot, data, now)


dispose_lot = UseCase(
    name="dispose_lot",
    loads=lambda c, seen: [
        *lot_loads(c.plant_id, c.item_id, c.lot_id),
        LOT_SHIPMENTS.of(c.plant_id, c.item_id, c.lot_id),
    ],
    decide=decide_dispose,
)


# --- what a person says


def decide_hold(seen: Seen, command: wire.HoldLot, now: datetime) -> Decision:
    """Hold a lot by a person's word."""
    lot = seen.one(LOTS.key(command.plant_id, command.item_id, command.lot_id))
    new = _new_hold(lot, Cause.PERSON, command.hold_reason, now)
    hold.person_hold(seen.all(HOLDS.of(*_lot_key(lot))), new)
    said = wire.hold_message(new)
    fact = _lot_fact(lot, events.LotHeld(hold=said, stocks=_stocks(seen, lot)), now, command.business_key)
    return Decision(
        changed=[new, reallocated(seen, lot.plant_id)],
        facts=[fact],
        answer=messages.HoldLotResponse(hold=said),
        traceparent=lot.traceparent,
    )


hold_lot = UseCase(
    name="hold_lot",
    loads=lambda c, seen: lot_loads(c.plant_id, c.item_id, c.lot_id),
    decide=decide_hold,
    fingerprint=Fingerprint.of("plant_id", "item_id", "lot_id", "hold_reason"),
    answers=messages.HoldLotResponse,
)


def decide_release(seen: Seen, command: wire.ReleaseLot, now: datetime) -> Decision:
    """Release a hold that a person set."""
    known = seen.get(HOLDS.key(command.hold_id))
    named = known if known is not None and known.plant_id == command.plant_id else None
    ended = hold.person_release(named, command.hold_id, command.release_reason, now)
    lot = seen.one(LOTS.key(ended.plant_id, ended.item_id, ended.lot_id))
    others = [one for one in seen.all(HOLDS.of(*_lot_key(lot))) if one.stands and one.hold_id != ended.hold_id]
    return Decision(
        changed=[ended, reallocated(seen, lot.plant_id)],
        facts=[_released_fact(seen, lot, ended, not others, now, command.business_key)],
        answer=messages.ReleaseLotResponse(hold=wire.hold_message(ended)),
        traceparent=lot.traceparent,
    )


def _release_loads(command: wire.ReleaseLot, seen: Seen) -> Loads:
    key = HOLDS.key(command.hold_id)
    known = seen.get(key)
    return [key, *(lot_loads(known.plant_id, known.item_id, known.lot_id) if known is not None else ())]


release_lot = UseCase(
    name="release_lot",
    loads=_release_loads,
    decide=decide_release,
    fingerprint=Fingerprint.of("plant_id", "hold_id", "release_reason"),
    answers=messages.ReleaseLotResponse,
)


# --- which lots deliveries get


def decide_reallocate(seen: Seen, command: wire.Reallocate, now: datetime) -> Decision:
    """Keep what was computed, unless something changed meanwhile: then it is computed again."""
    mark = seen.get(ALLOCATION_MARKS.key(command.plant_id))
    if mark is None or mark.changes != command.changes:
        return Decision(moot="changed again meanwhile")
    changed = [one for one in command.allocations if seen.get(ALLOCATIONS.key(one.shipment_id)) != one]
    open_ids = {one.shipment_id for one in command.allocations}
    facts = [
        Fact(
            events.AllocationChanged(allocation=wire.allocation_message(one)),
            one.plant_id,
            one.shipment_id,
            one.shipment_id,
            now,
        )
        for one in changed
    ]
    gone = [one for one in command.before if one.shipment_id not in open_ids]
    return Decision(changed=[*changed, replace(mark, told=mark.changes)], removed=gone, facts=facts)


reallocate = UseCase(
    name="reallocate",
    loads=lambda c, seen: [
        ALLOCATION_MARKS.key(c.plant_id),
        *(ALLOCATIONS.key(one.shipment_id) for one in (*c.allocations, *c.before)),
    ],
    decide=decide_reallocate,
    is_traced=False,
)
