"""What waits, what is parked, what stands still and what came twice, over all services; one lane with what is in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import grpc
from starlette.requests import Request

from isthmus.edge.v1.edge_service_pb2 import GetEdgeStatusRequest
from isthmus.masterdata.v1 import masterdata_service_pb2 as master_data
from isthmus.masterdata.v1.ownership_pb2 import OWNERSHIP_REFUSAL_STATE_OPEN
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit.clock import new_id
from services.operations.console.asked import BRIDGE_DEADLINE, DEADLINE, Asked, rows
from services.operations.console.words import MARKS, Refused, Shown, at

PARKED = messages.LANE_STATE_PARKED
LANES_MOST = 10_000  # of one service
PAGE_ROWS = 100
NEVER = datetime.max.replace(tzinfo=UTC)
CONFLICTS_MOST = 50  # of each service
CONTENT_MOST = 262_144  # characters: what a correction may have
HEX_MOST = 2048  # bytes shown
DONE = {
    "corrected": "Corrected. The original never takes effect; release the lane to let the corrected one.",
    "released": "Released.",
    "proposed": "Proposed. Somebody else can discard it now.",
    "discarded": "Discarded, by two of you.",
    "resumed": "The reader goes on.",
    "applied": "The offered value stands now.",
    "dropped": "The kept value stays.",
}


async def page(asked: Asked, request: Request) -> Shown:
    """All of them, what needs a person first, the oldest first. A service that does not answer is said to be away."""
    words = request.query_params.get("match", "")[:128]
    number = max(1, int(text)) if (text := request.query_params.get("page", "1")).isdecimal() and len(text) < 7 else 1
    listed, away = await _listed(asked)
    matching = [row for row in listed if _matches(row, words)]
    shown = [_dressed(row) for row in matching[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]]
    return "exceptions.html", {
        "live": asked.plants,
        "beat": ", every 5s",
        "rows": shown,
        "conflicts": await _conflicts(asked) if number == 1 and not words else [],
        "away": away,
        "match": words,
        "count": len(matching),
        "all_count": len(listed),
        "parked_count": sum(row["kind"] == "parked" for row in matching),
        "page_number": number,
        "last": max(1, -(-len(matching) // PAGE_ROWS)),
        "done": DONE.get(request.query_params.get("done", ""), ""),
    }


async def _listed(asked: Asked) -> tuple[list[dict[str, Any]], list[str]]:
    """All lines, in the page's order, and the services that are away."""
    found = await asyncio.gather(*(_of(name, desk) for name, desk in asked.desks.items()))
    away = [name for (_, is_away), name in zip(found, asked.desks, strict=True) if is_away]
    listed = [row for some, _ in found for row in some] + await _others(asked)
    listed.sort(key=lambda row: (not row["needs_person"], row["since_time"] or NEVER, row["service"], row["order_key"]))
    return listed, away


async def parked(asked: Asked, words: str) -> list[list[str]]:
    """Service, consumer and order key of all parked lanes that have these words in their line, the oldest first."""
    listed, _ = await _listed(asked)
    chosen = [row for row in listed if row["kind"] == "parked" and _matches(row, words)]
    return [[row["service"], row["consumer"], row["order_key"]] for row in chosen]


def _matches(row: dict[str, Any], words: str) -> bool:
    if not words:
        return True
    said = " ".join(
        str(row[name]) for name in ("kind", "service", "consumer", "order_key", "reason", "text")
    ).casefold()
    return all(word in said for word in words.casefold().split())


async def _of(name: str, desk: Any) -> tuple[list[dict[str, Any]], bool]:
    lanes, unknown = messages.ListLanesRequest(page_size=500), messages.ListPostingsRequest(state="unknown")
    try:
        found = [_lane(name, lane) async for lane in rows(desk.ListLanes, lanes, "lanes", LANES_MOST)]
        found += [_posting(name, one) async for one in rows(desk.ListPostings, unknown, "postings")]
        stops = rows(desk.ListSlotStops, messages.ListSlotStopsRequest(), "slot_stops")
        found += [_stop(name, one) async for one in stops if not one.is_accepted]
    except grpc.aio.AioRpcError:
        return [], True
    return found, False


