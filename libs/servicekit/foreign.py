"""A foreign system's own form, kept beside our words: what it said, and what it was asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from google.protobuf.message import Message

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from servicekit import clock

MOST = 16 * 1024  # bytes of a foreign record that go with a fact
ASKED = "asked"  # the feed of what we asked for
Requests = list[tuple[str, str]]
_requests: ContextVar[Requests] = ContextVar("requests")


def text_of(value: Any) -> str:
    """A foreign value as text: parts as JSON, exact amounts as they are, nothing as nothing."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | tuple | dict) else str(value)


def record_of(
    connector_id: str, feed: str, record_id: str, content: Mapping[str, Any], of_feed: Collection[str] = ()
) -> PlantRecord:
    """A record as a foreign system gave it, read now. `of_feed`: fields that belong to the feed, not to the document."""
    record = PlantRecord(connector_id=connector_id, feed=feed, record_id=record_id)
    for name, value in content.items():
        if name not in of_feed:
            record.fields.add(name=name, value=text_of(value))
    record.read_time.FromDatetime(clock.now())
    return record


def shown(record: PlantRecord | None) -> PlantRecord | None:
    """The record, where there is one and it is small enough to go with a fact."""
    return record if record is not None and record.ByteSize() <= MOST else None


def source_of(request: Message) -> PlantRecord | None:
    """The foreign record that a request was made of, where it brings one that is small enough."""
    return shown(request.source_record) if request.HasField("source_record") else None  # type: ignore[attr-defined]


@contextmanager
def noting(requests: Requests) -> Iterator[None]:
    """Adapters add here what they ask for, while one posting is worked on."""
    token = _requests.set(requests)
    try:
        yield
    finally:
        _requests.reset(token)


def note(request: str, content: Any) -> None:
    """An adapter asks a foreign system for a change: `request` such as "POST /v2/orders", and its content. No secrets.

    What would be too much to show is not kept either: a partner may be asked again for days.
    """
    requests = _requests.get(None)
    if requests is not None and sum(len(said) for _, said in requests) <= MOST:
        requests.append((request, text_of(content)[: MOST + 1]))


def asked_of(partner_id: str, key: str, requests: Iterable[tuple[str, str]]) -> PlantRecord | None:
    """What a partner was asked for with our key; None: nothing that we know of, or too much to show."""
    record = record_of(partner_id, ASKED, key, {})
    for name, value in requests:
        record.fields.add(name=name, value=value)
    return shown(record) if record.fields else None
