"""Rules of confirmations, without any double."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from servicekit.domain import BusinessKey, Quantity, UnitMismatch
from services.production.domain import confirmation as confirmations
from services.production.domain.confirmation import (
    Confirmation,
    ConfirmationEmpty,
    ConfirmationReversed,
    Consumption,
    OutputLotRequired,
    OverDelivery,
    PlantMismatch,
    Scrap,
    TimeInFuture,
)
from services.production.domain.work_order import (
    Operation,
    OperationMissing,
    QuantityNegative,
    QuantityNotPositive,
    State,
    WorkOrder,
    WorkOrderClosed,
)

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
TEN_PERCENT = Decimal(10)


def pieces(value: str) -> Quantity:
    return Quantity(Decimal(value), "C62")


def a_work_order(**changes: object) -> WorkOrder:
    order = WorkOrder(
        work_order_id="aachen-1",
        plant_id="aachen",
        erp_order_number="1",
        item_id="PUMP-100",
        is_lot_tracked=True,
        planned=pieces("5"),
        good=pieces("0"),
        scrap=pieces("0"),
        bill_of_materials_id="",
        routing_id="",
        planned_start_date=None,
        due_date=None,
        state=State.DISPATCHED,
        mes_order_number="FA-000001",
        release_time=NOW,
        traceparent="",
        version=1,
    )
    return replace(order, **changes)


def two_operations() -> list[Operation]:
    return [Operation("aachen-1", 10, "Bore", "CNC"), Operation("aachen-1", 20, "Assemble", "ASM")]


def a_confirmation(**changes: object) -> Confirmation:
    said = Confirmation(
        confirmation_id="c1",
        business_key=BusinessKey("mes-aachen", "confirmation", "M-1"),
        plant_id="aachen",
        work_order_id="aachen-1",
        operation_sequence=20,
        good=pieces("5"),
        scraps=(),
        labour=Quantity(Decimal(60), "SEC"),
        consumptions=(),
        output_lot_id="P-1",
        occur_time=NOW,
        operator_id="4711",
        is_final=False,
        shift_id="",
        is_reversed=False,
        booking_number=1,
    )
    return replace(said, **changes)


def book(said: Confirmation, order: WorkOrder | None = None) -> confirmations.Booked:
    return confirmations.book(said, order or a_work_order(), two_operations(), TEN_PERCENT, NOW)


def test_the_planned_quantity_at_the_last_operation_completes_the_order() -> None:
    booked = book(a_confirmation())
    assert booked.order.state is State.COMPLETED
    assert booked.order.good == pieces("5")
    assert booked.is_last_operation


def test_good_pieces_of_an_earlier_operation_are_not_output() -> None:
    booked = book(a_confirmation(operation_sequence=10, output_lot_id=""))
    assert booked.order.state is State.RUNNING
    assert booked.order.good == pieces("0")
    assert booked.operation.good == Decimal(5)


def test_a_final_confirmation_completes_an_order_that_made_less() -> None:
    assert book(a_confirmation(good=pieces("3"), is_final=True)).order.state is State.COMPLETED


def test_scrap_counts_towards_the_planned_quantity() -> None:
    said = a_confirmation(good=pieces("4"), scraps=(Scrap(pieces("1"), "GRAT"),))
    booked = book(said)
    assert booked.order.state is State.COMPLETED
    assert booked.order.scrap == pieces("1")


@pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED, State.DECLINED])
def test_a_closed_order_takes_no_confirmation(state: State) -> None:
    with pytest.raises(WorkOrderClosed):
        book(a_confirmation(), a_work_order(state=state))


def test_more_than_planned_plus_tolerance_is_refused() -> None:
    with pytest.raises(OverDelivery) as refusal:
        book(a_confirmation(good=pieces("5.6")))
    assert refusal.value.facts["would_be"] == "5.6"


def test_exactly_planned_plus_tolerance_is_taken() -> None:
    assert book(a_confirmation(good=pieces("5.5"))).operation.good == Decimal("5.5")


def test_the_last_operation_of_a_lot_tracked_item_names_its_lot() -> None:
    with pytest.raises(OutputLotRequired):
        book(a_confirmation(output_lot_id=""))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"good": pieces("-1")}, QuantityNegative),
        ({"good": Quantity(Decimal(1), "KGM")}, UnitMismatch),
        ({"scraps": (Scrap(pieces("0"), "X"),)}, QuantityNotPositive),
        ({"consumptions": (Consumption("SEAL", "", pieces("0")),)}, QuantityNotPositive),
        ({"good": pieces("0"), "labour": Quantity(Decimal(0), "SEC")}, ConfirmationEmpty),
        ({"occur_time": NOW + timedelta(minutes=6)}, TimeInFuture),
        ({"plant_id": "brno"}, PlantMismatch),
        ({"operation_sequence": 30}, OperationMissing),
    ],
)
def test_a_confirmation_that_cannot_be_true_is_refused(changes: dict[str, object], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        book(a_confirmation(**changes))


def test_a_plant_clock_five_minutes_ahead_is_believed() -> None:
    assert book(a_confirmation(occur_time=NOW + timedelta(minutes=5)))


def test_taking_back_reopens_a_completed_order() -> None:
    done = book(a_confirmation())
    operations = [two_operations()[0], done.operation]
    back = confirmations.take_back(a_confirmation(), done.order, operations)
    assert back.order.state is State.RUNNING
    assert back.order.good == pieces("0")
    assert back.operation.good == Decimal(0)


def test_a_confirmation_is_reversed_once() -> None:
    with pytest.raises(ConfirmationReversed):
        a_confirmation(is_reversed=True).reverse()
