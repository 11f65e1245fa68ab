"""Operations' words of interfaces and their time on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from isthmus.operations.v1 import interface_pb2 as messages
from isthmus.operations.v1 import operations_events_pb2, operations_service_pb2
from servicekit.use_case import Fact
from servicekit.wire import timestamp
from services.operations.domain.sla import Change, Standing, Waiting
from services.operations.interfaces import Interface

EVENTS = {
    Change.BREACHED: operations_events_pb2.SlaBreached,
    Change.RECOVERED: operations_events_pb2.SlaRecovered,
}


@dataclass(frozen=True, slots=True)
class ChangeStanding:
    """An interface was seen beyond its limit for long enough, or is no longer. `time`: since when."""

    waiting: Waiting
    time: datetime


def fact(waiting: Waiting, change: Change, breach_time: datetime, at: datetime) -> Fact:
    data = EVENTS[change](
        plant_id=waiting.plant_id,
        interface_id=waiting.interface_id,
        since_time=timestamp(breach_time),
        oldest_work_order_id=waiting.oldest_work_order_id,
        open_count=waiting.open_count,
    )
    order_key = f"sla:{waiting.plant_id}:{waiting.interface_id}"
    return Fact(data, waiting.plant_id, order_key, waiting.interface_id, at)


def missing_step_message(one: Interface, since_time: datetime, now: datetime) -> operations_service_pb2.MissingStep:
    """A step of an order that an interface waits for."""
    message = operations_service_pb2.MissingStep(
        interface_id=one.interface_id,
        interface_name=one.name,
        to_step=one.to_step,
        since_time=timestamp(since_time),
        is_beyond_limit=now - since_time > one.sla.limit,
        owner=one.owner,
    )
    message.limit_duration.FromTimedelta(one.sla.limit)
    return message


def interface_message(
    one: Interface, waiting: Waiting, standing: Standing, last_good_time: datetime | None, hour_count: int
) -> messages.Interface:
    """An interface as a plant uses it now."""
    state = messages.INTERFACE_STATE_BREACHED if standing.is_breached else messages.INTERFACE_STATE_OK
    oldest = waiting.oldest_open_time
    message = messages.Interface(
        interface_id=one.interface_id,
        plant_id=waiting.plant_id,
        name=one.name,
        owner=one.owner,
        sla_tier=messages.SlaTier.Value(f"SLA_TIER_{one.sla.tier.name}"),
        from_step=one.from_step,
        to_step=one.to_step,
        state=state,
        since_time=timestamp(standing.since_time) if standing.since_time else None,
        last_good_time=timestamp(last_good_time) if last_good_time else None,
        open_count=waiting.open_count,
        oldest_work_order_id=waiting.oldest_work_order_id,
        oldest_open_time=timestamp(oldest) if oldest else None,
        hour_count=hour_count,
    )
    message.limit_duration.FromTimedelta(one.sla.limit)
    return message
