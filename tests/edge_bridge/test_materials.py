"""What the MES is told of items: the last state, one at a time, however often it changed meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from isthmus.edge.v1.mes_postings_pb2 import TellMaterial
from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import MaterialAvailabilityChanged
from isthmus.masterdata.v1.masterdata_events_pb2 import InventoryPolicyChanged
from servicekit.domain import Quantity
from servicekit.facts import EventMeta
from servicekit.postings import Posting, PostingOutcome
from servicekit.use_case import Decision
from services.edge_bridge import event_handlers, material_use_cases, use_cases
from services.edge_bridge.domain.material import Material
from services.edge_bridge.store import STORE
from tests.support.seen import seen

NOW = datetime(2026, 11, 26, tzinfo=UTC)
META = EventMeta(Envelope(event_id="e", plant_id="aachen"))


def available(value: str) -> Any:
    event = MaterialAvailabilityChanged()
    now = event.material_availability
    now.item_id = "SEAL-7"
    now.on_hand.value = now.available.value = value
    now.on_hand.unit_code = now.available.unit_code = "C62"
    return event_handlers.note_availability(event, META).command


def wanted(reorder: str, *, is_retired: bool = False) -> Any:
    event = InventoryPolicyChanged()
    event.inventory_policy.item_id, event.inventory_policy.is_retired = "SEAL-7", is_retired
    event.inventory_policy.reorder_point.value, event.inventory_policy.reorder_point.unit_code = reorder, "C62"
    return event_handlers.note_policy(event, META).command


def note(command: Any, *known: object) -> Decision:
    return material_use_cases.decide_note(seen(STORE, *known), command, NOW)


def told_of(decision: Decision) -> tuple[str, TellMaterial]:
    (planned,) = decision.postings
    assert isinstance(planned.payload, TellMaterial)
    return planned.key, planned.payload


def outcome(payload: TellMaterial, state: str, *known: object) -> Decision:
    key = f"material/{payload.item_id}/{payload.version}"
    posting = Posting("p", "aachen", "mes-aachen", "tell_material", f"material:{payload.item_id}", key, payload)
    command = PostingOutcome(posting, state, "", {}, "", "")
    return use_cases.decide_outcome(seen(STORE, *known), command, NOW)


def test_availability_and_policy_are_told_together() -> None:
    first = note(available("40"))
    key, told = told_of(first)
    assert (key, told.available.value, told.HasField("reorder_point")) == ("material/SEAL-7/1", "40", False)
    (waiting,) = first.changed
    assert isinstance(waiting, Material)
    answered = outcome(told, "acknowledged", waiting)
    assert answered.postings == ()
    key, told = told_of(note(wanted("80"), *answered.changed))
    assert (key, told.available.value, told.reorder_point.value) == ("material/SEAL-7/2", "40", "80")


def test_of_what_changes_while_the_mes_is_asked_only_the_last_state_is_told() -> None:
    first = note(available("40"))
    _, told = told_of(first)
    material = first.changed[0]
    for value in range(39, 0, -1):
        later = note(available(str(value)), material)
        assert later.postings == ()
        (material,) = later.changed
    key, last = told_of(outcome(told, "acknowledged", material))
    assert (key, last.available.value) == ("material/SEAL-7/40", "1")


def test_nothing_is_told_twice_and_an_unknown_outcome_is_waited_for() -> None:
    first = note(available("40"))
    assert note(available("40"), *first.changed).changed == ()
    _, told = told_of(first)
    assert outcome(told, "unknown", *first.changed).changed == ()


def test_after_a_refusal_the_next_state_is_told_all_the_same() -> None:
    first = note(available("40"))
    _, told = told_of(first)
    (free,) = outcome(told, "refused", *first.changed).changed
    assert told_of(note(available("39"), free))[1].available.value == "39"


def test_a_policy_that_is_retired_wants_nothing() -> None:
    pieces = Quantity(Decimal(80), "C62")
    known = Material("SEAL-7", "aachen", pieces, pieces, reorder_point=pieces, version=4)
    key, told = told_of(note(wanted("80", is_retired=True), known))
    assert (key, told.HasField("reorder_point"), told.available.value) == ("material/SEAL-7/5", False, "80")
    assert replace(known, reorder_point=None, version=5, is_asked=True)
