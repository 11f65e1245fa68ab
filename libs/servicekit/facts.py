"""Facts in their envelope: ids that are made again the same, subjects that name plant, domain and what happened."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf import symbol_database
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from isthmus.common.v1.business_key_pb2 import BusinessKey as BusinessKeyMessage
from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit.domain import BusinessKey
from servicekit.errors import FieldInvalid
from servicekit.use_case import Fact, UseCase

TYPE_PREFIX = "type.googleapis.com/"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


class EventMeta:
    """What a handler may know of a fact beside its content; read from the envelope only where it is asked for."""

    __slots__ = ("_envelope",)

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope

    @property
    def fact_type(self) -> str:
        return type_of(self._envelope.data)

    @property
    def event_id(self) -> str:
        return self._envelope.event_id

    @property
    def plant_id(self) -> str:
        return self._envelope.plant_id

    @property
    def order_key(self) -> str:
        return self._envelope.order_key

    @property
    def subject_id(self) -> str:
        return self._envelope.subject_id

    @property
    def producer_slot(self) -> str:
        return self._envelope.producer_slot

    @property
    def producer_sequence(self) -> int:
        return self._envelope.producer_sequence

    @property
    def occur_time(self) -> datetime:
        return time_of(self._envelope.occur_time)

    @property
    def record_time(self) -> datetime:
        return time_of(self._envelope.record_time)

    @property
    def is_late(self) -> bool:
        return self._envelope.is_late

    @property
    def business_key(self) -> BusinessKey | None:
        return key_of_message(self._envelope.business_key) if self._envelope.HasField("business_key") else None

    @property
    def correlation_id(self) -> str:
        return self._envelope.correlation_id

    @property
    def traceparent(self) -> str:
        return self._envelope.traceparent


class Do(NamedTuple):
    """What a handler answers: this use case, with this command. `is_document`: a plant report, which claims its key."""

    use_case: UseCase[Any]
    command: Any
    is_document: bool = False


Handler = Callable[[Any, EventMeta], Do | None]


def slot_of(service: str, plant_id: str) -> str:
    """The producer slot, which is also the name of its stream."""
    return f"{service}-{plant_id}"


def parts_of(slot: str) -> tuple[str, str]:
    """(service, plant) of a slot."""
    service = next(name for name in sorted(PACKAGE_OF, key=len, reverse=True) if slot.startswith(f"{name}-"))
    return service, slot.removeprefix(f"{service}-")


@lru_cache(maxsize=4096)
def subject_of(fact_type: str, plant_id: str) -> str:
    """isthmus.<plant>.<domain>.v1.<noun>.<participle> of a fact type such as isthmus.production.v1.WorkOrderReleased."""
    _, package, version, name = fact_type.split(".")
    words = [word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", name)]
    return f"isthmus.{plant_id}.{package}.{version}.{'_'.join(words[:-1]) or words[0]}.{words[-1]}"


def event_id(cause: str, fact_type: str, ordinal: int) -> str:
    """The same cause, type and ordinal give the same id, also when a fact is made again after a restore."""
    return hashlib.sha256(f"{cause}|{fact_type}|{ordinal}".encode()).hexdigest()[:32]


def wrap(  # the envelope has this many sources
    fact: Fact, slot: str, cause: str, ordinal: int, record_time: Timestamp, *, traceparent: str, correlation_id: str
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
    # Messages within one another cost twice as much by way of the constructor, and every fact goes this way.
    envelope.occur_time.CopyFrom(timestamp(fact.occur_time))
    envelope.record_time.CopyFrom(record_time)
    if fact.business_key is not None:
        envelope.business_key.CopyFrom(key_message(fact.business_key))
    envelope.data.type_url, envelope.data.value = TYPE_PREFIX + fact_type, fact.data.SerializeToString()
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
    """FIELD_INVALID: the time is not between the years 1 and 9999."""
    try:
        return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError as fault:
        raise FieldInvalid([("timestamp", f"{stamp.seconds} s after 1970 is in no year from 1 to 9999")]) from fault


def timestamp(instant: datetime) -> Timestamp:
    since = instant - EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def type_of(data: AnyMessage) -> str:
    return data.type_url.removeprefix(TYPE_PREFIX)


def unpack(data: AnyMessage) -> Message | None:
    """The content as its own type; None if this process has no such type. Raises DecodeError on bytes that are not it."""
    message_type = _class_of(type_of(data))
    return message_type.FromString(data.value) if message_type is not None else None


@lru_cache(maxsize=1024)
def _class_of(fact_type: str) -> type[Message] | None:
    try:
        return symbol_database.Default().GetSymbol(fact_type)
    except KeyError:
        return None


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
