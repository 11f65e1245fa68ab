"""Confirmations and reversals on the wire and in the domain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from isthmus.edge.v1.edge_events_pb2 import ConfirmationReported, ReversalReported
from isthmus.production.v1 import confirmation_pb2, production_events_pb2, production_service_pb2
from servicekit.domain import BusinessKey, Quantity
from servicekit.door import Outcome
from servicekit.errors import to_status
from servicekit.facts import EventMeta
from servicekit.wire import (
    duration_message,
    key_message,
    key_of_message,
    quantity_message,
    quantity_of,
    seconds_of,
    time_of,
    timestamp,
)
from services.production.domain.confirmation import Confirmation, Consumption, Scrap
from services.production.domain.work_order import WorkOrder


@dataclass(frozen=True, slots=True)
class ConfirmOperation:
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
    is_late: bool = False
    confirmation_id: str = field(init=False)  # made once: it is asked for with every load

    def __post_init__(self) -> None:
        object.__setattr__(self, "confirmation_id", confirmation_id(self.business_key))


@dataclass(frozen=True, slots=True)
class ReverseConfirmation:
    business_key: BusinessKey
    plant_id: str
    confirmation_key: BusinessKey
    reversal_reason: str
    is_late: bool = False


def confirmation_id(key: BusinessKey) -> str:
    """A confirmation is named by its document."""
    return hashlib.sha256(key.id.encode()).hexdigest()[:32]


def confirm_operation(request: production_service_pb2.ConfirmOperationRequest) -> ConfirmOperation:
    return _confirm(key_of_message(request.business_key), request.confirmation, is_late=False)


def import_confirmations_response(outcomes: Sequence[Outcome]) -> production_service_pb2.ImportConfirmationsResponse:
    return production_service_pb2.ImportConfirmationsResponse(outcomes=[_outcome_message(o) for o in outcomes])


def _outcome_message(outcome: Outcome) -> production_service_pb2.ConfirmationOutcome:
    if isinstance(outcome, production_service_pb2.ConfirmOperationResponse):
        return production_service_pb2.ConfirmationOutcome(response=outcome)
    assert isinstance(outcome, Exception), "a confirmation is answered or refused"
    return production_service_pb2.ConfirmationOutcome(refusal=to_status(outcome))


def confirm_reported(event: ConfirmationReported, meta: EventMeta) -> ConfirmOperation:
    assert meta.business_key is not None, "the edge bridge gives every report its document's key"
    return _confirm(meta.business_key, event.confirmation, is_late=meta.is_late)


def _confirm(key: BusinessKey, said: confirmation_pb2.Confirmation, *, is_late: bool) -> ConfirmOperation:
    return ConfirmOperation(
        business_key=key,
        plant_id=said.plant_id,
        work_order_id=said.work_order_id,
        operation_sequence=said.operation_sequence,
        good=quantity_of(said.good_quantity),
        scraps=tuple(Scrap(quantity_of(s.quantity), s.reason_code) for s in said.scraps),
        labour=seconds_of(said.labour_duration),
        consumptions=tuple(Consumption(c.item_id, c.lot_id, quantity_of(c.quantity)) for c in said.consumptions),
        output_lot_id=said.output_lot_id,
        occur_time=time_of(said.occur_time),
        operator_id=said.operator_id,
        is_final=said.is_final,
        is_late=is_late,
    )


def reverse_confirmation(request: production_service_pb2.ReverseConfirmationRequest) -> ReverseConfirmation:
    return ReverseConfirmation(
        key_of_message(request.business_key),
        request.plant_id,
        key_of_message(request.confirmation_key),
        request.reversal_reason,
    )


def reverse_reported(event: ReversalReported, meta: EventMeta) -> ReverseConfirmation:
    assert meta.business_key is not None, "the edge bridge gives every report its document's key"
    return ReverseConfirmation(
        meta.business_key,
        event.plant_id,
        key_of_message(event.confirmation_key),
        event.reversal_reason,
        is_late=meta.is_late,
    )


def confirmation_message(confirmation: Confirmation) -> confirmation_pb2.Confirmation:
    return confirmation_pb2.Confirmation(
        confirmation_id=confirmation.confirmation_id,
        plant_id=confirmation.plant_id,
        work_order_id=confirmation.work_order_id,
        operation_sequence=confirmation.operation_sequence,
        good_quantity=quantity_message(confirmation.good),
        scraps=[_scrap_message(s) for s in confirmation.scraps],
        labour_duration=duration_message(confirmation.labour),
        consumptions=[
            confirmation_pb2.Consumption(item_id=u.item_id, lot_id=u.lot_id, quantity=quantity_message(u.quantity))
            for u in confirmation.consumptions
        ],
        output_lot_id=confirmation.output_lot_id,
        occur_time=timestamp(confirmation.occur_time),
        operator_id=confirmation.operator_id,
        is_final=confirmation.is_final,
        shift_id=confirmation.shift_id,
        is_reversed=confirmation.is_reversed,
    )


def listed_confirmation_message(confirmation: Confirmation) -> confirmation_pb2.Confirmation:
    """As lists show it: with the document that it was booked from."""
    message = confirmation_message(confirmation)
    message.document_key.CopyFrom(key_message(confirmation.business_key))
    return message


def _scrap_message(scrap: Scrap) -> confirmation_pb2.Scrap:
    return confirmation_pb2.Scrap(quantity=quantity_message(scrap.quantity), reason_code=scrap.reason_code)


def operation_confirmed(
    order: WorkOrder, confirmation: Confirmation, said: confirmation_pb2.Confirmation, *, is_last: bool
) -> object:
    return production_events_pb2.OperationConfirmed(
        confirmation=said,
        item_id=order.item_id,
        is_last_operation=is_last,
        business_key=key_message(confirmation.business_key),
    )


def scrap_reported(order: WorkOrder, confirmation: Confirmation) -> object:
    return production_events_pb2.ScrapReported(
        work_order_id=order.work_order_id,
        operation_sequence=confirmation.operation_sequence,
        item_id=order.item_id,
        scraps=[_scrap_message(s) for s in confirmation.scraps],
        confirmation_id=confirmation.confirmation_id,
    )
