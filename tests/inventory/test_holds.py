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
from services.inventory import hold_use_cases, hold_wire, use_cases, wire
from services.inventory.domain.allocation import AllocatedLot, Allocation, AllocationMark
from services.inventory.domain.hold import (
    Cause,
    Disposition,
    Hold,
    HoldMissing,
    HoldNotYours,
    InspectedItem,
    LotDisposition,
    LotHeldAlready,
)
from services.inventory.domain.ledger import OUTPUT, SCRAP, STORAGE, WAREHOUSE, Lot, LotMissing, Stock
from services.inventory.domain.shipment import LotShipment, ShippedLot
from services.inventory.store import STORE
from tests.inventory.domain.test_allocation import a_delivery
from tests.inventory.test_use_cases import KEY, LOT, a_booking, pieces
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
INSPECTED = InspectedItem("aachen", "SPEC-1", "PUMP-100", date(2026, 1, 1), None)
MADE = Stock("aachen", "PUMP-100", "P-1", OUTPUT, pieces("4"))
LEFT = LotShipment("aachen", "PUMP-100", "P-1", "aachen-delivery-1", "1", "Acme", pieces("3"))


def was_said(
    disposition: Disposition, reason: str = "pH 9.1 is above 8.5", *, order: str = "aachen-1", has_passed: bool = False
) -> LotDisposition:
    lot = ("aachen", "PUMP-100", "P-1")
    return LotDisposition(*lot, order, f"{order}-20-P-1", disposition, reason, has_passed)


def says(disposition: Disposition, order: str = "aachen-1") -> hold_wire.DisposeLot:
    return hold_wire.DisposeLot(was_said(disposition, order=order), "")


def a_hold(cause: Cause) -> Hold:
    return Hold("aachen", "PUMP-100", "P-1", cause, "aachen-1", "why", NOW)


def in_state(disposition: Disposition, *holds: Cause) -> list[object]:
    has_passed = disposition is Disposition.PASSED
    return [LOT, MADE, was_said(disposition, has_passed=has_passed), *map(a_hold, holds)]


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


def test_a_lot_that_passed_and_was_looked_at_again_is_recalled_when_it_fails() -> None:
    before = [LOT, MADE, LEFT, was_said(Disposition.PENDING, has_passed=True), a_hold(Cause.INSPECTION_PENDING)]
    decision = hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.FAILED), NOW)
    assert facts_of(decision) == ["LotHeld", "LotReleased", "RecallRaised"]


def test_that_a_lot_had_passed_is_remembered_while_it_is_looked_at_again_and_not_after_it_failed() -> None:
    state = nothing_known()
    run(state, a_booking())
    said = (Disposition.PASSED, Disposition.PENDING, Disposition.FAILED, Disposition.PENDING, Disposition.FAILED)
    recalls = ["RecallRaised" in facts_of(run(state, says(one))) for one in said]
    assert recalls == [False, False, True, False, False]


def test_ids_of_holds_do_not_meet() -> None:
    one = Hold("aachen", "A-B", "C", Cause.PERSON, "", "", NOW)
    assert one.hold_id != replace(one, item_id="A", lot_id="B-C").hold_id


def test_a_specification_that_moved_to_another_item_holds_its_lots_no_more() -> None:
    moved = replace(INSPECTED, item_id="VALVE-20")
    assert not moved.is_inspected("PUMP-100", NOW.date())
    assert moved.is_inspected("VALVE-20", NOW.date())


def test_a_lot_that_never_passed_is_not_recalled() -> None:
    before = [LOT, MADE, LEFT, was_said(Disposition.PENDING), a_hold(Cause.INSPECTION_PENDING)]
    decision = hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.FAILED), NOW)
    assert "RecallRaised" not in facts_of(decision)


def test_a_lot_of_two_orders_is_free_when_both_passed() -> None:
    before = [*in_state(Disposition.FAILED, Cause.INSPECTION_FAILED)]
    decision = hold_use_cases.decide_dispose(seen(STORE, *before), says(Disposition.PASSED, "aachen-2"), NOW)
    assert facts_of(decision) == []
    assert standing(decision.changed) == set()


def test_what_another_order_adds_to_a_lot_that_passed_is_held_and_recalls_what_left_when_it_fails() -> None:
    before = [INSPECTED, LEFT, *in_state(Disposition.PASSED)]
    grown = replace(a_booking(), work_order_id="aachen-2", document_id="c2")
    state = seen(STORE, *before)
    decision = use_cases.decide_book(state, grown, NOW)
    assert standing(decision.changed) == {Cause.INSPECTION_PENDING}
    awaited = [noun for noun in decision.changed if isinstance(noun, LotDisposition | Hold)]
    failed = hold_use_cases.decide_dispose(seen(STORE, *before, *awaited), says(Disposition.FAILED, "aachen-2"), NOW)
    assert facts_of(failed) == ["LotHeld", "LotReleased", "RecallRaised"]


def test_a_disposition_before_its_output_is_kept_and_makes_no_lot_known() -> None:
    decision = hold_use_cases.decide_dispose(seen(STORE, INSPECTED), says(Disposition.FAILED), NOW)
    kept, mark = decision.changed
    assert (facts_of(decision), kept) == ([], was_said(Disposition.FAILED))
    assert isinstance(mark, AllocationMark)  # what a booking at the same moment meets it at
    booked = use_cases.decide_book(seen(STORE, INSPECTED, *decision.changed), a_booking(), NOW)
    assert facts_of(booked) == ["InventoryMoved", "LotHeld", "OutputStored"]
    assert standing(booked.changed) == {Cause.INSPECTION_FAILED}