def _row(service: str, kind: str, order_key: str, reason: str, text: str, **more: Any) -> dict[str, Any]:
    """A line of the list."""
    fixed = {"service": service, "kind": kind, "order_key": order_key, "reason": reason, "text": text}
    others = {
        "consumer": service,
        "needs_person": False,
        "count": 0,
        "since_time": None,
        "last_time": None,
        "is_lane": False,
        "form": "",
        "proposals": 0,
    }
    return {**fixed, **others, **more}


def _dressed(row: dict[str, Any]) -> dict[str, Any]:
    """With what only a line that is shown needs; `path` and `pick` are empty where there is no lane to open or to release."""
    place = [row["service"], row["consumer"], row["order_key"]]
    return {
        **row,
        "row_id": sha256(json.dumps([row["kind"], *place]).encode()).hexdigest()[:16],
        "path": lane_path(*place) if row["is_lane"] else "",
        "pick": json.dumps(place) if row["kind"] == "parked" else "",
    }


def _lane(service: str, lane: Any) -> dict[str, Any]:
    is_parked = lane.state == PARKED
    return _row(
        service,
        "parked" if is_parked else "waits",
        lane.order_key,
        lane.reason,
        lane.text,
        consumer=lane.consumer,
        needs_person=is_parked,
        count=lane.fact_count,
        since_time=at(lane.since_time),
        last_time=at(lane.last_fact_time),
        is_lane=True,
        proposals=lane.proposal_count,
    )


def _posting(service: str, posting: Any) -> dict[str, Any]:
    text = posting.text or "asked, and not answered: it is looked for before it is asked again"
    return _row(
        service,
        "no answer",
        posting.order_key,
        posting.posting_kind,
        text,
        consumer=posting.partner_id,
        count=posting.attempts,
        since_time=at(posting.plan_time),
        last_time=at(posting.change_time),
    )


def _stop(service: str, stop: Any) -> dict[str, Any]:
    return _row(
        service,
        "stands still",
        stop.producer_slot,
        stop.reason,
        stop.text,
        consumer=stop.consumer,
        needs_person=True,
        since_time=at(stop.since_time),
        form="stop",
    )


async def _others(asked: Asked) -> list[dict[str, Any]]:
    """Values that were refused because another system owns them, and what the plants' connectors complain of."""
    asks = [_refusals(asked.master_data, plant) for plant in asked.plants] if asked.master_data is not None else []
    asks += [_complaints(plant, bridge) for plant, bridge in asked.bridges.items()]
    return [row for some in await asyncio.gather(*asks) for row in some]


async def _refusals(stub: Any, plant: str) -> list[dict[str, Any]]:
    request = master_data.ListOwnershipRefusalsRequest(plant_id=plant, state=OWNERSHIP_REFUSAL_STATE_OPEN)
    try:
        found = [one async for one in rows(stub.ListOwnershipRefusals, request, "ownership_refusals")]
    except grpc.aio.AioRpcError:  # its desk is named as away already
        return []
    return [
        _row(
            "master_data",
            "not the owner",
            f"{one.entity_id} {one.field_name}".strip(),
            one.ownership_refusal_id,
            f"{one.source_system} offers {one.offered_value!r}; {one.owner} owns it, and {one.kept_value!r} stands",
            consumer=plant,
            needs_person=True,
            count=one.offer_count,
            since_time=at(one.offer_time),
            last_time=at(one.offer_time),
            form="refusal",
        )
        for one in found
    ]


