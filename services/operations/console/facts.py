"""A fact as it was told: its content in our words, and beside it what a foreign system said or was asked."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from isthmus.operations.v1 import lane_service_pb2 as messages
from services.operations.console.asked import DEADLINE, Asked
from services.operations.console.exceptions import desk_of, exact, hex_of
from services.operations.console.words import Shown, at

SAID, ASKED = "sourceRecord", "sentRecord"  # by a foreign system, of it: in its own form


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
    content, record, was_asked = _sides(told.content_json)
    return "fact.html", {
        "slot": slot,
        "sequence": sequence,
        "event_id": told.event_id,
        "fact_type": told.fact_type,
        "record_time": at(told.record_time),
        "content": content,
        "record": record,
        "was_asked": was_asked,
        "size": len(told.envelope),
        "hex": hex_of(told.envelope),
    }


def _sides(content_json: str) -> tuple[str, dict[str, Any] | None, bool]:
    """Our content without the foreign record, that, and whether it is what we asked for."""
    try:
        content = json.loads(content_json)
    except ValueError:
        return content_json, None, False
    said, asked = content.pop(SAID, None), content.pop(ASKED, None)
    record = said or asked
    return exact(json.dumps(content)), _readable(record) if record else None, record is asked


def _readable(record: dict[str, Any]) -> dict[str, Any]:
    """A foreign record with the values that have parts written one below the other."""
    fields = []
    for field in record.get("fields", []):
        value = field.get("value", "")
        has_parts = value.startswith(("[", "{"))
        name, text = field.get("name", ""), exact(value) if has_parts else value
        fields.append({"name": name, "value": text, "has_parts": has_parts})
    return {**record, "fields": fields}
