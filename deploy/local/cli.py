"""The `isthmus` command: the local system, and the support desk's questions. Every command has --json."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import grpc
import psutil
import typer
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from deploy.local import calls, demo, ports, system, timeline
from deploy.local.processes import DidNotStart
from deploy.local.tryton.install import SetupFailed
from isthmus.operations.v1 import lane_service_pb2 as lane_messages
from servicekit import clock
from servicekit.domain import BusinessKey
from servicekit.errors import from_rpc_error
from servicekit.facts import key_message

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Isthmus: run it, and ask it where an order is.")
lanes = typer.Typer(no_args_is_help=True, help="What waits or is parked, and the hands to put it right.")
app.add_typer(lanes, name="lanes")
console = Console()
HOME = system.ROOT / "var" / "local"
BASE = 18000
AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines.")]


def table_of() -> dict[str, int]:
    return ports.table(ports.base(BASE))


def show(rows: list[dict[str, Any]], title: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str))
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ["nothing"]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(("yes" if v is True else "no" if v is False else str(v)) for v in row.values()))
    console.print(table)


# --- the system


@app.command()
def up(as_json: AsJson = False) -> None:
    """Start the system and keep it running.   Example: isthmus up"""
    if _supervisor() is None:
        ports.require_free(table_of())
        HOME.mkdir(parents=True, exist_ok=True)
        (HOME / "state.json").unlink(missing_ok=True)
        log = (HOME / "supervisor.log").open("wb")
        command = [sys.executable, "-m", "deploy.local.supervise"]
        subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, cwd=system.ROOT
        )
    told = 0
    while not (state := _state()).get("is_up"):
        for line in state.get("progress", [])[told:]:
            if not as_json:
                console.print(f"[dim]{line}[/]")
        told = max(told, len(state.get("progress", [])))
        if state.get("failed"):
            raise SystemExit(state["failed"])
        time.sleep(0.3)
    ps(as_json)


@app.command()
def down(as_json: AsJson = False) -> None:
    """Stop the system.   Example: isthmus down"""
    pid = _supervisor()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        psutil.wait_procs([psutil.Process(pid)], timeout=60)
    show([{"stopped": pid is not None}], "Isthmus", as_json)


@app.command()
def ps(as_json: AsJson = False) -> None:
    """What runs: service, ready, port, pid, memory.   Example: isthmus ps --json"""
    show(_state().get("processes", []), "Isthmus", as_json)


@app.command()
def logs(service: str, lines: int = 50, as_json: AsJson = False) -> None:
    """The end of a service's log.   Example: isthmus logs production --lines 20"""
    path = HOME / "logs" / f"{service}.log"
    if not path.exists():
        raise SystemExit(f"There is no log of {service}. Services: {', '.join(sorted(ports.OFFSETS))}")
    found = path.read_text(errors="replace").splitlines()[-lines:]
    typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(found))


@app.command(name="demo")
def run_demo(as_json: AsJson = False) -> None:
    """Scenario 1 end to end, checked; then everything stops.   Example: isthmus demo"""
    raise SystemExit(0 if demo.run(Console(quiet=True) if as_json else console, as_json=as_json) else 1)


def _state() -> dict[str, Any]:
    path = HOME / "state.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def _supervisor() -> int | None:
    pid = _state().get("supervisor")
    if pid and psutil.pid_exists(pid) and "deploy.local.supervise" in " ".join(psutil.Process(pid).cmdline()):
        return int(pid)
    return None


# --- where is my order?


@app.command()
def trace(order: str, as_json: AsJson = False, spans: bool = True) -> None:
    """An order's timeline by any of its numbers, then its spans.   Example: isthmus trace FA-000001"""
    timeline.show(table_of(), order, console, as_json=as_json, with_spans=spans)


@app.command()
def variances(plant: str = "", as_json: AsJson = False) -> None:
    """Where line counters and confirmations differ.   Example: isthmus variances --plant aachen"""
    show(timeline.variances(table_of(), plant), "Variances", as_json)


# --- lanes, conflicts, postings


