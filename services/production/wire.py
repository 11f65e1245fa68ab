"""Production's words on the wire and in the domain; it and `line_wire.py` alone name message fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from isthmus.common.v1.quantity_pb2 import Quantity as QuantityMessage
from isthmus.edge.v1.edge_events_pb2 import ProductionEventRecorded, WorkOrderAccepted, WorkOrderRefused
from isthmus.masterdata.v1.bill_of_materials_pb2 import BillOfMaterials as BillOfMaterialsMessage
from isthmus.masterdata.v1.masterdata_events_pb2 import (
    BillOfMaterialsReleased,
    ItemChanged,
    ResourceChanged,
    RoutingReleased,
)
from isthmus.masterdata.v1.routing_pb2 import Routing as RoutingMessage
from isthmus.production.v1 import production_events_pb2, production_service_pb2, work_order_pb2
from servicekit.domain import BusinessKey, Quantity
from servicekit.facts import EventMeta
from servicekit.use_case import Fact
from servicekit.wire import date_message, date_of, key_of_message, quantity_message, quantity_of, timestamp
from services.production.domain.recipe import BillOfMaterials, InUse, Resource, Routing
from services.production.domain.totals import CONSUMPTION, LABOUR, OUTPUT, SCRAP, Total
from services.production.domain.work_order import ComponentAllocation, Demand, Item, Operation, State, WorkOrder

STATES = {
    State.RELEASED: work_order_pb2.WORK_ORDER_STATE_RELEASED,
    State.DISPATCHED: work_order_pb2.WORK_ORDER_STATE_DISPATCHED,
    State.RUNNING: work_order_pb2.WORK_ORDER_STATE_RUNNING,
    State.COMPLETED: work_order_pb2.WORK_ORDER_STATE_COMPLETED,
    State.CANCELLED: work_order_pb2.WORK_ORDER_STATE_CANCELLED,
    State.DECLINED: work_order_pb2.WORK_ORDER_STATE_DECLINED,
}


@dataclass(frozen=True, slots=True)
class OrderedOperation:
    sequence: int
    description: str
    work_centre_id: str


@dataclass(frozen=True, slots=True)
class OrderedComponent:
    item_id: str
    quantity: Quantity
    lot_id: str


@dataclass(frozen=True, slots=True)
class ReleaseWorkOrder:
    business_key: BusinessKey
    work_order_id: str
    plant_id: str
    erp_order_number: str
    item_id: str
    planned: Quantity
    bill_of_materials_id: str
    routing_id: str
    planned_start_date: date | None
    due_date: date | None
    operations: tuple[OrderedOperation, ...]
    components: tuple[OrderedComponent, ...]
    demand: Demand | None = None

    @property
    def start_day(self) -> date | None:
        return self.planned_start_date or self.due_date


@dataclass(frozen=True, slots=True)
class ChangeWorkOrder:
    business_key: BusinessKey
    work_order_id: str
    planned: Quantity | None
    planned_start_date: date | None
    due_date: date | None
    etag: str


@dataclass(frozen=True, slots=True)
class CancelWorkOrder:
    business_key: BusinessKey
    work_order_id: str
    cancel_reason: str
    etag: str


@dataclass(frozen=True, slots=True)
class RecordAcceptance:
    """The plant's MES accepted or refused a step (release, change, cancel) of a work order."""

    work_order_id: str
    step: str
    mes_order_number: str
    refusal_reason: str
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class CountPieces:
    """What a line counted for an operation, as evidence."""

    work_order_id: str
    operation_sequence: int
    good: int
    scrap: int
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class CompareCounts:
    """Line and MES are done with an order: compare what they say."""

    work_order_id: str


def work_order_id(plant_id: str, erp_order_number: str) -> str:
    return f"{plant_id}-{erp_order_number}"


# --- requests and facts into commands


def release_work_order(request: production_service_pb2.ReleaseWorkOrderRequest) -> ReleaseWorkOrder:
    order = request.work_order
    return ReleaseWorkOrder(
        business_key=key_of_message(request.business_key),
        work_order_id=work_order_id(order.plant_id, order.erp_order_number),
        plant_id=order.plant_id,
        erp_order_number=order.erp_order_number,
        item_id=order.item_id,
        planned=quantity_of(order.planned_quantity),
        bill_of_materials_id=order.bill_of_materials_id,
        routing_id=order.routing_id,
        planned_start_date=date_of(order, "planned_start_date"),
        due_date=date_of(order, "due_date"),
        operations=tuple(OrderedOperation(o.sequence, o.description, o.work_centre_id) for o in order.operations),
        components=tuple(OrderedComponent(c.item_id, quantity_of(c.quantity), c.lot_id) for c in order.components),
        demand=_demand(order.demand) if order.HasField("demand") else None,
    )


def _demand(said: work_order_pb2.Demand) -> Demand:
    return Demand(said.sales_order_number, said.partner_id, date_of(said, "requested_date"))


def change_work_order(request: production_service_pb2.ChangeWorkOrderRequest) -> ChangeWorkOrder:
    return ChangeWorkOrder(
        business_key=key_of_message(request.business_key),
        work_order_id=request.work_order_id,
        planned=quantity_of(request.planned_quantity) if request.HasField("planned_quantity") else None,
        planned_start_date=date_of(request, "planned_start_date"),
        due_date=date_of(request, "due_date"),
        etag=request.etag,
    )


def cancel_work_order(request: production_service_pb2.CancelWorkOrderRequest) -> CancelWorkOrder:
    return CancelWorkOrder(
        key_of_message(request.business_key), request.work_order_id, request.cancel_reason, request.etag
    )


