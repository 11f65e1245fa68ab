"""What the ERP is asked of held lots and inspections, and when. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.hold_pb2 import Hold
from isthmus.inventory.v1.inventory_events_pb2 import LotHeld, LotReleased
from isthmus.production.v1.production_events_pb2 import WorkOrderTotals
from isthmus.quality.v1.inspection_pb2 import Disposition, Inspection
from isthmus.quality.v1.quality_events_pb2 import DispositionDecided, InspectionAdvanced, InspectionOpened
from servicekit.facts import EventMeta
from servicekit.use_case import Decision, Seen
from services.gateway import event_handlers, hold_wire, use_cases, wire
from services.gateway.domain.erp_order import ErpFeed, ErpOrder, Step
from services.gateway.domain.held_lot import HeldLot
from services.gateway.store import STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ORDER = ErpOrder("ghent-1", "ghent", "1", "RESIN-7", Step.RELEASED, "", False, "")
LOT = HeldLot("ghent", "RESIN-7", "R-1", "ghent-1", None, "pending", True, False, 0)
HOLD = hold_wire.HoldInErp(LOT, "")
FREE = hold_wire.ReleaseInErp("ghent", "RESIN-7", "R-1", "ghent-1", "passed", True, "")
COMPLETE = wire.CompleteInErp("ghent-1", WorkOrderTotals())
INSPECTION = Inspection(
    inspection_id="i-1", work_order_id="ghent-1", item_id="RESIN-7", disposition=Disposition.DISPOSITION_FAILED
)
INSPECT = hold_wire.InspectInErp("i-1", "ghent-1", INSPECTION, True)


seen_with = partial(seen, STORE)


def decide(found: Seen, use_case: Any, command: Any) -> Decision:
    for want in use_case.loads(command, found):
        if hasattr(want, "is_shared"):
            found._nouns.setdefault((want.rows, want.values), None)
    decision = use_case.decide(found, command, NOW)
    found.apply(STORE.by_type, decision)
    return decision


def kinds(decision: Decision) -> list[str]:
    return [posting.kind for posting in decision.postings]


def test_a_hold_and_a_failed_inspection_wait_for_the_orders_completion_and_stand_behind_it() -> None:
    found = seen_with(ORDER, ErpFeed("ghent", "", "8.0"))
    assert kinds(decide(found, use_cases.hold_in_erp, HOLD)) == []
    assert kinds(decide(found, use_cases.inspect_in_erp, INSPECT)) == []
    completed = decide(found, use_cases.complete_in_erp, COMPLETE)
    assert kinds(completed) == ["complete_work_order", "hold_lot", "record_inspection"]
    assert {posting.order_key for posting in completed.postings} == {"ghent-1"}
    assert kinds(decide(found, use_cases.release_in_erp, FREE)) == ["release_lot"]
    assert decide(found, use_cases.hold_in_erp, HOLD).postings[0].key == "ghent~RESIN-7~R-1/hold-2"


def test_a_hold_that_is_over_before_the_order_is_complete_never_reaches_the_erp() -> None:
    found = seen_with(ORDER, ErpFeed("ghent", "", "8.0"))
    decide(found, use_cases.hold_in_erp, HOLD)
    assert decide(found, use_cases.release_in_erp, replace(FREE, is_available=False)).moot == "another hold stands"
    assert kinds(decide(found, use_cases.release_in_erp, FREE)) == []
    assert kinds(decide(found, use_cases.complete_in_erp, COMPLETE)) == ["complete_work_order"]


def test_a_plant_without_an_erp_is_asked_for_nothing() -> None:
    assert decide(seen_with(ORDER), use_cases.hold_in_erp, HOLD).moot == "the plant has no ERP that we know"


# --- the warehouse's part


META = EventMeta(Envelope(event_id="e-1", plant_id="ghent", order_key="ghent-1"))
QUARANTINE = Hold(hold_id="h-1", plant_id="ghent", item_id="RESIN-7", lot_id="R-1", work_order_id="ghent-1")


def test_the_warehouse_blocks_a_held_lot_also_where_no_erp_is_asked() -> None:
    asked = decide(seen_with(ORDER), use_cases.hold_in_erp, hold_wire.hold(LotHeld(hold=QUARANTINE), META))
    assert (kinds(asked), asked.moot) == (["block_lot"], "")
    assert asked.postings[0].payload.is_blocked


def test_the_warehouse_frees_a_lot_only_when_no_hold_of_it_stands() -> None:
    one_of_two, last = (
        hold_wire.release(LotReleased(hold=QUARANTINE, is_available=last), META) for last in (False, True)
    )
    assert kinds(decide(seen_with(ORDER), use_cases.release_in_erp, one_of_two)) == []
    freed = decide(seen_with(ORDER), use_cases.release_in_erp, last)
    assert kinds(freed) == ["block_lot"]
    assert not freed.postings[0].payload.is_blocked


def test_the_qms_is_asked_only_where_the_specification_needs_its_word() -> None:
    inspection = Inspection(inspection_id="i-1", plant_id="ghent", work_order_id="ghent-1")
    assert event_handlers.ask_verdict(InspectionOpened(inspection=inspection), META) is None
    inspection.test_specification.needs_verdict = True
    asked = event_handlers.ask_verdict(InspectionOpened(inspection=inspection), META)
    assert asked is not None
    assert kinds(decide(seen_with(), asked.use_case, asked.command)) == ["ask_verdict"]


def test_the_erp_hears_what_came_in_after_a_lot_failed_and_nothing_of_one_that_is_pending() -> None:
    inspection = Inspection(inspection_id="i-1", work_order_id="ghent-1")
    inspection.disposition = Disposition.DISPOSITION_PENDING
    assert event_handlers.complete_inspection_in_erp(InspectionAdvanced(inspection=inspection), META) is None
    inspection.disposition = Disposition.DISPOSITION_FAILED
    found = seen_with(replace(ORDER, is_completing=True), ErpFeed("ghent", "", "8.0"))
    inspection.results.add(characteristic_id="viscosity")
    decide(found, use_cases.inspect_in_erp, hold_wire.inspect(DispositionDecided(inspection=inspection)))
    inspection.results.add(characteristic_id="solids")
    told = event_handlers.complete_inspection_in_erp(InspectionAdvanced(inspection=inspection), META)
    assert told is not None
    (posting,) = decide(found, told.use_case, told.command).postings
    assert (posting.key, [point.characteristic_id for point in posting.payload.points]) == (
        "i-1/2",
        ["viscosity", "solids"],
    )


def test_that_an_order_waits_is_said_once_a_reason_and_not_after_it_was_taken() -> None:
    noticed = replace(ORDER, step=Step.NOTICED)
    delay = wire.RecordDelay("ghent-1", "BILL_OF_MATERIALS_NOT_EFFECTIVE", "not before tomorrow")
    first = use_cases.decide_delay(seen(STORE, noticed), delay, NOW)
    assert facts_of(first) == ["ErpOrderDelayed"]
    (waiting,) = first.changed
    assert facts_of(use_cases.decide_delay(seen(STORE, waiting), delay, NOW)) == []
    other = replace(delay, reason="RESOURCE_RETIRED")
    assert facts_of(use_cases.decide_delay(seen(STORE, waiting), other, NOW)) == ["ErpOrderDelayed"]
    assert facts_of(use_cases.decide_delay(seen(STORE, ORDER), delay, NOW)) == []