@lanes.command(name="list")
def list_lanes(as_json: AsJson = False) -> None:
    """Lanes of all services.   Example: isthmus lanes list"""
    rows = []
    for name in calls.SERVICES:
        with calls.desk(table_of(), name) as desk:
            for lane in calls.pages(desk.ListLanes, lane_messages.ListLanesRequest(), "lanes"):
                state = lane_messages.LaneState.Name(lane.state).removeprefix("LANE_STATE_").lower()
                row = {"service": name, "consumer": lane.consumer, "order key": lane.order_key, "state": state}
                rows.append({**row, "reason": lane.reason, "text": lane.text, "facts": lane.fact_count})
    show(rows, "Lanes", as_json)


@lanes.command(name="show")
def show_lane(service: str, consumer: str, order_key: str, as_json: AsJson = False) -> None:
    """A lane with its facts.   Example: isthmus lanes show edge_bridge-brno mes-brno mes:Z40003"""
    with calls.desk(table_of(), service) as desk:
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
def release(service: str, consumer: str, order_key: str, reason: str, operator: str, as_json: AsJson = False) -> None:
    """Work a lane off in order.   Example: isthmus lanes release production production aachen-5 "item is there now" kim"""
    request = lane_messages.ReleaseLaneRequest(
        business_key=_new_key("release"),
        consumer=consumer,
        order_key=order_key,
        release_reason=reason,
        operator_id=operator,
    )
    with calls.desk(table_of(), service) as desk:
        answer = desk.ReleaseLane(request, timeout=calls.DEADLINE)
    show([{"released": answer.released_count, "left": answer.lane.fact_count}], "Release", as_json)


@lanes.command()
def correct(
    service: str,
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
    with calls.desk(table_of(), service) as desk:
        answer = desk.CorrectLaneFact(request, timeout=calls.DEADLINE)
    show([{"event": answer.fact.event_id, "replayed": answer.replayed}], "Correction", as_json)


@lanes.command()
def discard(
    service: str, consumer: str, order_key: str, event: str, reason: str, operator: str, as_json: AsJson = False
) -> None:
    """Take a fact out without effect.   Example: isthmus lanes discard gateway postings:wms aachen-3 1f2e "test order" kim"""
    request = lane_messages.DiscardLaneFactRequest(
        business_key=_new_key("discard"),
        consumer=consumer,
        order_key=order_key,
        event_id=event,
        discard_reason=reason,
        operator_id=operator,
    )
    with calls.desk(table_of(), service) as desk:
        answer = desk.DiscardLaneFact(request, timeout=calls.DEADLINE)
    show([{"left": answer.lane.fact_count, "replayed": answer.replayed}], "Discard", as_json)


def _new_key(what: str) -> Any:
    return key_message(BusinessKey("isthmus-cli", what, clock.new_id()))


@app.command()
def conflicts(service: str, as_json: AsJson = False) -> None:
    """Documents that came twice with different content.   Example: isthmus conflicts production"""
    with calls.desk(table_of(), service) as desk:
        found = list(calls.pages(desk.ListConflicts, lane_messages.ListConflictsRequest(), "conflicts"))
    rows = [{"command": c.command, "first": c.first_content, "second": c.second_content} for c in found]
    show(rows, "Conflicts", as_json)


@app.command()
def postings(service: str, state: str = "", as_json: AsJson = False) -> None:
    """Changes asked of foreign systems.   Example: isthmus postings gateway --state refused"""
    with calls.desk(table_of(), service) as desk:
        found = list(calls.pages(desk.ListPostings, lane_messages.ListPostingsRequest(state=state), "postings"))
    rows = [
        {"partner": p.partner_id, "kind": p.posting_kind, "order key": p.order_key, "state": p.state, "text": p.text}
        for p in found
    ]
    show(rows, "Postings", as_json)


def main() -> None:
    """Errors a person can do something about are one sentence."""
    try:
        app()
    except (ports.PortTaken, SetupFailed, DidNotStart, OSError) as error:
        raise SystemExit(str(error)) from None
    except grpc.RpcError as error:
        code, reason, _ = from_rpc_error(error)
        details = error.details() if isinstance(error, grpc.Call) else ""
        raise SystemExit(f"{reason or code.name}: {details}. Is the system running? (isthmus ps)") from None
