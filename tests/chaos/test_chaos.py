"""The harness as it is run by hand, in its short form: real processes, real ERPs, kill -9 under load."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.chaos.topology import ROOT

ZEROS = "lost=0 duplicated=0 phantom=0 inverted=0 unbalanced=0"
KILLS = 25
FOLDER = ROOT / "var" / "chaos-test"  # what a failed run leaves is kept until the next


def run(module: str, *arguments: str, within: float) -> list[str]:
    """The lines that the harness printed, ended in good order."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=within)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    return done.stdout.strip().splitlines()


@pytest.mark.flow
@pytest.mark.timeout(600)
def test_twenty_five_kills_under_load_lose_and_double_nothing() -> None:
    lines = run("tests.chaos", "--kills", str(KILLS), "--folder", str(FOLDER), within=580)
    assert lines[-1] == ZEROS
    assert re.fullmatch(r"seed=\d+", lines[-2])
    report = json.loads((FOLDER / "report.json").read_text())
    assert report["figures"]["faults"]["kill"] == KILLS
    assert report["compared"]["acknowledged documents at the hub"] > KILLS * 200


@pytest.mark.flow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_minute_of_every_kind_of_trouble_loses_and_doubles_nothing() -> None:
    lines = run("tests.chaos", "--minutes", "1", "--folder", str(FOLDER), within=880)
    assert lines[-1] == ZEROS


@pytest.mark.flow
@pytest.mark.long
@pytest.mark.timeout(2400)
def test_every_planted_bug_is_caught() -> None:
    assert run("tests.chaos.selftest", within=2300)[-1] == "planted=9 caught=9"
