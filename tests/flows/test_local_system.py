"""What the README says of the running system: what runs, where an order is, what waits, and that a killed service comes back."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import pytest

from tests.flows.conftest import LocalSystem
from tests.support.eventually import eventually
from tests.support.isthmus import is_one_sentence

pytestmark = [pytest.mark.flow, pytest.mark.timeout(330)]
STORY = (
    "released order",
    "production took the order",
    "MES accepted the order",
    "the plant reported",
    "booked",
    "order complete",
    "output in stock",
    "ERP completed the order",
)
FIRST = {  # an order, and how its MES numbers orders and lots: in the order in which it heard of them, which is not ours
    "aachen": ("aachen-1", r"FA-0\d{5}|P-\d{4}"),
    "brno": ("brno-1", r"Z4\d{4}|V-\d{5}"),
}


async def test_ps_shows_every_process_ready_with_port_pid_and_memory(local_system: LocalSystem) -> None:
    def all_ready() -> list[dict[str, Any]]:  # a process that is slow to answer for a second shows as not ready
        rows = local_system.ask("ps")
        assert [row for row in rows if not row["ready"]] == []
        return rows

    rows = await eventually(all_ready, within=60)
    assert {"gateway", "production", "edge_bridge-brno", "erp-aachen", "nats"} <= {row["service"] for row in rows}
    for row in rows:
        assert row["memory_mb"] > 1, row
        os.kill(row["pid"], 0)
        if row["service"] != "mes-brno":  # reachable by its staging tables only
            assert row["port"] == local_system.ports[row["service"]]
    assert "edge_bridge-brno" in local_system.isthmus.run("ps").out


def test_up_changes_nothing_when_the_system_runs_already(local_system: LocalSystem) -> None:
    before = {row["service"]: row["pid"] for row in local_system.ask("ps")}
    assert local_system.isthmus.run("up").code == 0
    assert {row["service"]: row["pid"] for row in local_system.ask("ps")} == before


def test_a_number_that_nobody_knows_or_two_plants_know_is_one_sentence(local_system: LocalSystem) -> None:
    unknown, twice = local_system.isthmus.run("trace", "FA-999999"), local_system.isthmus.run("trace", "2")
    assert is_one_sentence(unknown), unknown
    assert "No order is known by FA-999999" in unknown.err
    assert is_one_sentence(twice), twice
    assert "aachen-2, brno-2" in twice.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("lanes list", "Lanes"),
        ("lanes stops", "Slot stops"),
        ("lanes counts", "Facts"),
        ("postings gateway", "Postings"),
        ("variances", "Variances"),
        ("conflicts production", "Conflicts"),
        ("logs production", "production"),
        ("audit list --service production", "Audit"),
    ],
)
def test_the_support_desk_answers_people_and_machines(local_system: LocalSystem, command: str, words: str) -> None:
    page = local_system.isthmus.run(*command.split())
    assert page.code == 0, page.err
    assert words in page.out
    assert isinstance(local_system.ask(*command.split()), list)


async def test_an_interface_shows_when_it_last_kept_its_time(local_system: LocalSystem) -> None:
    def used() -> list[dict[str, Any]]:
        rows = local_system.ask("interfaces")
        good = {(row["plant"], row["interface"]) for row in rows if row["last good"]}
        ways = ("order-intake", "mes-acceptance", "erp-completion")
        assert good >= {(plant, way) for plant in FIRST for way in ways}
        return rows

    rows = await eventually(used, within=120)
    assert {row["state"] for row in rows} <= {"ok", "breached"}
    assert "mes-acceptance" in local_system.isthmus.run("interfaces", "--plant", "aachen").out


def test_a_slot_that_is_followed_can_not_be_resumed(local_system: LocalSystem) -> None:
    answer = local_system.isthmus.run("lanes", "resume", "inventory", "inventory", "production-brno", "compared", "kim")
    assert is_one_sentence(answer), answer.err
    assert "nothing to resume" in answer.err


def test_the_audit_of_every_service_holds(local_system: LocalSystem) -> None:
    rows = local_system.ask("audit", "verify")
    assert {"production", "gateway", "edge_bridge-brno"} <= {row["service"] for row in rows}
    assert [row for row in rows if not row["holds"]] == []
    assert local_system.isthmus.run("audit", "verify").code == 0


async def test_a_log_can_be_followed(local_system: LocalSystem) -> None:
    log = local_system.isthmus.home / "logs" / "wms.log"
    process = local_system.isthmus.start("logs", "wms", "--lines", "1", "--follow", "--json")
    try:
        assert process.stdout is not None
        with log.open("a") as end:
            end.write("the end so far\n")
        lines = iter(process.stdout.readline, "")
        assert any("the end so far" in json.loads(line) for line in lines)
        with log.open("a") as end:
            end.write("and one more\n")
        assert any("and one more" in json.loads(line) for line in lines)
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize("plant", FIRST)
async def test_an_order_is_told_from_release_to_completion_in_one_trace(local_system: LocalSystem, plant: str) -> None:
    order, numbered = FIRST[plant]
    await eventually(lambda: local_system.tells(order, "ERP completed the order"), within=150)
    told = local_system.ask("trace", order)
    assert_story(told["timeline"]["entries"])
    assert {span["traceId"] for span in told["spans"]} == {told["timeline"]["order"]["traceId"]}
    services = {"gateway", "master_data", "production", "inventory", f"edge_bridge-{plant}"}
    assert services <= {span["serviceName"] for span in told["spans"]}
    others = [number for number in told["timeline"]["order"]["numbers"] if re.fullmatch(numbered, number)]
    assert len(others) >= 2, told["timeline"]["order"]
    for number in others:
        assert local_system.ask("trace", number)["timeline"]["order"] == told["timeline"]["order"]
    page = local_system.isthmus.run("trace", order)
    assert page.code == 0
    assert all(words in page.out for words in (*STORY, others[0], "said by"))


def assert_story(entries: list[dict[str, Any]]) -> None:
    """The words of the story in their order; every entry says who said it, and after how long."""
    texts = iter(entry["text"] for entry in entries)
    for words in STORY:
        assert any(words in text for text in texts), words
    assert all(entry["saidBy"] for entry in entries)
    assert all(entry["sincePrevious"].endswith("s") for entry in entries[1:])


LONG = ("inventory", "gateway", "operations", "edge_bridge-aachen", "nats")
VICTIMS = ["production", *(pytest.param(name, marks=pytest.mark.long) for name in LONG)]


@pytest.mark.parametrize("service", VICTIMS)
async def test_a_killed_service_comes_back_and_the_order_in_flight_completes(
    local_system: LocalSystem, service: str
) -> None:
    before = local_system.process(service)
    async with local_system.order_in_flight() as order:
        os.kill(before["pid"], signal.SIGKILL)

    def is_back() -> bool:
        now = local_system.process(service)
        return bool(now["ready"] and now["restarts"] == before["restarts"] + 1 and now["pid"] != before["pid"])

    await eventually(is_back, within=60)
    await eventually(lambda: local_system.tells(order, "ERP completed the order"), within=180)
