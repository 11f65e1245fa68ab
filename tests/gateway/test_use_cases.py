"""What the ERP is asked of held lots and inspections, and when. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from isthmus.production.v1.production_events_pb2 import WorkOrderTotals
from isthmus.quality.v1.inspection_pb2 import Disposition, Inspection
from servicekit.use_case import Decision, Seen
from services.gateway import use_cases, wire
from services.gateway.domain.erp_order import ErpFeed, ErpOrder, Step
from services.gateway.domain.held_lot import HeldLot
from services.gateway.store import STORE

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ORDER = ErpOrder("ghent-1", "ghent", "1", "RESIN-7", Step.RELEASED, "", False, "")
LOT = HeldLot("ghent", "RESIN-7", "R-1", "ghent-1", None, "pending", True, False, 0)
HOLD = wire.HoldInErp(LOT, "")
FREE = wire.ReleaseInErp("ghent", "RESIN-7", "R-1", "ghent-1", "passed", True, "")
COMPLETE = wire.CompleteInErp("ghent-1", WorkOrderTotals())
INSPECTION = Inspection(
    inspection_id="i-1", work_order_id="ghent-1", item_id="RESIN-7", disposition=Disposition.DISPOSITION_FAILED
)
INSPECT = wire.InspectInErp("i-1", "ghent-1", INSPECTION, True)


def seen_with(*nouns: object) -> Seen:
    seen = Seen()
    for noun in nouns:
        rows = STORE.by_type[type(noun)]
        seen._put_loaded(rows, (), {rows.key_of(noun): noun})
    return seen


def decide(seen: Seen, use_case: Any, command: Any) -> Decision:
    for want in use_case.loads(command, seen):
        if hasattr(want, "is_shared"):
            seen._nouns.setdefault((want.rows, want.values), None)
    decision = use_case.decide(seen, command, NOW)
    seen.apply(STORE.by_type, decision)
    return decision


def kinds(decision: Decision) -> list[str]:
    return [posting.kind for posting in decision.postings]


def test_a_hold_and_a_failed_inspection_wait_for_the_orders_completion_and_stand_behind_it() -> None:
    seen = seen_with(ORDER, ErpFeed("ghent", "", "8.0"))
    assert kinds(decide(seen, use_cases.hold_in_erp, HOLD)) == []
    assert kinds(decide(seen, use_cases.inspect_in_erp, INSPECT)) == []
    completed = decide(seen, use_cases.complete_in_erp, COMPLETE)
    assert kinds(completed) == ["complete_work_order", "hold_lot", "record_inspection"]
    assert {posting.order_key for posting in completed.postings} == {"ghent-1"}
    assert kinds(decide(seen, use_cases.release_in_erp, FREE)) == ["release_lot"]
    assert decide(seen, use_cases.hold_in_erp, HOLD).postings[0].key == "ghent-RESIN-7-R-1/hold-2"


def test_a_hold_that_is_over_before_the_order_is_complete_never_reaches_the_erp() -> None:
    seen = seen_with(ORDER, ErpFeed("ghent", "", "8.0"))
    decide(seen, use_cases.hold_in_erp, HOLD)
    assert decide(seen, use_cases.release_in_erp, replace(FREE, is_available=False)).moot == "another hold stands"
    assert kinds(decide(seen, use_cases.release_in_erp, FREE)) == []
    assert kinds(decide(seen, use_cases.complete_in_erp, COMPLETE)) == ["complete_work_order"]


def test_a_plant_without_an_erp_is_asked_for_nothing() -> None:
    assert decide(seen_with(ORDER), use_cases.hold_in_erp, HOLD).moot == "the plant has no ERP that we know"
