"""Starts, watches and stops processes: what runs is data, ready is what the process itself says, the end is in order."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from servicekit.health import is_serving

START_SECONDS = 90.0
STOP_SECONDS = 8.0
PART_OF = "ISTHMUS_PART_OF"  # in the environment of what a supervisor starts: its home
RESTART_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
Probe = Callable[[], bool]


class DidNotStart(Exception):
    """A process did not become ready; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One process. `layer`: lower ones are ready before higher ones start, and stop after them."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Probe
    layer: int
    port: int
    is_ours: bool  # a service of Isthmus, not a foreign system


@dataclass(slots=True)
class Running:
    spec: Spec
    process: subprocess.Popen[bytes]
    since: float
    restarts: int = 0
    is_ready: bool = False
    not_before: float = field(default=0.0)


class Supervisor:
    """Runs a list of processes in one home folder, logs and pids beside them."""

    def __init__(self, specs: Sequence[Spec], home: Path) -> None:
        self.specs, self.home = list(specs), home
        self.running: dict[str, Running] = {}
        (home / "logs").mkdir(parents=True, exist_ok=True)

    def start(self, progress: Callable[[str], None], layers: Collection[int] = ()) -> None:
        """Start layer by layer, each when the one below is ready; all of them if none is named. Raises DidNotStart."""
        for layer in sorted(layers or {spec.layer for spec in self.specs}):
            specs = [spec for spec in self.specs if spec.layer == layer]
            for spec in specs:
                self._launch(spec)
            with ThreadPoolExecutor(len(specs)) as pool:
                for spec in pool.map(self._wait_ready, specs):
                    progress(f"{spec.name} is ready")

    def _launch(self, spec: Spec, restarts: int = 0) -> Running:
        log = (self.home / "logs" / f"{spec.name}.log").open("ab")
        process = subprocess.Popen(
            list(spec.command),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **spec.environment, PART_OF: str(self.home)},
            start_new_session=True,
        )
        log.close()
        running = Running(spec, process, time.monotonic(), restarts)
        self.running[spec.name] = running
        return running

    def _wait_ready(self, spec: Spec) -> Spec:
        running = self.running[spec.name]
        deadline = time.monotonic() + START_SECONDS
        while not spec.ready():
            if running.process.poll() is not None:
                raise DidNotStart(
                    f"{spec.name} ended with code {running.process.returncode}.\n{self.log_end(spec.name)}"
                )
            if time.monotonic() > deadline:
                raise DidNotStart(f"{spec.name} is not ready after {START_SECONDS:.0f} s.\n{self.log_end(spec.name)}")
            time.sleep(0.1)
        running.is_ready = True
        return spec

    def log_end(self, name: str, size: int = 1500) -> str:
        path = self.home / "logs" / f"{name}.log"
        return path.read_bytes()[-size:].decode(errors="replace") if path.exists() else ""

    def tend(self) -> None:
        """Restart what ended, with growing pauses; note who is ready. Called again and again by a kept-up system."""
        for name, running in list(self.running.items()):
            if running.process.poll() is None:
                running.is_ready = running.spec.ready()
                continue
            if not running.not_before:
                pause = RESTART_PAUSES[min(running.restarts, len(RESTART_PAUSES) - 1)]
                running.not_before, running.is_ready = time.monotonic() + pause, False
            elif time.monotonic() >= running.not_before:
                self._launch(self.running[name].spec, running.restarts + 1)

    def kill(self, name: str) -> None:
        """kill -9, for demonstrations."""
        self.running[name].process.kill()
        self.running[name].process.wait()

    def restart(self, name: str) -> None:
        """Start a killed process again and wait until it is ready."""
        self._launch(self.running[name].spec, self.running[name].restarts + 1)
        self._wait_ready(self.running[name].spec)

    def stop(self) -> None:
        """Stop higher layers first; SIGTERM, then SIGKILL for what does not go."""
        for layer in sorted({spec.layer for spec in self.specs}, reverse=True):
            ours = [r for r in self.running.values() if r.spec.layer == layer and r.process.poll() is None]
            for running in ours:
                running.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            for running in ours:
                try:
                    running.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    running.process.kill()
                    running.process.wait()

    def status(self) -> list[dict[str, Any]]:
        """Service, ready, port, pid, memory (MB) and restarts of each process."""
        return [
            {
                "service": name,
                "ready": running.is_ready and running.process.poll() is None,
                "port": running.spec.port,
                "pid": running.process.pid,
                "memory_mb": memory_mb(running.process.pid),
                "restarts": running.restarts,
            }
            for name, running in self.running.items()
        ]


def sweep(home: Path) -> int:
    """Stop what a supervisor of this home has left behind because it was killed itself; how many there were."""
    left = [process for process in psutil.process_iter() if _part_of(process) == str(home)]
    for process in left:
        process.terminate()
    for process in psutil.wait_procs(left, timeout=STOP_SECONDS)[1]:
        process.kill()
    return len(left)


def _part_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(PART_OF, ""))
    except (psutil.Error, OSError):
        return ""


def memory_mb(pid: int) -> float:
    try:
        return round(psutil.Process(pid).memory_info().rss / 1e6, 1)
    except psutil.Error:
        return 0.0


def write_json(path: Path, data: object) -> None:
    """Whole or not at all, by as many threads as like."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{threading.get_ident()}.part")
    part.write_text(json.dumps(data, indent=1, default=str))
    part.replace(path)


# --- probes


def tcp(port: int) -> Probe:
    def probe() -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", port)) == 0

    return probe


def http(url: str) -> Probe:
    def probe() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return probe


def health(port: int) -> Probe:
    """gRPC health of a service of ours."""
    return partial(is_serving, f"127.0.0.1:{port}")


def file(path: Path) -> Probe:
    return path.exists
