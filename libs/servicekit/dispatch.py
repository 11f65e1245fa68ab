"""What a fact asks of a service, and what that came to: dispatched by type, through the table in its `event_handlers.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import structlog
from google.protobuf.message import DecodeError

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import counts
from servicekit.batch import Batch, Work
from servicekit.domain import BusinessKeyConflict, DomainError, Kind
from servicekit.facts import EventMeta, Handler, type_of, unpack
from servicekit.position import NOTHING_SAID, Said

log = structlog.get_logger()


class FactVersionUnknown(DomainError):
    """A newer version of a fact type that we know: it waits until this service is upgraded."""

    reason, kind = "FACT_VERSION_UNKNOWN", Kind.MISSING


class FactUnreadable(DomainError):
    """The bytes are not what the fact's type says."""

    reason, kind = "MESSAGE_UNREADABLE", Kind.INVALID


class Misaddressed(DomainError):
    """Plant, subject and producer of the fact do not agree."""

    reason, kind = "FACT_MISADDRESSED", Kind.FORBIDDEN


class Delivery(NamedTuple):
    """A fact as it came: from a stream, or (slot empty) from a local source that marks its own records."""

    envelope: Envelope
    slot: str = ""
    stream_created: str = ""
    stream_sequence: int = 0
    said: Said = NOTHING_SAID


class Dispatch:
    """The handlers of one consumer; `hears_all` takes what no other does."""

    def __init__(self, consumer: str, handlers: Mapping[str, Handler], hears_all: Handler | None = None) -> None:
        self._consumer, self._handlers, self._hears_all = consumer, handlers, hears_all
        self._families = {name.rsplit(".", 2)[0] + "." + name.rsplit(".", 1)[1] for name in handlers}

    def work_of(self, delivery: Delivery) -> Work | Exception | None:
        """The command that a fact asks for; the error that it can't be understood; None: not for us."""
        envelope = delivery.envelope
        if envelope.restated_for and envelope.restated_for != self._consumer:
            return None
        fact_type = type_of(envelope.data)
        try:
            _require_address(delivery)
            handler = self._handler_of(fact_type)
            if handler is None:
                return None
            content = unpack(envelope.data)
            if content is None and handler is not self._hears_all:
                raise FactVersionUnknown(type=fact_type)
            do = handler(content, EventMeta(envelope))
        except DecodeError:
            return FactUnreadable(type=fact_type)
        except Exception as error:  # a mapping that fails is a reason to park, not to stop
            return error
        if do is None:
            return None
        return Work(
            do.use_case,
            do.command,
            is_document=do.is_document,
            cause=envelope.event_id,
            traceparent=envelope.traceparent,
            correlation_id=envelope.correlation_id,
        )

    def _handler_of(self, fact_type: str) -> Handler | None:
        """Raises FactVersionUnknown where we know the type by another version."""
        handler = self._handlers.get(fact_type, self._hears_all)
        if handler is None:
            parts = fact_type.rsplit(".", 2)
            if len(parts) == 3 and f"{parts[0]}.{parts[2]}" in self._families:
                raise FactVersionUnknown(type=fact_type)
        return handler


def _require_address(delivery: Delivery) -> None:
    """Slot, producer and plant of what comes from a stream agree. Raises Misaddressed."""
    envelope, slot = delivery.envelope, delivery.slot
    if slot and slot != envelope.producer_slot:
        raise Misaddressed(slot=slot, producer_slot=envelope.producer_slot)
    if slot and not envelope.producer_slot.endswith(f"-{envelope.plant_id}"):
        raise Misaddressed(producer_slot=envelope.producer_slot, plant_id=envelope.plant_id)


def decide(batch: Batch, work: Work | Exception) -> Exception | None:
    """Decide; the error that opens or keeps a lane, or None when the fact is done with."""
    if isinstance(work, Exception):
        return work
    batch.decide(work)
    if is_second_content(work):
        # The second content stands in `conflicts`; the order itself is healthy and goes on.
        assert isinstance(work.error, BusinessKeyConflict)
        log.error("business key conflict", **work.error.facts)
        return None
    return work.error


def is_second_content(work: Work) -> bool:
    """A document that came again with other content: it is done with, without effect."""
    return isinstance(work.error, BusinessKeyConflict) and work.is_document


def became(work: Work | Exception | None) -> str:
    """What a fact that is done with has come to."""
    if not isinstance(work, Work) or work.is_moot:
        return counts.MOOT
    if work.error is not None:
        return counts.REFUSED
    return counts.REPEAT if work.is_replayed else counts.DONE
