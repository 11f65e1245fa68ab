"""The `isthmus` command as a user runs it: a process of its own, on ports of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local import ports

COMMAND = Path(sys.executable).parent / "isthmus"
BASES = range(21000, 31000, 1000)  # below what the system hands out to clients


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Isthmus:
    """Commands with these settings."""

    base: int
    home: Path
    plants: tuple[str, ...] = ("aachen", "brno", "ghent")
    settings: Mapping[str, str] = field(default_factory=dict)  # of services, beside what they are told

    @property
    def environment(self) -> dict[str, str]:
        told = {"ISTHMUS_PORT_BASE": str(self.base), "ISTHMUS_HOME": str(self.home)}
        return {**os.environ, **self.settings, **told, "ISTHMUS_PLANTS": ",".join(self.plants)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, within: float = 60) -> Answer:
        """To its end. One that takes too long is asked to stop, so that it cleans up, and fails the test."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate(timeout=60)
            raise AssertionError(f"{arguments} did not end within {within} s\n{out[-2000:]}{err[-2000:]}") from None
        return Answer(process.returncode, out, err)

    def left_running(self) -> list[str]:
        """What runs with these settings, by the environment that every process inherits."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get("ISTHMUS_PORT_BASE") == str(self.base)
                if is_ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
            except psutil.Error:
                continue
        return found


def free_base() -> int:
    """A port base on which nothing listens."""
    for base in BASES:
        try:
            ports.require_free(ports.table(base))
        except ports.PortTaken:
            continue
        return base
    raise RuntimeError("no port base is free")


def is_one_sentence(answer: Answer) -> bool:
    """It failed with one line for a person, and no traceback."""
    lines = answer.err.strip().splitlines()
    return answer.code != 0 and len(lines) == 1 and len(lines[0]) > 20 and "Traceback" not in answer.err
