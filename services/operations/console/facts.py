"""A fact as it was told: its content in our words, and beside it a foreign system's own, of which it was made or which we sent."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from isthmus.operations.v1 import lane_service_pb2 as messages
from services.operations.console.asked import DEADLINE, Asked
from services.operations.console.exceptions import desk_of, exact, hex_of
from services.operations.console.words import Shown, at

SOURCE, SENT = (
    "sourceRecord",
    "sentRecord",
)  # what a foreign system said, as it said it; what it was asked, as it was asked


def desk_name(asked: Asked, slot: str) -> str:
    """The service that tells in this slot, as the settings name its desk; empty where they don't."""
    return next((name for name in (slot, slot.rsplit("-", 1)[0]) if name in asked.desks), "")


def fact_path(asked: Asked, slot: str, sequence: int) -> str:
    """Where a fact is shown; empty where nobody can be asked for it."""
    return f"/facts/{slot}/{sequence}" if sequence and desk_name(asked, slot) else ""


async def page(asked: Asked, request: Request) -> Shown:
    """One fact."""
    slot, sequence = request.path_params["producer_slot"], request.path_params["sequence"]
    wanted = messages.GetToldFactRequest(producer_slot=slot, producer_sequence=sequence)
    told = await desk_of(asked, desk_name(asked, slot) or slot).GetToldFact(wanted, timeout=DEADLINE)
    content, source, sent = _sides(told.content_json)
    return "fact.html", {
        "slot": slot,
        "sequence": sequence,
        "event_id": told.event_id,
        "fact_type": told.fact_type,
        "record_time": at(told.record_time),
        "content": content,
        "source": source,
        "sent": sent,
        "size": len(told.envelope),
        "hex": hex_of(told.envelope),
    }


def _sides(content_json: str) -> tuple[str, dict[str, Any] | None, dict[str, Any] | None]:
    """Our content without foreign records, and those."""
    try:
        content = json.loads(content_json)
    except ValueError:
        return content_json, None, None
    source, sent = (_readable(content.pop(name, None)) for name in (SOURCE, SENT))
    return exact(json.dumps(content)), source, sent


def _readable(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """A foreign record with the values that have parts written one below the other."""
    if record is None:
        return None
    values = [(field.get("name", ""), field.get("value", "")) for field in record.get("fields", [])]
    fields = []
    for name, value in values:
        has_parts = value.startswith(("[", "{"))
        fields.append({"name": name, "value": exact(value) if has_parts else value, "has_parts": has_parts})
    return {**record, "fields": fields}
