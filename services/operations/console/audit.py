"""Who did what, when and why, at the desks of all services; and, when asked, whether what is written of it still holds."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from starlette.requests import Request

from isthmus.operations.v1 import lane_service_pb2 as messages
from services.operations.console.asked import Asked, rows
from services.operations.console.words import Shown, at

ENTRIES_MOST = 200  # of each service
VERIFY_DEADLINE = 60.0


async def page(asked: Asked, request: Request) -> Shown:
    """The newest entries first. `verify=yes` computes the chains anew."""
    found = await asyncio.gather(*(_entries(name, desk) for name, desk in asked.desks.items()))
    listed = [entry for some in found if some is not None for entry in some]
    listed.sort(key=lambda entry: entry["audit_time"], reverse=True)
    away = [name for some, name in zip(found, asked.desks, strict=True) if some is None]
    chains: list[dict[str, Any]] = []
    if request.query_params.get("verify") == "yes":
        chains = await asyncio.gather(*(_chain(name, desk) for name, desk in asked.desks.items()))
    return "audit.html", {"entries": listed, "away": away, "chains": chains, "most": ENTRIES_MOST}


async def _entries(service: str, desk: Any) -> list[dict[str, Any]] | None:
    request = messages.ListAuditEntriesRequest(page_size=ENTRIES_MOST)
    try:
        return [
            {
                "service": service,
                "entry_number": entry.entry_number,
                "audit_time": at(entry.audit_time),
                "action": entry.action,
                "subject": entry.subject,
                "event_id": entry.event_id,
                "operator_id": entry.operator_id,
                "reason": entry.audit_reason,
                "detail": entry.detail,
            }
            async for entry in rows(desk.ListAuditEntries, request, "entries", ENTRIES_MOST)
        ]
    except grpc.aio.AioRpcError:
        return None


async def _chain(service: str, desk: Any) -> dict[str, Any]:
    try:
        found = await desk.VerifyAudit(messages.VerifyAuditRequest(), timeout=VERIFY_DEADLINE)
    except grpc.aio.AioRpcError as error:
        return {"service": service, "entry_count": 0, "head": "", "wrong": f"does not answer: {error.details()}"}
    wrong = found.first_break
    place = f"at entry {wrong.entry_number}" if wrong.entry_number else "at its head"
    return {
        "service": service,
        "entry_count": found.entry_count,
        "head": found.head_hash,
        "wrong": f"does not hold {place}: {wrong.text}" if found.HasField("first_break") else "",
    }
