"""Decisions on held lots: what quality says, what persons say, and what is made and shipped meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.domain import BusinessKey
from servicekit.use_case import Decision, Seen
from services.inventory import hold_use_cases, use_cases, wire
from services.inventory.domain.allocation import AllocatedLot, Allocation, AllocationMark
from services.inventory.domain.hold import (
    Cause,
    Disposition,
    Hold,
    HoldMissing,
    HoldNotYours,
    InspectedItem,
    LotHeldAlready,
)
from services.inventory.domain.ledger import OUTPUT, SCRAP, STORAGE, WAREHOUSE, Lot, LotMissing, Stock
from services.inventory.domain.shipment import LotShipment, ShippedLot
from services.inventory.store import STORE
from tests.inventory.domain.test_allocation import a_delivery
from tests.inventory.test_use_cases import KEY, LOT, a_booking, pieces
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
INSPECTED = InspectedItem("aachen", "PUMP-100", date(2026, 1, 1), None)
MADE = Stock("aachen", "PUMP-100", "P-1", OUTPUT, pieces("4"))
LEFT = LotShipment("aachen", "PUMP-100", "P-1", "aachen-delivery-1", "1", "Acme", pieces("3"))


def says(disposition: Disposition, reason: str = "pH 9.1 is above 8.5") -> wire.DisposeLot:
    return wire.DisposeLot("aachen", "PUMP-100", "P-1", "aachen-1", disposition, reason, "")


def a_hold(cause: Cause) -> Hold:
    return Hold("aachen", "PUMP-100", "P-1", cause, "aachen-1", "why", NOW)


def in_state(disposition: Disposition, *holds: Cause) -> list[object]:
    return [replace(LOT, disposition=disposition), MADE, *map(a_hold, holds)]


def standing(nouns: Any) -> set[Cause]:
    return {noun.cause for noun in nouns if isinstance(noun, Hold) and noun.stands}


def test_output_of_an_inspected_item_is_held_with_what_was_booked() -> None:
    decision = use_cases.decide_book(seen(STORE, INSPECTED), a_booking(), NOW)
    assert facts_of(decision) == ["InventoryMoved", "LotHeld", "OutputStored"]
    held: Any = decision.facts[1].data
    assert [stock.quantity.value for stock in held.stocks] == ["4"]
    assert standing(decision.changed) == {Cause.INSPECTION_PENDING}
    assert any(isinstance(noun, AllocationMark) for noun in decision.changed)


@pytest.mark.parametrize(
    "before",
    [
        [],  # nobody inspects it
        [replace(INSPECTED, effective_start_date=date(2026, 11, 25))],
        [replace(INSPECTED, effective_end_date=date(2026, 11, 23))],
        [INSPECTED, *in_state(Disposition.PASSED)],
        [INSPECTED, *in_state(Disposition.FAILED, Cause.INSPECTION_FAILED)],
    ],
)
def test_output_is_not_held_anew(before: list[object]) -> None:
    decision = use_cases.decide_book(seen(STORE, *before), a_booking(), NOW)
    assert facts_of(decision) == ["InventoryMoved", "OutputStored"]


def test_a_reversal_holds_nothing() -> None:
    assert "LotHeld" not in facts_of(use_cases.decide_book(seen(STORE, INSPECTED), a_booking(-1), NOW))


def test_a_lot_that_passes_is_free() -> None:
    before = in_state(Disposition.PENDING, Cause.INSPECTION_PENDING)
    decision = hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.PASSED), NOW)
    assert facts_of(decision) == ["LotReleased"]
    assert decision.facts[0].data.is_available  # type: ignore[attr-defined]
    assert decision.facts[0].order_key == "aachen-1"


def test_a_lot_that_passes_stays_held_while_a_person_holds_it() -> None:
    before = in_state(Disposition.PENDING, Cause.INSPECTION_PENDING, Cause.PERSON)
    decision = hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.PASSED), NOW)
    assert facts_of(decision) == ["LotReleased"]
    assert not decision.facts[0].data.is_available  # type: ignore[attr-defined]


def test_a_lot_that_fails_is_held_before_it_is_released_from_pending() -> None:
    before = in_state(Disposition.PENDING, Cause.INSPECTION_PENDING)
    decision = hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.FAILED), NOW)
    assert facts_of(decision) == ["LotHeld", "LotReleased"]
    assert not decision.facts[1].data.is_available  # type: ignore[attr-defined]


def test_a_lot_that_fails_after_release_is_recalled_with_what_is_here_and_what_left() -> None:
    before = [*in_state(Disposition.PASSED), LEFT]
    decision = hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.FAILED), NOW)
    assert facts_of(decision) == ["LotHeld", "RecallRaised"]
    recall: Any = decision.facts[1].data
    assert [stock.quantity.value for stock in recall.held_stocks] == ["4"]
    assert [(one.customer_name, one.quantity.value) for one in recall.recalled_shipments] == [("Acme", "3")]


def test_a_disposition_said_twice_is_moot() -> None:
    before = in_state(Disposition.FAILED, Cause.INSPECTION_FAILED)
    assert hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.FAILED), NOW).moot


def run(state: Seen, command: Any) -> Decision:
    decide = use_cases.decide_book if isinstance(command, wire.BookConfirmation) else hold_use_cases.decide_dispose
    decision = decide(state, command, NOW)
    state.apply(STORE.by_type, decision)
    return decision


def nothing_known() -> Seen:
    """An inspected item, and a lot of which all was loaded that there is: nothing."""
    state, lot = seen(STORE, INSPECTED), ("aachen", "PUMP-100", "P-1")
    for noun in (Hold, LotShipment):
        state._whole.add((STORE.by_type[noun], lot))
    places = [
        ("aachen", "PUMP-100", "P-1", OUTPUT),
        ("aachen", "PUMP-100", "", SCRAP),
        ("aachen", "HSG-10", "H-1", STORAGE),
    ]
    absent: dict[type, list[tuple[str, ...]]] = {Lot: [lot], AllocationMark: [("aachen",)], Stock: places}
    for noun, keys in absent.items():
        state._put_loaded(STORE.by_type[noun], keys, {})
    return state


LAST = [Disposition.PENDING, Disposition.PASSED, Disposition.FAILED]


@given(st.lists(st.sampled_from(LAST), min_size=1, max_size=4), st.integers(0, 4))
def test_whenever_the_output_is_booked_the_last_disposition_holds_or_frees_its_lot(
    said: list[Disposition], booked_at: int
) -> None:
    commands: list[Any] = [says(disposition) for disposition in said]
    commands.insert(min(booked_at, len(commands)), a_booking())
    state = nothing_known()
    for command in commands:
        run(state, command)
    held = standing(state.all(hold_use_cases.HOLDS.of("aachen", "PUMP-100", "P-1")))
    wanted = {
        Disposition.PENDING: {Cause.INSPECTION_PENDING},
        Disposition.PASSED: set(),
        Disposition.FAILED: {Cause.INSPECTION_FAILED},
    }
    last = said[-1]
    assert held == wanted[last]


def a_person_holds(**changes: Any) -> wire.HoldLot:
    return replace(wire.HoldLot(KEY, "aachen", "PUMP-100", "P-1", "scratched"), **changes)


def test_a_person_holds_a_lot_once() -> None:
    decision = hold_use_cases.decide_hold(seen(STORE, *in_state(Disposition.PASSED)), a_person_holds(), NOW)
    assert facts_of(decision) == ["LotHeld"]
    before = in_state(Disposition.PASSED, Cause.PERSON)
    with pytest.raises(LotHeldAlready):
        hold_use_cases.decide_hold(seen(STORE, *before), a_person_holds(), NOW)
    with pytest.raises(LotMissing):
        hold_use_cases.decide_hold(seen(STORE), a_person_holds(), NOW)


def releases(cause: Cause, plant_id: str = "aachen") -> wire.ReleaseLot:
    return wire.ReleaseLot(BusinessKey("desk", "release", "1"), plant_id, a_hold(cause).hold_id, "polished")


def test_a_person_releases_what_a_person_holds_and_nothing_else() -> None:
    before = in_state(Disposition.FAILED, Cause.INSPECTION_FAILED, Cause.PERSON)
    decision = hold_use_cases.decide_release(seen(STORE, *before), releases(Cause.PERSON), NOW)
    assert facts_of(decision) == ["LotReleased"]
    assert not decision.facts[0].data.is_available  # type: ignore[attr-defined]
    with pytest.raises(HoldNotYours):
        hold_use_cases.decide_release(seen(STORE, *before), releases(Cause.INSPECTION_FAILED), NOW)
    with pytest.raises(HoldMissing):
        hold_use_cases.decide_release(seen(STORE, *before), releases(Cause.INSPECTION_PENDING), NOW)
    with pytest.raises(HoldMissing):
        hold_use_cases.decide_release(seen(STORE, *before), releases(Cause.PERSON, "brno"), NOW)


def test_a_held_lot_that_was_shipped_is_booked_and_said() -> None:
    delivery = a_delivery("1", 4)
    stock = Stock("aachen", "PUMP-100", "P-1", WAREHOUSE, pieces("4"))
    lots = (ShippedLot("PUMP-100", "P-1", pieces("1")), ShippedLot("PUMP-100", "P-1", pieces("3")))
    command = wire.ConfirmShipment(KEY, delivery.shipment_id, lots, NOW)
    before = [delivery, stock, *in_state(Disposition.FAILED, Cause.INSPECTION_FAILED)]
    decision = use_cases.decide_ship(seen(STORE, *before), command, NOW)
    said: Any = decision.facts[-1].data
    assert facts_of(decision)[-1] == "HeldLotShipped"
    assert (said.shipment.quantity.value, said.hold.lot_id) == ("4", "P-1")
    assert [noun.quantity for noun in decision.changed if isinstance(noun, LotShipment)] == [pieces("4")]


def test_allocations_are_kept_only_if_nothing_changed_since_they_were_computed() -> None:
    got = Allocation("aachen-delivery-1", "aachen", (AllocatedLot("PUMP-100", "P-1", pieces("4")),))
    gone = Allocation("aachen-delivery-0", "aachen")
    command = wire.Reallocate("aachen", 7, (got,), (gone,))
    assert hold_use_cases.decide_reallocate(seen(STORE, AllocationMark("aachen", 8, 3)), command, NOW).moot
    mark = AllocationMark("aachen", 7, 3)
    decision = hold_use_cases.decide_reallocate(seen(STORE, mark, gone), command, NOW)
    assert facts_of(decision) == ["AllocationChanged"]
    assert (decision.removed, decision.changed[-1]) == ([gone], AllocationMark("aachen", 7, 7))
    assert facts_of(hold_use_cases.decide_reallocate(seen(STORE, mark, got), command, NOW)) == []
