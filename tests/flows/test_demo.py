"""`isthmus demo`: exit code and report say the same, and nothing of it is left behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from deploy.local import demo, ports
from deploy.local.processes import tcp
from tests.support.eventually import eventually
from tests.support.isthmus import Isthmus, free_base, is_one_sentence

pytestmark = pytest.mark.flow


@pytest.fixture
def isthmus(tmp_path: Path) -> Isthmus:
    return Isthmus(free_base(), tmp_path)


@pytest.mark.timeout(600)
def test_the_demo_plays_all_scenarios_on_one_system_and_leaves_nothing_running(isthmus: Isthmus) -> None:
    answer = isthmus.run("demo", "--json", within=540)
    report = json.loads((demo.HOME / "report.json").read_text())
    failed = [check for check in report["checks"] if not check["ok"]]
    assert failed == []
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == report
    assert report["ok"] is True
    assert all(check.keys() == {"name", "value", "goal", "ok"} for check in report["checks"])
    assert len(report["checks"]) >= 50
    assert report["figures"]["orders_complete_in_the_erps_of_aachen_and_brno"] >= 6
    assert report["figures"]["orders_complete_in_the_erps_of_ghent"] == 4
    assert report["figures"]["faults_counted_in_the_request"] >= 5
    assert isthmus.left_running() == []
    ports.require_free(ports.table(isthmus.base))


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", sorted(demo.SCENARIOS))
def test_each_scenario_plays_alone(isthmus: Isthmus, scenario: int) -> None:
    answer = isthmus.run("demo", "--scenario", str(scenario), "--json", within=330)
    report = json.loads(answer.out)
    assert [check for check in report["checks"] if not check["ok"]] == []
    assert answer.code == 0, answer.err


def test_a_scenario_that_is_not_there_is_one_sentence(isthmus: Isthmus) -> None:
    answer = isthmus.run("demo", "--scenario", "9")
    assert is_one_sentence(answer), answer
    assert "There is no scenario 9; there are 1, 2, 3." in answer.err


def test_a_demo_with_a_taken_port_names_port_and_holder_and_starts_nothing(isthmus: Isthmus) -> None:
    port = ports.table(isthmus.base)["wms"]
    with socket.create_server(("127.0.0.1", port)):
        answer = isthmus.run("demo")
    assert is_one_sentence(answer), answer
    assert f"Port {port} (for wms) is taken by " in answer.err
    assert f"(pid {os.getpid()})" in answer.err
    assert isthmus.left_running() == []


@pytest.mark.long
async def test_a_demo_that_is_told_to_end_leaves_nothing_running(isthmus: Isthmus) -> None:
    process = isthmus.start("demo")
    try:
        await eventually(tcp(ports.table(isthmus.base)["erp-brno"]), within=110)
    finally:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert isthmus.left_running() == []
