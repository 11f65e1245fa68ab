"""The support desk's commands: what waits or is parked, what came twice, what was asked of foreign systems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format

from deploy.local import calls, ports
from deploy.local.output import AsJson, show
from isthmus.operations.v1 import lane_service_pb2 as lane_messages

lanes = typer.Typer(no_args_is_help=True, help="What waits or is parked, and the hands to put it right.")


def known_service(service: str) -> str:
    """The service, if there is one of that name; else ends with a sentence."""
    known = calls.services(ports.plants())
    if service not in known:
        raise SystemExit(f"There is no service {service}. Services: {', '.join(known)}")
    return service


Service = Annotated[str, typer.Argument(callback=known_service, help="As isthmus ps names it.")]


@lanes.command(name="list")
def list_lanes(as_json: AsJson = False) -> None:
    """Lanes of all services.   Example: isthmus lanes list"""
    rows = []
    for name in calls.services(ports.plants()):
        with calls.desk(ports.local(), name) as desk:
            for lane in calls.pages(desk.ListLanes, lane_messages.ListLanesRequest(), "lanes"):
                state = lane_messages.LaneState.Name(lane.state).removeprefix("LANE_STATE_").lower()
                row = {"service": name, "consumer": lane.consumer, "order key": lane.order_key, "state": state}
                rows.append({**row, "reason": lane.reason, "text": lane.text, "facts": lane.fact_count})
    show(rows, "Lanes", as_json)


@lanes.command(name="show")
def show_lane(service: Service, consumer: str, order_key: str, as_json: AsJson = False) -> None:
    """A lane with its facts.   Example: isthmus lanes show edge_bridge-brno mes-brno mes:Z40003"""
    with calls.desk(ports.local(), service) as desk:
        lane = desk.GetLane(
            lane_messages.GetLaneRequest(consumer=consumer, order_key=order_key), timeout=calls.DEADLINE
        )
    if as_json:
        typer.echo(json_format.MessageToJson(lane))
        return
    rows = [
        {
            "event": f.event_id,
            "type": f.fact_type,
            "attempts": f.attempts,
            "reason": f.reason,
            "content": f.content_json,
        }
        for f in lane.facts
    ]
    show(rows, f"Lane {order_key}", as_json)


@lanes.command()
def release(
    service: Service, consumer: str, order_key: str, reason: str, operator: str, as_json: AsJson = False
) -> None:
    """Work a lane off in order.   Example: isthmus lanes release production production aachen-5 "item is there now" kim"""
    request = lane_messages.ReleaseLaneRequest(
        business_key=_new_key("release"),
        consumer=consumer,
        order_key=order_key,
        release_reason=reason,
        operator_id=operator,
    )
    with calls.desk(ports.local(), service) as desk:
        answer = desk.ReleaseLane(request, timeout=calls.DEADLINE)
    show([{"released": answer.released_count, "left": answer.lane.fact_count}], "Release", as_json)


@lanes.command()
def correct(
    service: Service,
    consumer: str,
    order_key: str,
    event: str,
    content: Path,
    reason: str,
    operator: str,
    as_json: AsJson = False,
) -> None:
    """Replace a fact's content by a JSON file.

    Example: isthmus lanes correct edge_bridge-brno mes-brno mes:Z4 1f2e a.json typo kim
    """
    request = lane_messages.CorrectLaneFactRequest(
        business_key=_new_key("correct"),
        consumer=consumer,
        order_key=order_key,
        event_id=event,
        content_json=content.read_text(encoding="utf-8"),
        correct_reason=reason,
        operator_id=operator,
    )
    with calls.desk(ports.local(), service) as desk:
        answer = desk.CorrectLaneFact(request, timeout=calls.DEADLINE)
    show([{"event": answer.fact.event_id, "replayed": answer.replayed}], "Correction", as_json)


@lanes.command(name="try")
def try_fact(
    service: Service,
    consumer: str,
    order_key: str,
    event: str,
    content: Annotated[Path | None, typer.Option(help="JSON file; without it the fact as it is.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a fact would do now at the head of its lane; everything is taken back.

    Example: isthmus lanes try edge_bridge-brno mes-brno mes:Z4 1f2e --content a.json
    """
    said = content.read_text(encoding="utf-8") if content is not None else ""
    request = lane_messages.TryLaneFactRequest(
        consumer=consumer, order_key=order_key, event_id=event, content_json=said
    )
    with calls.desk(ports.local(), service) as desk:
        answer = desk.TryLaneFact(request, timeout=calls.DEADLINE)
    outcome = "fails" if answer.reason else "no effect" if answer.text else "done with"
    row = {"outcome": outcome, "reason": answer.reason, "text": answer.text}
    show([{**row, "would tell": ", ".join(answer.told_fact_types)}], "Trial", as_json)