def test_a_specification_for_later_leaves_the_one_of_today_in_force() -> None:
    later = replace(INSPECTED, test_specification_id="SPEC-2", effective_start_date=date(2027, 1, 1))
    decision = use_cases.decide_book(seen(STORE, INSPECTED, later), a_booking(), NOW)
    assert "LotHeld" in facts_of(decision)


def test_output_booked_in_the_batch_that_first_hears_of_its_specification_is_booked_all_the_same() -> None:
    state = nothing_known(is_inspected=False)
    state.apply(STORE.by_type, Decision(changed=[INSPECTED]))
    assert facts_of(run(state, a_booking())) == ["InventoryMoved", "OutputStored"]


def run(state: Seen, command: Any) -> Decision:
    decide = use_cases.decide_book if isinstance(command, wire.BookConfirmation) else hold_use_cases.decide_dispose
    decision = decide(state, command, NOW)
    state.apply(STORE.by_type, decision)
    return decision


def nothing_known(*, is_inspected: bool = True) -> Seen:
    """A lot of which all was loaded that there is: nothing. Of an item that nobody inspects, less is loaded."""
    state, lot = Seen(), ("aachen", "PUMP-100", "P-1")
    rows = STORE.by_type
    state._whole.add((rows[InspectedItem], lot[:2]))
    places = [("aachen", "PUMP-100", "P-1", OUTPUT), ("aachen", "PUMP-100", "", SCRAP)]
    absent: dict[type, list[tuple[str, ...]]] = {Lot: [lot], Stock: [*places, ("aachen", "HSG-10", "H-1", STORAGE)]}
    if is_inspected:
        absent[AllocationMark] = [("aachen",)]
        state._whole |= {(rows[noun], lot) for noun in (Hold, LotShipment, LotDisposition)}
        state._put_loaded(rows[InspectedItem], (), {("aachen", "SPEC-1"): INSPECTED})
    for noun, keys in absent.items():
        state._put_loaded(rows[noun], keys, {})
    return state


SAID = st.lists(st.sampled_from(Disposition), max_size=3)
OF_LAST = {
    Disposition.PENDING: {Cause.INSPECTION_PENDING},
    Disposition.PASSED: set(),
    Disposition.FAILED: {Cause.INSPECTION_FAILED},
}


@given(SAID, SAID, st.data())
def test_in_whatever_order_production_and_quality_are_heard_the_lot_ends_the_same(
    first: list[Disposition], second: list[Disposition], data: st.DataObject
) -> None:
    """Two orders make one lot; what quality says of each comes in its order, and production's bookings anywhere between."""
    streams: list[list[Any]] = [
        [a_booking()],
        [replace(a_booking(), work_order_id="aachen-2", document_id="c2")],
        [says(one) for one in first],
        [says(one, "aachen-2") for one in second],
    ]
    state = nothing_known()
    while any(streams):
        run(state, data.draw(st.sampled_from([one for one in streams if one])).pop(0))
    last = [(said or [Disposition.PENDING])[-1] for said in (first, second)]
    worst = max(last, key=[Disposition.PASSED, Disposition.PENDING, Disposition.FAILED].index)
    assert standing(state.all(hold_use_cases.HOLDS.of("aachen", "PUMP-100", "P-1"))) == OF_LAST[worst]


def a_person_holds(**changes: Any) -> hold_wire.HoldLot:
    return replace(hold_wire.HoldLot(KEY, "aachen", "PUMP-100", "P-1", "scratched"), **changes)


def test_a_person_holds_a_lot_once() -> None:
    decision = hold_use_cases.decide_hold(seen(STORE, *in_state(Disposition.PASSED)), a_person_holds(), NOW)
    assert facts_of(decision) == ["LotHeld"]
    before = in_state(Disposition.PASSED, Cause.PERSON)
    with pytest.raises(LotHeldAlready):
        hold_use_cases.decide_hold(seen(STORE, *before), a_person_holds(), NOW)
    with pytest.raises(LotMissing):
        hold_use_cases.decide_hold(seen(STORE), a_person_holds(), NOW)


def releases(cause: Cause, plant_id: str = "aachen") -> hold_wire.ReleaseLot:
    return hold_wire.ReleaseLot(BusinessKey("desk", "release", "1"), plant_id, a_hold(cause).hold_id, "polished")


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
    command = hold_wire.Reallocate("aachen", 7, (got,), (gone,))
    assert hold_use_cases.decide_reallocate(seen(STORE, AllocationMark("aachen", 8, 3)), command, NOW).moot
    mark = AllocationMark("aachen", 7, 3)
    decision = hold_use_cases.decide_reallocate(seen(STORE, mark, gone), command, NOW)
    assert facts_of(decision) == ["AllocationChanged"]
    assert (decision.removed, decision.changed[-1]) == ([gone], AllocationMark("aachen", 7, 7))
    assert facts_of(hold_use_cases.decide_reallocate(seen(STORE, mark, got), command, NOW)) == []
