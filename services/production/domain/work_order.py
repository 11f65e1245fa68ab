"""The work order: what a plant was asked to make, how far it is, and what may still be done with it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from servicekit.domain import DomainError, Kind, Quantity, StaleEtag


class State(enum.Enum):
    RELEASED = "released"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DECLINED = "declined"


CLOSED = frozenset({State.COMPLETED, State.CANCELLED, State.DECLINED})


class WorkOrderMissing(DomainError):
    """There is no work order of this id."""

    reason, kind = "WORK_ORDER_MISSING", Kind.MISSING


class WorkOrderExists(DomainError):
    """A work order of this id exists from another document."""

    reason, kind = "WORK_ORDER_EXISTS", Kind.EXISTS


class WorkOrderClosed(DomainError):
    """A completed, cancelled or declined work order takes no confirmations and no changes."""

    reason, kind = "WORK_ORDER_CLOSED", Kind.PRECONDITION


class WorkOrderStarted(DomainError):
    """A work order with confirmed work can't be cancelled."""

    reason, kind = "WORK_ORDER_STARTED", Kind.PRECONDITION


class ItemUnknown(DomainError):
    """Master data has not told production of this item."""

    reason, kind = "ITEM_UNKNOWN", Kind.MISSING


class OperationMissing(DomainError):
    """The work order has no operation of this sequence."""

    reason, kind = "OPERATION_MISSING", Kind.INVALID


class OperationSequenceRepeated(DomainError):
    """Two operations of a work order have one sequence number."""

    reason, kind = "OPERATION_SEQUENCE_REPEATED", Kind.INVALID


class QuantityNotPositive(DomainError):
    """The quantity must be above zero."""

    reason, kind = "QUANTITY_NOT_POSITIVE", Kind.INVALID


class QuantityNegative(DomainError):
    """The quantity must not be below zero."""

    reason, kind = "QUANTITY_NEGATIVE", Kind.INVALID


class QuantityBelowConfirmed(DomainError):
    """A work order can't be made smaller than what is confirmed."""

    reason, kind = "QUANTITY_BELOW_CONFIRMED", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class Item:
    """Production's own copy of what master data says of an item."""

    plant_id: str
    item_id: str
    unit_code: str
    is_lot_tracked: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a work order, with what is confirmed and, as evidence only, what the line counted. Order's unit."""

    work_order_id: str
    sequence: int
    description: str
    work_centre_id: str
    good: Decimal = Decimal(0)
    scrap: Decimal = Decimal(0)
    counted_good: Decimal = Decimal(0)
    counted_scrap: Decimal = Decimal(0)
    is_counted: bool = False
    variance_told: str = ""  # the difference that was last made known
    change_time: int = 0  # when we last booked or counted here, in microseconds

    def variance(self) -> str:
        """Counted minus confirmed as "good/scrap"; empty where the line counts nothing or agrees."""
        if not self.is_counted or (self.counted_good, self.counted_scrap) == (self.good, self.scrap):
            return ""
        return f"{self.counted_good - self.good}/{self.counted_scrap - self.scrap}"


@dataclass(frozen=True, slots=True)
class ComponentAllocation:
    """What the order may take from stock."""

    work_order_id: str
    line: int
    item_id: str
    quantity: Quantity
    lot_id: str


@dataclass(frozen=True, slots=True)
class Demand:
    """The customer's order that a work order is made for."""

    sales_order_number: str
    partner_id: str
    requested_date: date | None


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """`good` counts at the last operation, `scrap` at all of them."""

    work_order_id: str
    plant_id: str
    erp_order_number: str
    item_id: str
    is_lot_tracked: bool
    planned: Quantity
    good: Quantity
    scrap: Quantity
    bill_of_materials_id: str
    routing_id: str
    planned_start_date: date | None
    due_date: date | None
    state: State
    mes_order_number: str
    release_time: datetime
    traceparent: str
    version: int
    is_held: bool = False  # as it was told last
    demand: Demand | None = None  # None: made to stock, or nobody can tell

    @property
    def start_day(self) -> date | None:
        """The plant calendar day that its recipe must be in use on: of its start, else when it is due."""
        return self.planned_start_date or self.due_date

    @property
    def etag(self) -> str:
        return str(self.version)

    def is_closed(self) -> bool:
        return self.state in CLOSED

    def require_open(self) -> None:
        if self.is_closed():
            raise WorkOrderClosed(work_order_id=self.work_order_id, state=self.state)

    def require_etag(self, etag: str) -> None:
        if etag and etag != self.etag:
            raise StaleEtag(etag=etag)

    def accept(self, mes_order_number: str) -> WorkOrder:
        """The plant's MES has it. A late acceptance of an order that already runs only adds the number."""
        state = State.DISPATCHED if self.state is State.RELEASED else self.state
        return self._next(state=state, mes_order_number=mes_order_number or self.mes_order_number)

    def decline(self) -> WorkOrder:
        """The plant's MES refused the release; a person decides."""
        return self._next(state=State.DECLINED) if self.state is State.RELEASED else self

    def change(self, planned: Quantity | None, planned_start_date: date | None, due_date: date | None) -> WorkOrder:
        """New quantity or dates, as the ERP says. What is absent stays."""
        self.require_open()
        planned = planned or self.planned
        require_positive("planned_quantity", planned)
        if planned < self.good + self.scrap:
            confirmed = self.good + self.scrap
            raise QuantityBelowConfirmed(work_order_id=self.work_order_id, planned=planned, confirmed=confirmed)
        return self._next(
            planned=planned,
            planned_start_date=planned_start_date or self.planned_start_date,
            due_date=due_date or self.due_date,
        )

    def cancel(self, operations: Sequence[Operation]) -> WorkOrder:
        """Taken back by the ERP before work began."""
        self.require_open()
        if any(operation.good or operation.scrap for operation in operations) or self.state is State.RUNNING:
            raise WorkOrderStarted(work_order_id=self.work_order_id)
        return self._next(state=State.CANCELLED)

    def book(self, good: Decimal, scrap: Decimal, *, is_complete: bool) -> WorkOrder:
        """Add confirmed quantities; below zero takes back."""
        unit = self.planned.unit_code
        return self._next(
            good=self.good + Quantity(good, unit),
            scrap=self.scrap + Quantity(scrap, unit),
            state=State.COMPLETED if is_complete else State.RUNNING,
        )

    def held(self) -> WorkOrder:
        """A line that it needs is blocked."""
        return self._next(is_held=True)

    def resumed(self) -> WorkOrder:
        """No line that it needs is blocked any more."""
        return self._next(is_held=False)

    def _next(self, **changes: object) -> WorkOrder:
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]


def release(order: WorkOrder, operations: Sequence[Operation], components: Sequence[ComponentAllocation]) -> None:
    """What must hold for an order to be taken."""
    require_positive("planned_quantity", order.planned)
    for component in components:
        require_positive("components.quantity", component.quantity)
    sequences = [operation.sequence for operation in operations]
    for sequence in sequences:
        if sequences.count(sequence) > 1:
            raise OperationSequenceRepeated(sequence=sequence)


def require_positive(field: str, quantity: Quantity) -> None:
    if quantity.value <= 0:
        raise QuantityNotPositive(field=field, value=quantity)


def require_not_negative(field: str, quantity: Quantity) -> None:
    if quantity.value < 0:
        raise QuantityNegative(field=field, value=quantity)
