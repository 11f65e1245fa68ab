"""The `isthmus` command: the local system, and the support desk's questions. Every command has --json."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import grpc
import psutil
import typer
from rich.console import Console

from deploy.local import audit, books, desk, interfaces, ports, processes, system, timeline
from deploy.local.debian import PackageAbsent
from deploy.local.output import AsJson, console, show
from deploy.local.processes import DidNotStart
from deploy.local.tryton.install import SetupFailed

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Isthmus: run it, and ask it where an order is.")
app.add_typer(desk.lanes, name="lanes")
app.add_typer(audit.audit, name="audit")
app.command()(desk.conflicts)
app.command()(desk.postings)


# --- the system


@app.command()
def up(as_json: AsJson = False) -> None:
    """Start the system and keep it running; when it runs already, nothing changes.   Example: isthmus up"""
    supervisor = None if _supervisor() is not None else _start()
    told = 0
    while not (state := _state()).get("is_up"):
        for line in state.get("progress", [])[told:]:
            if not as_json:
                console.print(f"[dim]{line}[/]")
        told = max(told, len(state.get("progress", [])))
        if state.get("failed"):
            raise SystemExit(state["failed"])
        if supervisor is not None and supervisor.poll() is not None:
            raise SystemExit(f"The supervisor ended; its log: {ports.home() / 'supervisor.log'}")
        time.sleep(0.3)
    ps(as_json)
    if not as_json:
        console.print(f"The console: http://127.0.0.1:{ports.local()['console']}")


def _start() -> subprocess.Popen[bytes]:
    """The supervisor, on its own from now on."""
    home = ports.home()
    processes.sweep(home)  # what a supervisor that was killed has left
    ports.require_free(ports.local())
    home.mkdir(parents=True, exist_ok=True)
    (home / "state.json").unlink(missing_ok=True)
    with (home / "supervisor.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local.supervise"],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=system.ROOT,
            env={**os.environ, "ISTHMUS_HOME": str(home)},
        )


@app.command()
def down(as_json: AsJson = False) -> None:
    """Stop the system.   Example: isthmus down"""
    pid = _supervisor()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        psutil.wait_procs([psutil.Process(pid)], timeout=60)
    left = processes.sweep(ports.home())
    show([{"stopped": pid is not None or left > 0}], "Isthmus", as_json)


@app.command()
def ps(as_json: AsJson = False) -> None:
    """What runs: service, ready, port, pid, memory.   Example: isthmus ps --json"""
    show(_state().get("processes", []) if _supervisor() is not None else [], "Isthmus", as_json)


@app.command()
def logs(service: str, lines: int = 50, follow: bool = False, as_json: AsJson = False) -> None:
    """The end of a service's log, and with --follow what is added, until Ctrl-C.

    With --json a list; with --follow --json one JSON string a line.   Example: isthmus logs production --follow
    """
    path = ports.home() / "logs" / f"{service}.log"
    if not path.exists():
        raise SystemExit(f"There is no log of {service}. Services: {', '.join(sorted(ports.OFFSETS))}")
    found = path.read_text(errors="replace").splitlines()[-lines:]
    if not follow:
        typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(found))
        return
    for line in _followed(path, lines):
        typer.echo(json.dumps(line) if as_json else line)


def _followed(path: Path, lines: int) -> Iterator[str]:
    """The last lines, then every line that is added."""
    with path.open(errors="replace") as log:
        yield from (line.rstrip("\n") for line in log.readlines()[-lines:])
        part = ""
        while True:
            part += log.readline()
            if part.endswith("\n"):
                yield part.rstrip("\n")
                part = ""
            else:
                time.sleep(0.2)


@app.command(name="demo")
def run_demo(
    as_json: AsJson = False,
    scenario: Annotated[
        int, typer.Option(help="1: orders over two plants; 2: batches and their release; 3: machines; 0: all of them.")
    ] = 0,
) -> None:
    """Scenarios end to end on one system, checked; then everything stops.   Example: isthmus demo --scenario 3"""
    from deploy.local import demo

    if scenario not in (demo.ALL, *demo.SCENARIOS):
        raise SystemExit(f"There is no scenario {scenario}; there are {', '.join(map(str, sorted(demo.SCENARIOS)))}.")
    to = Console(quiet=True) if as_json else console
    raise SystemExit(0 if demo.run(to, as_json=as_json, scenario=scenario) else 1)


def _state() -> dict[str, Any]:
    path = ports.home() / "state.json"
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
    timeline.show(ports.local(), order, console, as_json=as_json, with_spans=spans)


@app.command()
def variances(plant: str = "", as_json: AsJson = False) -> None:
    """Where line counters and confirmations differ.   Example: isthmus variances --plant aachen"""
    show(timeline.variances(ports.local(), plant), "Variances", as_json)


@app.command(name="interfaces")
def list_interfaces(plant: str = "", as_json: AsJson = False) -> None:
    """Whether each interface keeps its time: clocks on business steps.   Example: isthmus interfaces --plant aachen"""
    show(interfaces.interfaces(ports.local(), plant), "Interfaces", as_json)


@app.command()
def reconcile(plant: str, as_json: AsJson = False) -> None:
    """Compare a plant's ledger with its ERP and the warehouse, and production with its MES; exit code 1 if a person is needed.

    Example: isthmus reconcile aachen
    """
    raise SystemExit(books.reconcile(ports.local(), plant, as_json=as_json))


def main() -> None:
    """Errors a person can do something about are one sentence; a polite stop still stops what was started."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except (
        ports.PortTaken,
        ports.SettingWrong,
        SetupFailed,
        DidNotStart,
        PackageAbsent,
        audit.HeadsUnreadable,
        OSError,
    ) as error:
        raise SystemExit(str(error)) from None
    except grpc.RpcError as error:
        from servicekit.errors import from_rpc_error

        code, reason, _ = from_rpc_error(error)
        details = error.details() if isinstance(error, grpc.Call) else ""
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED) and not reason:
            raise SystemExit("The service does not answer. Does it run? See: isthmus ps") from None
        raise SystemExit(f"{reason or code.name}: {details}") from None


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