async def _complaints(plant: str, bridge: Any) -> list[dict[str, Any]]:
    try:
        said = await bridge.GetEdgeStatus(GetEdgeStatusRequest(), timeout=BRIDGE_DEADLINE)
    except grpc.aio.AioRpcError:  # the plant's card says so
        return []
    return [
        _row(
            f"edge_bridge-{plant}",
            "complains",
            one.connector_id,
            "CONNECTOR" if one.is_connected else "CONNECTOR_AWAY",
            one.last_error,
            consumer=one.driver,
            needs_person=one.is_connected,  # such as a file in quarantine: the line itself does not heal it
            last_time=at(one.last_record_time),
        )
        for one in said.connectors
        if one.last_error
    ]


async def _conflicts(asked: Asked) -> list[dict[str, Any]]:
    found = await asyncio.gather(*(_collect(_conflicts_of(name, desk)) for name, desk in asked.desks.items()))
    return sorted((one for some in found for one in some), key=lambda one: one["found_time"], reverse=True)


async def _collect(found: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        return [one async for one in found]
    except grpc.aio.AioRpcError:
        return []


async def _conflicts_of(name: str, desk: Any) -> AsyncIterator[dict[str, Any]]:
    request = messages.ListConflictsRequest(page_size=CONFLICTS_MOST)
    async for one in rows(desk.ListConflicts, request, "conflicts", CONFLICTS_MOST):
        key = one.business_key
        number = "/".join(filter(None, (key.source_system, key.document_type, key.document_number, key.line)))
        yield {
            "service": name,
            "command": one.command,
            "document": number,
            "first": one.first_content,
            "second": one.second_content,
            "found_time": at(one.found_time),
        }


def lane_path(service: str, consumer: str, order_key: str) -> str:
    return "/exceptions/" + "/".join(quote(part, safe="") for part in (service, consumer, order_key))


def desk_of(asked: Asked, service: str) -> Any:
    """The desk of this service. Refused: SERVICE_UNKNOWN."""
    if service not in asked.desks:
        raise Refused("SERVICE_UNKNOWN", f"There is no desk of {service} here.", 404)
    return asked.desks[service]


async def lane(asked: Asked, request: Request) -> Shown:
    """One lane: its facts, head first, with their content, and the forms to put it right."""
    names = request.path_params
    desk = desk_of(asked, names["service"])
    wanted = messages.GetLaneRequest(consumer=names["consumer"], order_key=names["order_key"])
    found = await desk.GetLane(wanted, timeout=DEADLINE)
    shown = {
        "service": names["service"],
        "lane": _dressed(_lane(names["service"], found.lane)),
        "facts": [_fact(fact) for fact in found.facts],
        "done": DONE.get(request.query_params.get("done", ""), ""),
        "key": new_id(),
    }
    return "lane.html", shown


def _fact(fact: Any) -> dict[str, Any]:
    content = exact(fact.content_json)
    return {
        "event_id": fact.event_id,
        "fact_type": fact.fact_type,
        "attempts": fact.attempts,
        "reason": fact.reason,
        "text": fact.text,
        "content": content,
        "is_correctable": 0 < len(content) <= CONTENT_MOST,
        "size": len(fact.envelope),
        "hex": hex_of(fact.envelope),
        "record_time": at(fact.record_time),
        "proposer_id": fact.proposer_id,
        "propose_reason": fact.propose_reason,
        "key": new_id(),
    }


def exact(content: str) -> str:
    """The content, readable and to the letter: marks that turn text are written as JSON's escapes, which mean the same."""
    try:
        pretty = json.dumps(json.loads(content), indent=1, ensure_ascii=False)
    except ValueError:
        return content
    return pretty.translate({mark: f"\\u{mark:04x}" for mark in MARKS})


def hex_of(envelope: bytes) -> str:
    """The beginning, as `hexdump -C` shows it."""
    data, lines = envelope[:HEX_MOST], []
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:06x}  {part.hex(' '):<47}  {letters}")
    return "\n".join(lines)
