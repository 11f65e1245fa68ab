"""`isthmus audit`: what operators did at the desks of all services, and whether what is written of it still holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.local import calls, ports
from deploy.local.desk import known_service
from deploy.local.output import AsJson, show
from isthmus.operations.v1 import lane_service_pb2 as messages

audit = typer.Typer(no_args_is_help=True, help="What operators did, and whether what is written of it still holds.")
Service = Annotated[str, typer.Option(callback=lambda name: known_service(name) if name else "", help="One only.")]
Known = Annotated[Path | None, typer.Option(help="What an earlier verify --json printed, kept elsewhere.")]


class HeadsUnreadable(Exception):
    """The file is not what `isthmus audit verify --json` prints; the text names it."""


@audit.command(name="list")
def list_entries(service: Service = "", as_json: AsJson = False) -> None:
    """What operators did and why, newest first.   Example: isthmus audit list --service production"""
    rows = []
    for name in [service] if service else calls.services(ports.plants()):
        with calls.desk(ports.local(), name) as desk:
            entries = calls.pages(desk.ListAuditEntries, messages.ListAuditEntriesRequest(), "entries")
            rows += [_row(name, entry) for entry in entries]
    show(sorted(rows, key=lambda row: str(row["time"]), reverse=True), "Audit", as_json)


def _row(service: str, entry: messages.AuditEntry) -> dict[str, Any]:
    at = entry.audit_time.ToDatetime().isoformat(" ", "microseconds")
    row = {"service": service, "entry": entry.entry_number, "time": at, "operator": entry.operator_id}
    row |= {"action": entry.action, "reason": entry.audit_reason, "subject": entry.subject, "event": entry.event_id}
    return {**row, "hash": entry.chain_hash}


@audit.command()
def verify(known: Known = None, as_json: AsJson = False) -> None:
    """Whether the chain of every service's audit holds; exit code 1 and a sentence if one does not.

    Keep what --json prints where nobody who may write to the databases can change it: only with it is a tail told that was
    cut off together with its head.   Example: isthmus audit verify --known heads.json
    """
    heads = _heads(known) if known is not None else {}
    rows, sentences = [], []
    for name in calls.services(ports.plants()):
        entry, head = heads.get(name, (0, ""))
        request = messages.VerifyAuditRequest(known_entry_number=entry, known_chain_hash=head)
        with calls.desk(ports.local(), name) as desk:
            found = desk.VerifyAudit(request, timeout=calls.DEADLINE)
        holds, wrong = not found.HasField("first_break"), found.first_break
        rows.append({"service": name, "entries": found.entry_count, "head": found.head_hash, "holds": holds})
        if not holds:
            place = f"at entry {wrong.entry_number}" if wrong.entry_number else "at its head"
            sentences.append(f"The audit of {name} does not hold {place}: {wrong.text}.")
    show(rows, "Audit", as_json)
    if sentences:
        raise SystemExit("\n".join(sentences))


def _heads(path: Path) -> dict[str, tuple[int, str]]:
    """Number and hash of each service's head then."""
    try:
        heads = {row["service"]: (int(row["entries"]), str(row["head"])) for row in json.loads(path.read_text())}
    except (ValueError, KeyError, TypeError):
        heads = {}
    if not heads:  # else an empty file would pass as one that knows nothing else
        raise HeadsUnreadable(f"{path} is not what isthmus audit verify --json prints.")
    return heads