def acceptance(event: WorkOrderAccepted, meta: EventMeta) -> RecordAcceptance:
    return RecordAcceptance(event.work_order_id, event.accepted_step, event.mes_order_number, "", meta.occur_time)


def refusal(event: WorkOrderRefused, meta: EventMeta) -> RecordAcceptance:
    return RecordAcceptance(event.work_order_id, event.refused_step, "", event.refusal_reason, meta.occur_time)


def count_pieces(event: ProductionEventRecorded, meta: EventMeta) -> CountPieces | None:
    """None: the line says no order, or its values are uncertain, so they are no evidence for one."""
    if not event.work_order_id or event.is_uncertain:
        return None
    return CountPieces(
        event.work_order_id,
        event.operation_sequence,
        event.good_count_to - event.good_count_from,
        event.scrap_count_to - event.scrap_count_from,
        meta.occur_time,
    )


def item(event: ItemChanged, meta: EventMeta) -> Item:
    return Item(meta.plant_id, event.item.item_id, event.item.unit_code, event.item.is_lot_tracked)


def bill_of_materials(event: BillOfMaterialsReleased, meta: EventMeta) -> BillOfMaterials:
    bill = event.bill_of_materials
    return BillOfMaterials(meta.plant_id, bill.bill_of_materials_id, bill.revision, _in_use(bill))


def routing(event: RoutingReleased, meta: EventMeta) -> Routing:
    return Routing(meta.plant_id, event.routing.routing_id, _in_use(event.routing))


def resource(event: ResourceChanged, meta: EventMeta) -> Resource:
    return Resource(meta.plant_id, event.resource.resource_id, event.resource.is_retired)


def _in_use(recipe: BillOfMaterialsMessage | RoutingMessage) -> InUse:
    return InUse(date_of(recipe, "effective_start_date"), date_of(recipe, "effective_end_date"), recipe.is_retired)


# --- nouns into messages


def work_order_message(
    order: WorkOrder,
    operations: Sequence[Operation] = (),
    components: Sequence[ComponentAllocation] = (),
    hold_reasons: Sequence[str] = (),
) -> work_order_pb2.WorkOrder:
    unit = order.planned.unit_code
    message = work_order_pb2.WorkOrder(
        work_order_id=order.work_order_id,
        plant_id=order.plant_id,
        erp_order_number=order.erp_order_number,
        item_id=order.item_id,
        planned_quantity=quantity_message(order.planned),
        bill_of_materials_id=order.bill_of_materials_id,
        routing_id=order.routing_id,
        planned_start_date=date_message(order.planned_start_date) if order.planned_start_date else None,
        due_date=date_message(order.due_date) if order.due_date else None,
        state=STATES[order.state],
        good_quantity=quantity_message(order.good),
        scrap_quantity=quantity_message(order.scrap),
        mes_order_number=order.mes_order_number,
        release_time=timestamp(order.release_time),
        etag=order.etag,
        is_held=order.is_held or bool(hold_reasons),
        hold_reasons=hold_reasons,
        demand=_demand_message(order.demand) if order.demand else None,
    )
    for operation in operations:
        message.operations.add(
            sequence=operation.sequence,
            description=operation.description,
            work_centre_id=operation.work_centre_id,
            good_quantity=quantity_message(Quantity(operation.good, unit)),
            scrap_quantity=quantity_message(Quantity(operation.scrap, unit)),
        )
    for component in components:
        message.components.add(
            item_id=component.item_id, quantity=quantity_message(component.quantity), lot_id=component.lot_id
        )
    return message


def _demand_message(demand: Demand) -> work_order_pb2.Demand:
    day = demand.requested_date
    return work_order_pb2.Demand(
        sales_order_number=demand.sales_order_number,
        partner_id=demand.partner_id,
        requested_date=date_message(day) if day else None,
    )


def totals_message(totals: Sequence[Total]) -> production_events_pb2.WorkOrderTotals:
    message = production_events_pb2.WorkOrderTotals()
    for total in totals:
        if not total.quantity.value:
            continue
        quantity = quantity_message(total.quantity)
        if total.total_kind == OUTPUT:
            message.outputs.add(lot_id=total.name, quantity=quantity)
        elif total.total_kind == SCRAP:
            message.scraps.add(quantity=quantity, reason_code=total.name)
        elif total.total_kind == CONSUMPTION:
            message.consumptions.add(item_id=total.name, lot_id=total.lot_id, quantity=quantity)
        elif total.total_kind == LABOUR:
            message.labours.add(operation_sequence=int(total.name), labour=quantity)
    return message


# --- facts


def order_fact(data: object, order: WorkOrder, occur_time: datetime, key: BusinessKey | None = None) -> Fact:
    """A fact about a work order, kept in order by the work order id."""
    return Fact(
        data=data,  # type: ignore[arg-type]
        plant_id=order.plant_id,
        order_key=order.work_order_id,
        subject_id=order.work_order_id,
        occur_time=occur_time,
        business_key=key,
    )


def work_order_completed(order: WorkOrder, operations: Sequence[Operation], totals: Sequence[Total]) -> object:
    return production_events_pb2.WorkOrderCompleted(
        work_order=work_order_message(order, operations), totals=totals_message(totals)
    )


def counter_variance_found(order: WorkOrder, operation: Operation) -> object:
    unit = order.planned.unit_code

    def amount(value: Decimal) -> QuantityMessage:
        return quantity_message(Quantity(value, unit))

    return production_events_pb2.CounterVarianceFound(
        work_order_id=order.work_order_id,
        operation_sequence=operation.sequence,
        confirmed_good=amount(operation.good),
        counted_good=amount(operation.counted_good),
        confirmed_scrap=amount(operation.scrap),
        counted_scrap=amount(operation.counted_scrap),
    )
