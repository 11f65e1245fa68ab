"""A lot from its checkpoint to its customer, as quality decides on it, on running services and both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc
import pytest

from isthmus.inventory.v1 import hold_pb2
from isthmus.inventory.v1 import inventory_service_pb2 as inventory
from isthmus.quality.v1 import inspection_pb2, test_specification_pb2
from isthmus.quality.v1 import quality_service_pb2 as messages
from servicekit.errors import from_rpc_error
from tests.hub.conftest import Calls
from tests.hub.test_refusals import refusal_of
from tests.support.eventually import eventually
from tests.support.requests import a_confirmation, a_key, a_release, an_item

pytestmark = pytest.mark.connected
NUMBERS = count(1)
PASSED, FAILED = inspection_pb2.VERDICT_OUTCOME_PASSED, inspection_pb2.VERDICT_OUTCOME_FAILED
ITEM = "RESIN-5"


def a_specification(**changes: Any) -> messages.RecordTestSpecificationRequest:
    request = messages.RecordTestSpecificationRequest(business_key=a_key(f"s{next(NUMBERS)}", "qms", "specification"))
    said = request.test_specification
    said.test_specification_id, said.plant_id, said.item_id, said.version = "SPEC-1", "aachen", ITEM, "3"
    said.effective_start_date.year, said.effective_start_date.month, said.effective_start_date.day = 2026, 1, 1
    said.checkpoint_operation_sequence, said.needs_verdict = 20, True
    ph = said.characteristics.add(characteristic_id="ph", unit_code="Q30")
    ph.evidence_source = test_specification_pb2.EVIDENCE_SOURCE_LABORATORY
    ph.lower_limit.value, ph.lower_limit.unit_code = "6.5", "Q30"
    ph.upper_limit.value, ph.upper_limit.unit_code = "8.5", "Q30"
    for name, value in changes.items():
        setattr(ph, name, value)
    return request


@pytest.fixture(scope="module")
def resin(calls: Calls) -> str:
    """An item whose lots are inspected."""
    calls.master_data.RecordItem(an_item(ITEM), timeout=10)
    calls.quality.RecordTestSpecification(a_specification(), timeout=10)
    return ITEM


async def an_inspection(calls: Calls, item: str) -> Any:
    """A lot of four at its checkpoint; its inspection."""
    number = f"Q{next(NUMBERS)}"
    order, lot = f"aachen-{number}", f"B-{number}"

    def release() -> bool:
        try:
            calls.production.ReleaseWorkOrder(a_release(number, item_id=item, quantity="4"), timeout=10)
        except grpc.RpcError as error:
            if from_rpc_error(error)[1] == "ITEM_UNKNOWN":  # production has not heard of it yet
                return False
            raise
        return True

    await eventually(release)
    calls.production.ConfirmOperation(a_confirmation(f"{number}-10", order, 10, "4"), timeout=10)
    calls.production.ConfirmOperation(a_confirmation(f"{number}-20", order, 20, "4", lot), timeout=10)
    request = messages.ListInspectionsRequest(plant_id="aachen", lot_id=lot)
    (found,) = await eventually(lambda: calls.quality.ListInspections(request, timeout=10).inspections)
    return found


def a_sample(inspection: Any, sample: str) -> messages.RegisterSampleRequest:
    key = a_key(f"n{next(NUMBERS)}", "lims", "sample")
    name = inspection.inspection_id
    return messages.RegisterSampleRequest(business_key=key, plant_id="aachen", inspection_id=name, sample_number=sample)


def a_result(sample: str, value: str = "7.1", revision: int = 1, unit: str = "Q30", ago: int = 0) -> Any:
    key = a_key(f"r{next(NUMBERS)}", "lims", "result")
    request = messages.RecordTestResultRequest(business_key=key, plant_id="aachen", sample_number=sample)
    request.result.characteristic_id, request.result.revision = "ph", revision
    request.result.value.value, request.result.value.unit_code = value, unit
    request.result.occur_time.FromDatetime(datetime.now(UTC) - timedelta(days=ago))
    return request


def a_verdict(inspection: Any, outcome: Any, revision: int = 1, number: str = "") -> Any:
    name = inspection.inspection_id
    key = a_key(f"v{next(NUMBERS)}", "qms", "verdict")
    request = messages.RecordVerdictRequest(business_key=key, plant_id="aachen", inspection_id=name)
    said = request.verdict
    said.qms_number, said.revision, said.outcome = number or f"Q-{inspection.lot_id}", revision, outcome
    said.occur_time.FromDatetime(datetime.now(UTC))
    return request


def causes(calls: Calls, lot: str) -> list[str]:
    request = inventory.ListHoldsRequest(plant_id="aachen", lot_id=lot)
    holds = calls.inventory.ListHolds(request, timeout=10).holds
    return sorted(hold_pb2.HoldCause.Name(hold.cause).removeprefix("HOLD_CAUSE_") for hold in holds)


def allocated(calls: Calls, shipment_id: str) -> tuple[list[tuple[str, str]], list[str]] | None:
    found = calls.inventory.ListAllocations(inventory.ListAllocationsRequest(plant_id="aachen"), timeout=10).allocations
    one = next((one for one in found if one.shipment_id == shipment_id), None)
    if one is None:
        return None
    return [(lot.lot_id, lot.quantity.value) for lot in one.allocated_lots], [s.quantity.value for s in one.shortages]


def a_delivery(calls: Calls, amount: str) -> str:
    number = f"D{next(NUMBERS)}"
    request = inventory.AdviseShipmentRequest(business_key=a_key(number, document="delivery"))
    said = request.shipment
    said.plant_id, said.erp_delivery_number, said.customer_name = "aachen", number, "Acme"
    line = said.lines.add(item_id=ITEM)
    line.quantity.value, line.quantity.unit_code = amount, "C62"
    return str(calls.inventory.AdviseShipment(request, timeout=10).shipment.shipment_id)


def receive(calls: Calls, lot: str) -> None:
    request = inventory.ConfirmReceiptRequest(business_key=a_key(lot, "wms", "receipt"), plant_id="aachen")
    request.item_id, request.lot_id = ITEM, lot
    request.quantity.value, request.quantity.unit_code = "4", "C62"
    request.occur_time.FromDatetime(datetime.now(UTC))
    calls.inventory.ConfirmReceipt(request, timeout=10)


def ship(calls: Calls, shipment_id: str, lot: str, amount: str) -> None:
    request = inventory.ConfirmShipmentRequest(business_key=a_key(shipment_id, "wms", "shipment"))
    request.shipment_id = shipment_id
    shipped = request.shipped_lots.add(item_id=ITEM, lot_id=lot)
    shipped.quantity.value, shipped.quantity.unit_code = amount, "C62"
    request.occur_time.FromDatetime(datetime.now(UTC))
    calls.inventory.ConfirmShipment(request, timeout=10)


async def test_a_lot_is_held_passes_is_given_to_a_delivery_fails_after_all_and_is_held_again(
    calls: Calls, resin: str
) -> None:
    inspection = await an_inspection(calls, resin)
    lot = inspection.lot_id
    await eventually(lambda: causes(calls, lot) == ["INSPECTION_PENDING"])
    receive(calls, lot)
    small, large = a_delivery(calls, "1"), a_delivery(calls, "3")
    await eventually(lambda: allocated(calls, small) == ([], ["1"]))
    sample = f"L-{lot}"
    calls.quality.RegisterSample(a_sample(inspection, sample), timeout=10)
    result = a_result(sample)
    for replayed in (False, True):
        assert calls.quality.RecordTestResult(result, timeout=10).replayed == replayed
    calls.quality.RecordVerdict(a_verdict(inspection, PASSED), timeout=10)
    await eventually(lambda: causes(calls, lot) == [])
    await eventually(lambda: allocated(calls, small) == ([(lot, "1")], []))
    await eventually(lambda: allocated(calls, large) == ([(lot, "3")], []))
    ship(calls, small, lot, "1")
    await eventually(lambda: allocated(calls, small) is None)
    answer = calls.quality.RecordVerdict(a_verdict(inspection, FAILED, 2), timeout=10)
    assert answer.inspection.disposition == inspection_pb2.DISPOSITION_FAILED
    await eventually(lambda: causes(calls, lot) == ["INSPECTION_FAILED"])
    await eventually(lambda: allocated(calls, large) == ([], ["3"]))
    found = calls.quality.ListNonconformances(messages.ListNonconformancesRequest(plant_id="aachen"), timeout=10)
    (case,) = [one for one in found.nonconformances if one.lot_id == lot]
    assert case.is_after_release
    ship(calls, large, lot, "3")  # it left all the same: booked, for it is true


def a_hold(lot: str) -> inventory.HoldLotRequest:
    key = a_key(f"h{next(NUMBERS)}", "desk", "hold")
    return inventory.HoldLotRequest(
        business_key=key, plant_id="aachen", item_id=ITEM, lot_id=lot, hold_reason="scratched"
    )


def a_release_of(hold_id: str) -> inventory.ReleaseLotRequest:
    key = a_key(f"f{next(NUMBERS)}", "desk", "release")
    return inventory.ReleaseLotRequest(business_key=key, plant_id="aachen", hold_id=hold_id, release_reason="polished")


async def test_a_person_holds_and_releases_a_lot_beside_what_quality_says(calls: Calls, resin: str) -> None:
    lot = (await an_inspection(calls, resin)).lot_id
    await eventually(lambda: causes(calls, lot) == ["INSPECTION_PENDING"])
    request = inventory.ListHoldsRequest(plant_id="aachen", lot_id=lot)
    (pending,) = calls.inventory.ListHolds(request, timeout=10).holds
    hold = calls.inventory.HoldLot(a_hold(lot), timeout=10).hold
    assert causes(calls, lot) == ["INSPECTION_PENDING", "PERSON"]
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: calls.inventory.HoldLot(a_hold(lot), timeout=10), "LOT_HELD"),
        (lambda: calls.inventory.HoldLot(a_hold("NO-LOT"), timeout=10), "LOT_MISSING"),
        (lambda: calls.inventory.ReleaseLot(a_release_of("no-hold"), timeout=10), "HOLD_MISSING"),
        (lambda: calls.inventory.ReleaseLot(a_release_of(pending.hold_id), timeout=10), "HOLD_NOT_YOURS"),
    ]
    for call, reason in refused:
        assert refusal_of(calls, call, "inventory")[1] == reason
    assert calls.inventory.ReleaseLot(a_release_of(hold.hold_id), timeout=10).hold.HasField("release_time")
    assert causes(calls, lot) == ["INSPECTION_PENDING"]


async def test_what_cannot_be_is_refused_and_changes_nothing(calls: Calls, resin: str) -> None:
    inspection = await an_inspection(calls, resin)
    other = await an_inspection(calls, resin)
    sample = f"L-{inspection.lot_id}"
    calls.quality.RegisterSample(a_sample(inspection, sample), timeout=10)
    calls.quality.RecordTestResult(a_result(sample), timeout=10)
    calls.quality.RecordVerdict(a_verdict(inspection, PASSED), timeout=10)
    unknown = inspection_pb2.Inspection(inspection_id="aachen-none")
    stray = a_result(sample, revision=2)
    stray.result.characteristic_id = "colour"
    evidence = messages.RecordHistorianEvidenceRequest(
        business_key=a_key(f"e{next(NUMBERS)}", "historian", "evidence"),
        plant_id="aachen",
        inspection_id=inspection.inspection_id,
    )
    evidence.evidence.characteristic_id, evidence.evidence.tag_id = "ph", "t"
    evidence.evidence.start_time.FromDatetime(datetime.now(UTC))
    evidence.evidence.end_time.FromDatetime(datetime.now(UTC))
    repeated = a_specification()
    repeated.test_specification.characteristics.append(repeated.test_specification.characteristics[0])
    stub = calls.quality
    refused: list[tuple[Callable[..., Any], Any, str]] = [
        (stub.RecordTestResult, a_result("L-NONE"), "SAMPLE_UNKNOWN"),
        (stub.RegisterSample, a_sample(unknown, "L-9"), "INSPECTION_MISSING"),
        (stub.RegisterSample, a_sample(other, sample), "SAMPLE_MISMATCH"),
        (stub.RecordTestResult, stray, "CHARACTERISTIC_UNKNOWN"),
        (stub.RecordTestResult, a_result(sample, unit="P1", revision=2), "RESULT_UNIT_MISMATCH"),
        (stub.RecordTestResult, a_result(sample, "7.2"), "REVISION_CONFLICT"),
        (stub.RecordTestResult, a_result(sample, revision=2, ago=20000), "TIME_IMPLAUSIBLE"),
        (stub.RecordHistorianEvidence, evidence, "CHARACTERISTIC_UNKNOWN"),
        (stub.RecordVerdict, a_verdict(inspection, FAILED, number="Q-OTHER"), "VERDICT_CONTRADICTS"),
        (stub.RecordTestSpecification, a_specification(unit_code="CEL"), "CHARACTERISTIC_INVALID"),
        (stub.RecordTestSpecification, repeated, "CHARACTERISTIC_REPEATED"),
        (stub.GetInspection, messages.GetInspectionRequest(inspection_id="none"), "INSPECTION_MISSING"),
        (
            stub.GetTestSpecification,
            messages.GetTestSpecificationRequest(plant_id="aachen", test_specification_id="none"),
            "TEST_SPECIFICATION_MISSING",
        ),
    ]
    refused.append((stub.RecordVerdict, a_verdict(other, 0), "FIELD_INVALID"))  # a word that nobody knows
    for call, request, reason in refused:
        assert refusal_of(calls, lambda call=call, request=request: call(request, timeout=10), "quality")[1] == reason
