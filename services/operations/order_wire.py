"""Operations' words of work orders' quantities on the wire and in the domain."""

from __future__ import annotations

from decimal import Decimal

from google.protobuf import json_format

from isthmus.edge.v1.edge_service_pb2 import MesConfirmation
from isthmus.operations.v1 import lane_service_pb2
from isthmus.operations.v1 import reconciliation_pb2 as messages
from isthmus.production.v1.confirmation_pb2 import Confirmation
from servicekit.domain import Quantity
from servicekit.wire import quantity_message, quantity_of, time_of
from services.operations.domain.order_comparison import (
    Amounts,
    Confirmed,
    OrderDifference,
    OrderVariance,
    Report,
    ToldOrderVariance,
)
from services.operations.domain.reconciliation import Cause, Standing


def report(said: MesConfirmation) -> Report:
    amounts = None
    if said.HasField("good_quantity"):
        amounts = Amounts(quantity_of(said.good_quantity), quantity_of(said.scrap_quantity))
    return Report(
        document_id=said.document_number,
        order_id=said.work_order_id or said.mes_order_number,
        operation_sequence=said.operation_sequence,
        amounts=amounts,
        reversed_id=said.reversed_document_number,
        take_time=time_of(said.take_time) if said.HasField("take_time") else None,
        is_read=said.is_read,
        lane_key=said.lane_key,
        unreadable_text=said.unreadable_text,
    )


def confirmed(said: Confirmation) -> Confirmed:
    good = quantity_of(said.good_quantity)
    scrap = sum((quantity_of(one.quantity).value for one in said.scraps), Decimal(0))
    return Confirmed(
        source_system=said.document_key.source_system,
        document_id=said.document_key.document_number,
        order_id=said.work_order_id,
        operation_sequence=said.operation_sequence,
        amounts=Amounts(good, Quantity(scrap, good.unit_code)),
        is_reversed=said.is_reversed,
    )


def standing(lane: lane_service_pb2.Lane) -> Standing:
    """What is in a lane is not lost: it is tried again, or waits for a person there."""
    if lane.state == lane_service_pb2.LANE_STATE_PARKED:
        return Standing(Cause.PARKED, f"parked in lane {lane.consumer} {lane.order_key}: {lane.reason}")
    return Standing(Cause.UNDER_WAY, f"waits in lane {lane.consumer} {lane.order_key}: {lane.reason}")


def variance_message(said: OrderVariance) -> messages.OrderVariance:
    message = messages.OrderVariance(
        reconciliation_id=said.reconciliation_id,
        plant_id=said.plant_id,
        system_id=said.system_id,
        work_order_id=said.work_order_id,
        operation_sequence=said.operation_sequence,
        causes=[_cause_message(cause) for cause in said.causes],
        is_open=said.is_open,
    )
    _put(message, said)
    return message


def _cause_message(cause: OrderDifference) -> messages.OrderVarianceCause:
    message = messages.OrderVarianceCause(
        document_id=cause.document_id,
        kind=messages.CauseKind.Value(f"CAUSE_KIND_{cause.cause.name}"),
        text=cause.text,
    )
    _put(message, cause)
    return message


def _put(message: messages.OrderVariance | messages.OrderVarianceCause, said: OrderVariance | OrderDifference) -> None:
    """What is absent stays so."""
    if said.booked is not None:
        message.booked_good_quantity.CopyFrom(quantity_message(said.booked.good))
        message.booked_scrap_quantity.CopyFrom(quantity_message(said.booked.scrap))
    if said.mes is not None:
        message.mes_good_quantity.CopyFrom(quantity_message(said.mes.good))
        message.mes_scrap_quantity.CopyFrom(quantity_message(said.mes.scrap))


def told_variance(number: int, said: OrderVariance) -> ToldOrderVariance:
    content = json_format.MessageToJson(variance_message(said), indent=None)
    return ToldOrderVariance(said.reconciliation_id, number, content)


def variance_of(told: ToldOrderVariance) -> messages.OrderVariance:
    return json_format.Parse(told.content, messages.OrderVariance())
