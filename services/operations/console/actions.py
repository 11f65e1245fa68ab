"""What a person does at a lane, a stopped slot or an ownership refusal: one form, one call of the desk, one line in its audit."""

from __future__ import annotations

import difflib
import json
from typing import Any

from starlette.requests import Request

from isthmus.masterdata.v1 import masterdata_service_pb2 as master_data
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit.clock import new_id
from services.operations.console.asked import DEADLINE, Asked, key_of
from services.operations.console.exceptions import desk_of, exact, lane_path, parked
from services.operations.console.forms import Form
from services.operations.console.words import Goto, Refused, Shown

LINES_MOST = 5000  # of a content; comparing more takes longer than a person waits
RELEASE_DEADLINE = 60.0  # seconds: a lane may hold thousands of facts


async def at_lane(asked: Asked, request: Request, form: Form) -> Shown | Goto:
    """Try, correct, release, propose or discard, as the form's button says."""
    names = request.path_params
    desk = desk_of(asked, names["service"])
    place: dict[str, Any] = {"consumer": names["consumer"], "order_key": names["order_key"]}
    here = lane_path(names["service"], names["consumer"], names["order_key"])
    act = form.one("act")
    if act == "try":
        return await _try(names["service"], desk, place, form)
    if act == "correct":
        await desk.CorrectLaneFact(_correction(place, form), timeout=DEADLINE)
        return Goto(f"{here}?done=corrected")
    if act == "release":
        release = messages.ReleaseLaneRequest(release_reason=form.one("reason"), **_signed(form), **place)
        return _after(here, await desk.ReleaseLane(release, timeout=RELEASE_DEADLINE), "released")
    if act == "propose":
        proposal = messages.ProposeDiscardRequest(
            event_id=form.one("event_id"), propose_reason=form.one("reason"), **_signed(form), **place
        )
        await desk.ProposeDiscard(proposal, timeout=DEADLINE)
        return Goto(f"{here}?done=proposed")
    if act != "discard":
        raise Refused("FORM_UNREADABLE", f"There is nothing called {act[:32]!r} to do here. Nothing was done.")
    discard = messages.DiscardLaneFactRequest(
        event_id=form.one("event_id"), discard_reason=form.one("reason"), **_signed(form), **place
    )
    return _after(here, await desk.DiscardLaneFact(discard, timeout=DEADLINE), "discarded")


def _after(here: str, answer: Any, done: str) -> Goto:
    """The lane, as long as there is one."""
    return Goto(f"{here}?done={done}" if answer.HasField("lane") else f"/exceptions?done={done}")


def _signed(form: Form) -> dict[str, Any]:
    """Who acts, under a number of the form's own: sent twice, it is done once."""
    number = form.one("key") or new_id()
    return {
        "business_key": key_of(form.one("act"), number[:64]),
        "operator_id": form.one("operator"),
    }


def _correction(place: dict[str, Any], form: Form) -> messages.CorrectLaneFactRequest:
    return messages.CorrectLaneFactRequest(
        event_id=form.one("event_id"),
        content_json=form.one("content"),
        correct_reason=form.one("reason"),
        **_signed(form),
        **place,
    )


async def _try(service: str, desk: Any, place: dict[str, Any], form: Form) -> Shown:
    """What the content in the form changes, and what would become of it now. Nothing is written."""
    event_id, content = form.one("event_id"), form.one("content")
    found = await desk.GetLane(messages.GetLaneRequest(**place), timeout=DEADLINE)
    before = next((fact.content_json for fact in found.facts if fact.event_id == event_id), "")
    wanted = messages.TryLaneFactRequest(event_id=event_id, content_json=content, **place)
    trial = await desk.TryLaneFact(wanted, timeout=DEADLINE)
    shown = {
        "service": service,
        "lane": {**place, "path": lane_path(service, place["consumer"], place["order_key"])},
        "event_id": event_id,
        "content": content,
        "trial": {"reason": trial.reason, "text": trial.text, "told": list(trial.told_fact_types)},
        "lines": _difference(exact(before), exact(content)),
        "key": new_id(),
        "live": (),
    }
    return "trial.html", shown


def _difference(before: str, after: str) -> list[tuple[str, str]] | None:
    """Lines that go ("-"), come ("+") or stay (" "), those around a change only; None: too long to compare."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > LINES_MOST:
        return None
    found = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    return [(line[:1], line[1:]) for line in found if not line.startswith("@@")]


async def at_stop(asked: Asked, request: Request, form: Form) -> Goto:
    """Let a reader go on with a stopped slot."""
    desk = desk_of(asked, request.path_params["service"])
    wanted = messages.ResumeSlotRequest(
        consumer=form.one("consumer"),
        producer_slot=form.one("slot"),
        resume_reason=form.one("reason"),
        **_signed(form),
    )
    await desk.ResumeSlot(wanted, timeout=DEADLINE)
    return Goto("/exceptions?done=resumed")


async def at_refusal(asked: Asked, request: Request, form: Form) -> Goto:
    """Put the offered value in place, or keep what stands."""
    is_applied = form.one("act") == "apply"
    wanted = master_data.DecideOwnershipRefusalRequest(
        ownership_refusal_id=request.path_params["refusal_id"],
        decision=master_data.OWNERSHIP_DECISION_APPLY if is_applied else master_data.OWNERSHIP_DECISION_DROP,
        decide_reason=form.one("reason"),
        **_signed(form),
    )
    await asked.master_data.DecideOwnershipRefusal(wanted, timeout=DEADLINE)
    return Goto(f"/exceptions?done={'applied' if is_applied else 'dropped'}")


async def at_list(asked: Asked, request: Request, form: Form) -> Goto:
    """Release the lanes that were chosen, one after another, at a bounded rate; goes on when the page is closed."""
    if form.one("act") == "matching":
        picks = await parked(asked, form.one("match"))
    else:
        picks = [_picked(pick) for pick in form.all("pick")]
    run = request.app.state.releases.begin(asked, picks, form.one("reason"), form.one("operator"))
    return Goto(f"/releases/{run}")


def _picked(pick: str) -> list[str]:
    try:
        service, consumer, order_key = json.loads(pick)
    except (ValueError, TypeError) as fault:
        raise Refused("FORM_UNREADABLE", f"{pick[:100]!r} names no lane. Nothing was done.") from fault
    return [str(service), str(consumer), str(order_key)]


async def at_release(_asked: Asked, request: Request, _form: Form) -> Goto:
    """Stop a release of many after the lane in hand."""
    run_id = request.path_params["run_id"]
    request.app.state.releases.stop(run_id)
    return Goto(f"/releases/{run_id}")
