"""A log that can't be written loses lines, and nothing else: what is done and refused stays so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEAKS = """
import logging, structlog
from servicekit import telemetry
telemetry.start("toy", "aachen", "", "info")
structlog.get_logger().info("refused", reason="STORE_UNAVAILABLE")
logging.getLogger("alembic.runtime").error("a library's word")
print("goes on")
"""


def speak(log: str) -> subprocess.CompletedProcess[str]:
    roots = os.pathsep.join(str(ROOT / part) for part in ("libs", "libs/contracts"))
    with open(log, "w", encoding="utf-8") as sink:  # noqa: PTH123 - a device
        return subprocess.run(
            [sys.executable, "-c", SPEAKS],
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": roots},
            timeout=60,
        )


def test_a_full_disk_under_the_log_fails_no_call() -> None:
    said = speak("/dev/full")
    assert (said.returncode, said.stdout) == (0, "goes on\n")


def test_a_log_that_can_be_written_is(tmp_path: Path) -> None:
    assert speak(str(tmp_path / "log")).returncode == 0
    first, second = (tmp_path / "log").read_text().splitlines()
    assert '"reason": "STORE_UNAVAILABLE"' in first
    assert second == "a library's word"
