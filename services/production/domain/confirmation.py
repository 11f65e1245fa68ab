"""The confirmation: what was done at an operation, when it may be booked, and what it takes to reverse it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from servicekit.domain import BusinessKey, DomainError, Kind, Quantity, UnitMismatch
from services.production.domain.work_order import (
    Operation,
    OperationMissing,
    State,
    WorkOrder,
    require_not_negative,
    require_positive,
)

CLOCK_SKEW = timedelta(minutes=5)  # how far a plant's clock may be ahead of ours
SECOND = "SEC"


class OverDelivery(DomainError):
    """More is confirmed than planned plus the tolerance of the plant."""

    reason, kind = "OVER_DELIVERY", Kind.PRECONDITION


class ConfirmationEmpty(DomainError):
    """A confirmation says good, scrap, labour or consumption."""

    reason, kind = "CONFIRMATION_EMPTY", Kind.INVALID


class OutputLotRequired(DomainError):
    """Good quantity of a lot-tracked item at the last operation needs its lot."""

    reason, kind = "OUTPUT_LOT_REQUIRED", Kind.INVALID


class TimeInFuture(DomainError):
    """The plant's clock is ahead of ours by more than five minutes."""

    reason, kind = "TIME_IN_FUTURE", Kind.INVALID


class PlantMismatch(DomainError):
    """The document names another plant than the work order's."""

    reason, kind = "PLANT_MISMATCH", Kind.FORBIDDEN


class ConfirmationMissing(DomainError):
    """There is no confirmation of this business key."""

    reason, kind = "CONFIRMATION_MISSING", Kind.MISSING


class ConfirmationReversed(DomainError):
    """The confirmation was reversed before."""

    reason, kind = "CONFIRMATION_REVERSED", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class Scrap:
    quantity: Quantity
    reason_code: str


@dataclass(frozen=True, slots=True)
class Consumption:
    item_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One document of the plant. Labour in seconds."""

    confirmation_id: str
    business_key: BusinessKey
    plant_id: str
    work_order_id: str
    operation_sequence: int
    good: Quantity
    scraps: tuple[Scrap, ...]
    labour: Quantity
    consumptions: tuple[Consumption, ...]
    output_lot_id: str
    occur_time: datetime
    operator_id: str
    is_final: bool
    shift_id: str
    is_reversed: bool
    booking_number: int  # order of booking within the work order

    def scrapped(self) -> Decimal:
        return sum((scrap.quantity.value for scrap in self.scraps), Decimal(0))

    def reverse(self) -> Confirmation:
        if self.is_reversed:
            raise ConfirmationReversed(confirmation_key=self.business_key)
        return replace(self, is_reversed=True)

    def negated(self) -> Confirmation:
        """The same amounts with the opposite sign."""
        return replace(
            self,
            good=-self.good,
            labour=-self.labour,
            scraps=tuple(replace(scrap, quantity=-scrap.quantity) for scrap in self.scraps),
            consumptions=tuple(replace(used, quantity=-used.quantity) for used in self.consumptions),
        )


@dataclass(frozen=True, slots=True)
class Booked:
    """What a confirmation makes of its order."""

    order: WorkOrder
    operation: Operation
    is_last_operation: bool


def book(
    confirmation: Confirmation,
    order: WorkOrder,
    operations: Sequence[Operation],
    tolerance_percent: Decimal,
    now: datetime,
) -> Booked:
    """Book what was done, or say what stands in the way."""
    _require_form(confirmation, order, now)
    order.require_open()
    operation = operation_of(order, operations, confirmation.operation_sequence)
    is_last = operation.sequence == max(each.sequence for each in operations)
    done = replace(
        operation,
        good=operation.good + confirmation.good.value,
        scrap=operation.scrap + confirmation.scrapped(),
    )
    _require_tolerance(order, done, tolerance_percent)
    if is_last and confirmation.good.value and order.is_lot_tracked and not confirmation.output_lot_id:
        raise OutputLotRequired(work_order_id=order.work_order_id, item_id=order.item_id)
    good = confirmation.good.value if is_last else Decimal(0)
    made = order.good.value + good + order.scrap.value + confirmation.scrapped()
    is_complete = is_last and (confirmation.is_final or made >= order.planned.value)
    return Booked(order.book(good, confirmation.scrapped(), is_complete=is_complete), done, is_last)


def take_back(confirmation: Confirmation, order: WorkOrder, operations: Sequence[Operation]) -> Booked:
    """Undo the booking of a confirmation. A completed order has open quantity again."""
    operation = operation_of(order, operations, confirmation.operation_sequence)
    is_last = operation.sequence == max(each.sequence for each in operations)
    undone = replace(
        operation,
        good=operation.good - confirmation.good.value,
        scrap=operation.scrap - confirmation.scrapped(),
    )
    good = -confirmation.good.value if is_last else Decimal(0)
    return Booked(order.book(good, -confirmation.scrapped(), is_complete=False), undone, is_last)


def was_completed(order: WorkOrder) -> bool:
    return order.state is State.COMPLETED


def operation_of(order: WorkOrder, operations: Sequence[Operation], sequence: int) -> Operation:
    for operation in operations:
        if operation.sequence == sequence:
            return operation
    raise OperationMissing(work_order_id=order.work_order_id, operation_sequence=sequence)


def _require_form(confirmation: Confirmation, order: WorkOrder, now: datetime) -> None:
    if confirmation.plant_id != order.plant_id:
        raise PlantMismatch(work_order_id=order.work_order_id, plant_id=confirmation.plant_id)
    if confirmation.occur_time > now + CLOCK_SKEW:
        raise TimeInFuture(occur_time=confirmation.occur_time.isoformat())
    require_not_negative("good_quantity", confirmation.good)
    require_not_negative("labour_duration", confirmation.labour)
    for scrap in confirmation.scraps:
        require_positive("scraps.quantity", scrap.quantity)
    for used in confirmation.consumptions:
        require_positive("consumptions.quantity", used.quantity)
    for quantity in (confirmation.good, *(scrap.quantity for scrap in confirmation.scraps)):
        if quantity.unit_code != order.planned.unit_code:
            raise UnitMismatch(unit_code=quantity.unit_code, other=order.planned.unit_code)
    says = (confirmation.good.value, confirmation.scraps, confirmation.labour.value, confirmation.consumptions)
    if not any(says) and not confirmation.is_final:
        raise ConfirmationEmpty(work_order_id=order.work_order_id)


def _require_tolerance(order: WorkOrder, operation: Operation, tolerance_percent: Decimal) -> None:
    most = order.planned.value * (100 + tolerance_percent) / 100
    would_be = operation.good + operation.scrap
    if would_be > most:
        raise OverDelivery(
            work_order_id=order.work_order_id,
            operation_sequence=operation.sequence,
            planned=order.planned,
            would_be=would_be,
            tolerance_percent=tolerance_percent,
        )