@lanes.command()
def propose(
    service: Service, consumer: str, order_key: str, event: str, reason: str, operator: str, as_json: AsJson = False
) -> None:
    """Ask for a fact to be discarded; somebody else then does it.

    Example: isthmus lanes propose gateway postings:wms aachen-3 1f2e "test order" kim
    """
    request = lane_messages.ProposeDiscardRequest(
        business_key=_new_key("propose"),
        consumer=consumer,
        order_key=order_key,
        event_id=event,
        propose_reason=reason,
        operator_id=operator,
    )
    with calls.desk(ports.local(), service) as desk:
        fact = desk.ProposeDiscard(request, timeout=calls.DEADLINE).fact
    show(
        [{"event": fact.event_id, "proposed by": fact.proposer_id, "reason": fact.propose_reason}], "Proposal", as_json
    )


@lanes.command()
def discard(
    service: Service, consumer: str, order_key: str, event: str, reason: str, operator: str, as_json: AsJson = False
) -> None:
    """Take a fact out without effect that somebody else proposed to discard.

    Example: isthmus lanes discard gateway postings:wms aachen-3 1f2e "test order" ann
    """
    request = lane_messages.DiscardLaneFactRequest(
        business_key=_new_key("discard"),
        consumer=consumer,
        order_key=order_key,
        event_id=event,
        discard_reason=reason,
        operator_id=operator,
    )
    with calls.desk(ports.local(), service) as desk:
        answer = desk.DiscardLaneFact(request, timeout=calls.DEADLINE)
    show([{"left": answer.lane.fact_count, "replayed": answer.replayed}], "Discard", as_json)


@lanes.command()
def counts(as_json: AsJson = False) -> None:
    """What each consumer took in, and what became of it: nothing may be unaccounted for.   Example: isthmus lanes counts"""
    rows = []
    for name in calls.services(ports.plants()):
        with calls.desk(ports.local(), name) as desk:
            for one in calls.pages(desk.ListFactCounts, lane_messages.ListFactCountsRequest(), "fact_counts"):
                became = {
                    "done": one.done_count,
                    "repeat": one.repeat_count,
                    "moot": one.moot_count,
                    "refused": one.refused_count,
                    "discarded": one.discarded_count,
                    "waiting": one.waiting_count,
                    "parked": one.parked_count,
                }
                row = {"service": name, "consumer": one.consumer, "plant": one.plant_id, "in": one.in_count, **became}
                rows.append({**row, "unaccounted": one.in_count - sum(became.values())})
    show(rows, "Facts", as_json)


@lanes.command()
def stops(as_json: AsJson = False) -> None:
    """Slots that a reader follows no further until a person decides.   Example: isthmus lanes stops"""
    rows = []
    for name in calls.services(ports.plants()):
        with calls.desk(ports.local(), name) as desk:
            for stop in calls.pages(desk.ListSlotStops, lane_messages.ListSlotStopsRequest(), "slot_stops"):
                row = {"service": name, "consumer": stop.consumer, "slot": stop.producer_slot, "reason": stop.reason}
                rows.append({**row, "since": stop.since_time.ToDatetime().isoformat(" ", "seconds"), "text": stop.text})
    show(rows, "Slot stops", as_json)


@lanes.command()
def resume(service: Service, consumer: str, slot: str, reason: str, operator: str, as_json: AsJson = False) -> None:
    """Let a reader go on.   Example: isthmus lanes resume inventory inventory production-brno "stock compared" kim"""
    request = lane_messages.ResumeSlotRequest(
        business_key=_new_key("resume"),
        consumer=consumer,
        producer_slot=slot,
        resume_reason=reason,
        operator_id=operator,
    )
    with calls.desk(ports.local(), service) as desk:
        answer = desk.ResumeSlot(request, timeout=calls.DEADLINE)
    show([{"slot": answer.slot_stop.producer_slot, "replayed": answer.replayed}], "Resume", as_json)


def _new_key(what: str) -> Any:
    from servicekit import clock
    from servicekit.domain import BusinessKey
    from servicekit.facts import key_message

    return key_message(BusinessKey("isthmus-cli", what, clock.new_id()))


def conflicts(service: Service, as_json: AsJson = False) -> None:
    """Documents that came twice with different content.   Example: isthmus conflicts production"""
    with calls.desk(ports.local(), service) as desk:
        found = list(calls.pages(desk.ListConflicts, lane_messages.ListConflictsRequest(), "conflicts"))
    rows = [{"command": c.command, "first": c.first_content, "second": c.second_content} for c in found]
    show(rows, "Conflicts", as_json)


def postings(service: Service, state: str = "", as_json: AsJson = False) -> None:
    """Changes asked of foreign systems.   Example: isthmus postings gateway --state refused"""
    with calls.desk(ports.local(), service) as desk:
        found = list(calls.pages(desk.ListPostings, lane_messages.ListPostingsRequest(state=state), "postings"))
    rows = [
        {"partner": p.partner_id, "kind": p.posting_kind, "order key": p.order_key, "state": p.state, "text": p.text}
        for p in found
    ]
    show(rows, "Postings", as_json)
