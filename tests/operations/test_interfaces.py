"""The interfaces as data: what facts are to their clocks, and a file that can't be is refused with its reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.message import Message

from isthmus.edge.v1.edge_events_pb2 import WorkOrderAccepted, WorkOrderRefused
from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.gateway.v1.gateway_events_pb2 import ErpOrderNoticed, PostingAcknowledged
from isthmus.inventory.v1.inventory_events_pb2 import GoodsReceived, OutputStored
from isthmus.production.v1.production_events_pb2 import WorkOrderCancelled, WorkOrderCompleted, WorkOrderReleased
from isthmus.quality.v1 import inspection_pb2
from isthmus.quality.v1.quality_events_pb2 import DispositionDecided, InspectionOpened
from servicekit.facts import EventMeta
from services.operations.interfaces import Interfaces, InterfacesWrong
from services.operations.settings import Settings

FILE = Settings.model_fields["interfaces_file"].default
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ORDER = "aachen-1"


@pytest.fixture(scope="module")
def interfaces() -> Interfaces:
    return Interfaces.load(FILE)


def meta_of(content: Message, document: str = "") -> EventMeta:
    envelope = Envelope(plant_id="aachen", order_key=ORDER)
    envelope.occur_time.FromDatetime(datetime(2026, 11, 25, 6, tzinfo=UTC))
    envelope.record_time.FromDatetime(NOW)
    if document:
        envelope.business_key.document_number = document
    envelope.data.Pack(content)
    return EventMeta(envelope)


def said(content: Any, **fields: Any) -> Any:
    """The fact with its order's number and other fields."""
    noun = getattr(content, "work_order", None) or getattr(content, "inspection", None) or content
    noun.SetInParent()
    noun.work_order_id = ORDER
    for name, value in fields.items():
        setattr(noun, name, value)
    return content


def an_output(amount: str) -> OutputStored:
    stored = OutputStored(work_order_id=ORDER, document_id="C-1")
    stored.quantity.value, stored.quantity.unit_code = amount, "C62"
    return stored


def decided(disposition: str) -> DispositionDecided:
    fact = DispositionDecided()
    fact.inspection.inspection_id = "I-1"
    fact.inspection.disposition = inspection_pb2.Disposition.Value(disposition)
    return fact


def an_inspection() -> InspectionOpened:
    fact = InspectionOpened()
    fact.inspection.inspection_id = "I-1"
    return fact


@pytest.mark.parametrize(
    ("content", "steps"),
    [
        (said(ErpOrderNoticed()), ["order-intake start aachen-1"]),
        (said(WorkOrderReleased()), ["mes-acceptance start aachen-1", "order-intake reached aachen-1"]),
        (said(WorkOrderAccepted(accepted_step="release")), ["mes-acceptance reached aachen-1"]),
        (said(WorkOrderAccepted(accepted_step="change")), []),
        (said(WorkOrderRefused(refused_step="release")), ["mes-acceptance ended aachen-1"]),
        (said(WorkOrderCancelled()), ["mes-acceptance ended aachen-1"]),
        (said(WorkOrderCompleted()), ["erp-completion start aachen-1"]),
        (said(PostingAcknowledged(posting_kind="complete_work_order")), ["erp-completion reached aachen-1"]),
        (said(PostingAcknowledged(posting_kind="correct_work_order")), []),
        (an_output("4"), ["warehouse-receipt start C-1"]),
        (an_output("-4"), []),
        (an_inspection(), ["lot-disposition start I-1"]),
        (decided("DISPOSITION_PASSED"), ["lot-disposition reached I-1"]),
        (decided("DISPOSITION_FAILED"), ["lot-disposition reached I-1"]),
        (decided("DISPOSITION_PENDING"), []),
    ],
)
def test_facts_are_steps_of_the_interfaces_that_wait_for_them(
    interfaces: Interfaces, content: Message, steps: list[str]
) -> None:
    found = interfaces.steps_of(content, meta_of(content))
    assert sorted(f"{step.interface_id} {step.meaning.value} {step.work_id}" for step in found) == steps


def test_the_warehouse_receives_the_document_that_it_was_told_of(interfaces: Interfaces) -> None:
    received = GoodsReceived(lot_id="P-1")
    (step,) = interfaces.steps_of(received, meta_of(received, document="C-1"))
    assert (step.interface_id, step.work_id, step.plant_id) == ("warehouse-receipt", "C-1", "aachen")
    assert interfaces.steps_of(received, meta_of(received)) == ()


def test_a_clock_starts_when_the_producer_learned_of_the_step_not_when_the_plant_did_it(interfaces: Interfaces) -> None:
    completed = said(WorkOrderCompleted())
    (step,) = interfaces.steps_of(completed, meta_of(completed))
    assert step.time == NOW


def wrong(field: str, value: Any) -> dict[str, Any]:
    """The file's second interface alone, with a field that can't be."""
    words = next(
        one for one in yaml.safe_load(FILE.read_text())["interfaces"] if one["interface_id"] == "mes-acceptance"
    )
    *outer, last = field.split(".")
    at = words
    for name in outer:
        at = at[name]
    at[last] = value
    return {"interfaces": [words]}


ONE_TWICE = {"interfaces": [one for one in yaml.safe_load(FILE.read_text())["interfaces"][:1] for _ in range(2)]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (wrong("from_step.fact", "isthmus.production.v1.WorkOrderDreamt"), "WorkOrderDreamt"),
        (wrong("from_step.work", "work_order.number"), "has no text or enum work_order.number"),
        (wrong("from_step.work", "work_order.planned_quantity"), "has no text or enum work_order.planned_quantity"),
        (wrong("from_step.when", {"work_order.state": "WORK_ORDER_STATE_LOST"}), "is never WORK_ORDER_STATE_LOST"),
        (wrong("to_step.fact", "isthmus.production.v1.WorkOrderCancelled"), "one step of an interface, not two"),
        (wrong("to_step.above_zero", "amount"), "has no text or enum amount.value"),
        (wrong("limit_seconds", 0), "limit_seconds"),
        (wrong("sla_tier", "soon"), "sla_tier"),
        (wrong("limit_minutes", 1), "limit_minutes"),
        (ONE_TWICE, "there twice"),
        ({}, "interfaces"),
    ],
)
def test_a_file_that_cant_be_is_refused_by_its_name_and_the_reason(
    tmp_path: Path, content: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "interfaces.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InterfacesWrong, match=problem) as refused:
        Interfaces.load(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterfacesWrong, match=r"absent\.yaml"):
        Interfaces.load(tmp_path / "absent.yaml")
