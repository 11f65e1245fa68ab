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
from services.inventory import hold_wire, wire
from services.inventory.domain import hold
from services.inventory.domain.allocation import AllocationMark
from services.inventory.domain.hold import OF_QUALITY, Cause, Disposition, Hold, InspectedItem, LotDisposition
from services.inventory.domain.ledger import OUTPUT, STORAGE, WAREHOUSE, Lot, Stock
from services.inventory.store import (
    ALLOCATION_MARKS,
    ALLOCATIONS,
    HOLDS,
    INSPECTED_ITEMS,
    LOT_DISPOSITIONS,
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


def disposed_loads(plant_id: str, item_id: str, lot_id: str) -> Loads:
    """A lot with what quality said of it as well."""
    return [*lot_loads(plant_id, item_id, lot_id), LOT_DISPOSITIONS.of(plant_id, item_id, lot_id)]


def hold_output(
    seen: Seen, command: wire.BookConfirmation, lot: Lot, now: datetime, booked: list[Stock]
) -> tuple[list[object], list[Fact]]:
    """(what changes, facts): output of an inspected item is held until its lot passes, or as was said of it before."""
    specifications = seen.all(INSPECTED_ITEMS.of(lot.plant_id, lot.item_id))
    of_lot = LOT_DISPOSITIONS.of(*_lot_key(lot))
    if not specifications or command.output is None or command.output.value <= 0 or not seen.has_all(of_lot):
        return [], []  # a first specification heard in this very batch: the lot is held when its inspection opens
    said = seen.all(of_lot)
    is_inspected = any(one.is_inspected(lot.item_id, command.plant_day) for one in specifications)
    is_awaited = is_inspected and all(one.work_order_id != command.work_order_id for one in said)
    awaited = [hold.awaited(*_lot_key(lot), command.work_order_id)] if is_awaited else []
    held, facts = _hold_as_disposed(seen, lot, [*said, *awaited], now, booked)
    return [*awaited, *held], facts


def _hold_as_disposed(
    seen: Seen, lot: Lot, said: list[LotDisposition], now: datetime, booked: list[Stock] | None = None
) -> tuple[list[object], list[Fact]]:
    """(what changes, facts): the lot's holds of quality as the gravest of its dispositions wants them."""
    judged = hold.gravest(said)
    if judged is None:
        return [], []
    holds = seen.all(HOLDS.of(*_lot_key(lot)))
    cause = OF_QUALITY.get(judged.disposition)
    new = _new_hold(lot, cause, judged.reason, now) if cause is not None else None
    set_now, ended = hold.dispose(judged.disposition, judged.reason, holds, new, now)
    facts = []
    if set_now is not None:
        fact = events.LotHeld(hold=hold_wire.hold_message(set_now), stocks=_stocks(seen, lot, booked))
        facts.append(_lot_fact(lot, fact, now))
    standing = {one.hold_id for one in [*holds, *([set_now] if set_now else [])] if one.stands}
    is_available = not standing - {one.hold_id for one in ended}
    facts += [_released_fact(seen, lot, one, is_available, now, None) for one in ended]
    held: list[object] = [*ended, *([set_now] if set_now else [])]
    return [*held, *([reallocated(seen, lot.plant_id)] if held else [])], facts


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
    said = events.LotReleased(hold=hold_wire.hold_message(ended), stocks=_stocks(seen, lot), is_available=is_available)
    return _lot_fact(lot, said, now, key)


# --- what quality says


def decide_inspected(seen: Seen, command: InspectedItem, now: datetime) -> Decision:
    """Lots of the item are inspected from now on, as its test specification says."""
    if seen.get(INSPECTED_ITEMS.key(*INSPECTED_ITEMS.key_of(command))) == command:
        return Decision(moot="known already")
    return Decision(changed=[command])


record_inspected_item = UseCase(
    name="record_inspected_item",
    loads=lambda c, seen: [INSPECTED_ITEMS.key(*INSPECTED_ITEMS.key_of(c))],
    decide=decide_inspected,
)


def decide_dispose(seen: Seen, command: hold_wire.DisposeLot, now: datetime) -> Decision:
    """Hold or release a lot as its inspections say; what is said before its output is booked is kept until then."""
    key = command.said.plant_id, command.said.item_id, command.said.lot_id
    known = seen.all(LOT_DISPOSITIONS.of(*key))
    before = next((one for one in known if one.inspection_id == command.said.inspection_id), None)
    if before is not None and before.disposition is command.said.disposition:
        return Decision(moot=f"the lot is {before.disposition.value} already", traceparent=command.traceparent)
    after = command.said.after(before)
    awaited = [one for one in known if not one.inspection_id and one.work_order_id == after.work_order_id]
    left = [one for one in known if one is not before and one not in awaited]
    lot = seen.get(LOTS.key(*key))
    if lot is None:
        # The mark is what a booking of the lot, which reads its dispositions, meets this one at: one of the two comes behind.
        return Decision(changed=[after, reallocated(seen, after.plant_id)], traceparent=command.traceparent)
    changed, facts = _hold_as_disposed(seen, lot, [*left, after], now)
    if _is_recall(known, [*left, after]):
        facts.append(_recall(seen, lot, after.reason, now))
    return Decision(changed=[after, *changed], removed=awaited, facts=facts, traceparent=lot.traceparent)


def _is_recall(before: list[LotDisposition], after: list[LotDisposition]) -> bool:
    """The lot fails now, and had passed."""
    was, now_is = hold.gravest(before), hold.gravest(after)
    is_failing = now_is is not None and now_is.disposition is Disposition.FAILED
    return (
        is_failing
        and (was is None or was.disposition is not Disposition.FAILED)
        and any(one.has_passed for one in before)
    )


def _lot_key(lot: Lot) -> tuple[str, str, str]:
    return lot.plant_id, lot.item_id, lot.lot_id


def _recall(seen: Seen, lot: Lot, reason: str, now: datetime) -> Fact:
    """The lot had passed: what is here is held, what has left is listed."""
    left = seen.all(LOT_SHIPMENTS.of(*_lot_key(lot)))
    new = _new_hold(lot, Cause.INSPECTION_FAILED, reason, now)
    data = events.RecallRaised(
        hold=hold_wire.hold_message(new),
        held_stocks=_stocks(seen, lot),
        recalled_shipments=[hold_wire.recalled_message(one) for one in left],
    )
    return _lot_fact(lot, data, now)


dispose_lot = UseCase(
    name="dispose_lot",
    loads=lambda c, seen: [
        *disposed_loads(c.said.plant_id, c.said.item_id, c.said.lot_id),
        LOT_SHIPMENTS.of(c.said.plant_id, c.said.item_id, c.said.lot_id),
    ],
    decide=decide_dispose,
)


# --- what a person says


def decide_hold(seen: Seen, command: hold_wire.HoldLot, now: datetime) -> Decision:
    """Hold a lot by a person's word."""
    lot = seen.one(LOTS.key(command.plant_id, command.item_id, command.lot_id))
    new = _new_hold(lot, Cause.PERSON, command.hold_reason, now)
    hold.person_hold(seen.all(HOLDS.of(*_lot_key(lot))), new)
    said = hold_wire.hold_message(new)
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


def decide_release(seen: Seen, command: hold_wire.ReleaseLot, now: datetime) -> Decision:
    """Release a hold that a person set."""
    known = seen.get(HOLDS.key(command.hold_id))
    named = known if known is not None and known.plant_id == command.plant_id else None
    ended = hold.person_release(named, command.hold_id, command.release_reason, now)
    lot = seen.one(LOTS.key(ended.plant_id, ended.item_id, ended.lot_id))
    others = [one for one in seen.all(HOLDS.of(*_lot_key(lot))) if one.stands and one.hold_id != ended.hold_id]
    return Decision(
        changed=[ended, reallocated(seen, lot.plant_id)],
        facts=[_released_fact(seen, lot, ended, not others, now, command.business_key)],
        answer=messages.ReleaseLotResponse(hold=hold_wire.hold_message(ended)),
        traceparent=lot.traceparent,
    )


def _release_loads(command: hold_wire.ReleaseLot, seen: Seen) -> Loads:
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


def decide_reallocate(seen: Seen, command: hold_wire.Reallocate, now: datetime) -> Decision:
    """Keep what was computed, unless something changed meanwhile: then it is computed again."""
    mark = seen.get(ALLOCATION_MARKS.key(command.plant_id))
    if mark is None or mark.changes != command.changes:
        return Decision(moot="changed again meanwhile")
    changed = [one for one in command.allocations if seen.get(ALLOCATIONS.key(one.shipment_id)) != one]
    open_ids = {one.shipment_id for one in command.allocations}
    facts = [
        Fact(
            events.AllocationChanged(allocation=hold_wire.allocation_message(one)),
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
