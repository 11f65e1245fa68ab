"""Facts in their envelope: ids that are made again the same, subjects that name plant, domain and what happened."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf import symbol_database
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from isthmus.common.v1.business_key_pb2 import BusinessKey as BusinessKeyMessage
from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit.domain import BusinessKey
from servicekit.use_case import Fact, UseCase

TYPE_PREFIX = "type.googleapis.com/"
PACKAGE_OF = {  # service -> contract package of its facts
    "master_data": "masterdata",
    "production": "production",
    "inventory": "inventory",
    "quality": "quality",
    "maintenance": "maintenance",
    "edge_bridge": "edge",
    "gateway": "gateway",
    "operations": "operations",
}
SERVICE_OF = {package: service for service, package in PACKAGE_OF.items()}


@dataclass(frozen=True, slots=True)
class EventMeta:
    """What a handler may know of a fact beside its content."""

    event_id: str
    fact_type: str
    plant_id: str
    order_key: str
    subject_id: str
    producer_slot: str
    producer_sequence: int
    occur_time: datetime
    record_time: datetime
    is_late: bool
    business_key: BusinessKey | None
    correlation_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Do:
    """What a handler answers: this use case, with this command. `is_document`: a plant report, which claims its key."""

    use_case: UseCase[Any]
    command: Any
    is_document: bool = False


Handler = Callable[[Any, EventMeta], Do | None]


def slot_of(service: str, plant_id: str) -> str:
    """The producer slot, which is also the name of its stream."""
    return f"{service}-{plant_id}"


def subject_of(fact_type: str, plant_id: str) -> str:
    """isthmus.<plant>.<domain>.v1.<noun>.<participle> of a fact type such as isthmus.production.v1.WorkOrderReleased."""
    _, package, version, name = fact_type.split(".")
    words = [word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", name)]
    return f"isthmus.{plant_id}.{package}.{version}.{'_'.join(words[:-1]) or words[0]}.{words[-1]}"


def event_id(cause: str, fact_type: str, ordinal: int) -> str:
    """The same cause, type and ordinal give the same id, also when a fact is made again after a restore."""
    return hashlib.sha256(f"{cause}|{fact_type}|{ordinal}".encode()).hexdigest()[:32]


def wrap(  # the envelope has this many sources
    fact: Fact, slot: str, cause: str, ordinal: int, now: datetime, *, traceparent: str, correlation_id: str
) -> Envelope:
    """The fact in its envelope, without numbers: those are given at commit."""
    fact_type = fact.data.DESCRIPTOR.full_name
    envelope = Envelope(
        event_id=event_id(cause, fact_type, ordinal),
        plant_id=fact.plant_id,
        order_key=fact.order_key,
        subject_id=fact.subject_id,
        producer_slot=slot,
        is_late=fact.is_late,
        correlation_id=correlation_id or fact.order_key,
        causation_id=cause,
        traceparent=traceparent,
    )
    envelope.occur_time.FromDatetime(fact.occur_time)
    envelope.record_time.FromDatetime(now)
    if fact.business_key is not None:
        envelope.business_key.CopyFrom(key_message(fact.business_key))
    envelope.data.Pack(fact.data)
    return envelope


def key_message(key: BusinessKey) -> BusinessKeyMessage:
    return BusinessKeyMessage(
        source_system=key.source_system,
        document_type=key.document_type,
        document_number=key.document_number,
        line=key.line,
    )


def key_of_message(key: BusinessKeyMessage) -> BusinessKey:
    return BusinessKey(key.source_system, key.document_type, key.document_number, key.line)


def time_of(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def type_of(data: AnyMessage) -> str:
    return data.type_url.removeprefix(TYPE_PREFIX)


def unpack(data: AnyMessage) -> Message | None:
    """The content as its own type; None if this process has no such type. Raises DecodeError on bytes that are not it."""
    try:
        message_type = symbol_database.Default().GetSymbol(type_of(data))
    except KeyError:
        return None
    message = message_type()
    message.ParseFromString(data.value)
    return message


def meta_of(envelope: Envelope) -> EventMeta:
    return EventMeta(
        event_id=envelope.event_id,
        fact_type=type_of(envelope.data),
        plant_id=envelope.plant_id,
        order_key=envelope.order_key,
        subject_id=envelope.subject_id,
        producer_slot=envelope.producer_slot,
        producer_sequence=envelope.producer_sequence,
        occur_time=time_of(envelope.occur_time),
        record_time=time_of(envelope.record_time),
        is_late=envelope.is_late,
        business_key=key_of_message(envelope.business_key) if envelope.HasField("business_key") else None,
        correlation_id=envelope.correlation_id,
        traceparent=envelope.traceparent,
    )


def consumes(message_type: type[Message]) -> Callable[[Handler], Handler]:
    """Mark a function of event_handlers.py as the handler of a fact type."""

    def mark(handler: Handler) -> Handler:
        handler.__dict__["consumes"] = message_type.DESCRIPTOR.full_name
        return handler

    return mark


def handlers_of(module: object) -> dict[str, Handler]:
    """The subscriptions of an event_handlers module: fact type -> handler."""
    found = [value for value in vars(module).values() if callable(value) and hasattr(value, "consumes")]
    return {handler.__dict__["consumes"]: handler for handler in found}
