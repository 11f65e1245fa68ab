"""Every command that a README shows is run by a test that is named here, or says why it is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.readme import ROOT, blocks, commands, readmes

CHAOS = "chaos/test_chaos.py"
DEMO, SYSTEM, WHEEL = "flows/test_demo.py", "flows/test_local_system.py", "flows/test_contracts_wheel.py"
RUN_BY = {  # the make targets run the command of the same name after set-up
    "make demo": f"{DEMO}: test_the_demo_plays_all_scenarios_on_one_system_and_leaves_nothing_running",
    "make demo SCENARIO=2": f"{DEMO}: test_each_scenario_plays_alone",
    "make up": f"{SYSTEM}: test_up_changes_nothing_when_the_system_runs_already",
    "make chaos": f"{CHAOS}: test_a_minute_of_every_kind_of_trouble_loses_and_doubles_nothing",
    "make chaos KILLS=25": f"{CHAOS}: test_twenty_five_kills_under_load_lose_and_double_nothing",
    "make chaos-selftest": f"{CHAOS}: test_every_planted_bug_is_caught",
    ".venv/bin/isthmus trace FA-000001": f"{SYSTEM}: test_an_order_is_told_from_release_to_completion_in_one_trace",
    ".venv/bin/isthmus lanes list": f"{SYSTEM}: test_the_support_desk_answers_people_and_machines",
    ".venv/bin/isthmus interfaces": f"{SYSTEM}: test_an_interface_shows_when_it_last_kept_its_time",
    ".venv/bin/isthmus reconcile aachen": (
        "flows/test_reconciliation.py: test_a_receipt_that_the_warehouse_lost_is_led_back_to_its_confirmation"
    ),
    ".venv/bin/isthmus postings gateway": f"{SYSTEM}: test_the_support_desk_answers_people_and_machines",
    ".venv/bin/isthmus audit verify": f"{SYSTEM}: test_the_audit_of_every_service_holds",
    ".venv/bin/isthmus --help": "deploy/test_cli.py: test_every_command_has_an_example_in_its_help_and_answers_in_json",
    "sudo python3 deploy/compose/make_secrets.py": (
        "deploy/test_make_secrets.py: test_the_command_makes_them_beside_itself_once_and_says_with_whom_to_agree"
    ),
    ".venv/bin/python -m build --wheel --no-isolation libs/contracts": f"{WHEEL}: stranger",
}
NOT_RUN = {
    "make test": "it is what runs this",
    "docker compose up -d --build": "no container engine is at hand: deploy/test_production_shape.py runs what each would",
    "ISTHMUS_PORT_BASE=20000 .venv/bin/isthmus trace FA-000001": "the same command as above, asked of those containers",
}
SHOWN = [(path, command) for path in readmes() for command in commands(path)]


def test_the_readmes_show_commands() -> None:
    assert {"make demo", "make up"} <= {command for _, command in SHOWN}


@pytest.mark.parametrize(("path", "command"), SHOWN)
def test_a_command_of_a_readme_is_run_by_a_test_or_says_why_not(path: Path, command: str) -> None:
    assert command in RUN_BY or command in NOT_RUN, f"{path.relative_to(ROOT)} shows a command that no test runs"


def test_the_tests_that_run_commands_are_there_and_nothing_else_is_listed() -> None:
    for place in RUN_BY.values():
        file, _, name = place.partition(": ")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), place
    assert RUN_BY.keys() | NOT_RUN.keys() == {command for _, command in SHOWN}


@pytest.mark.parametrize("target", sorted({c.split()[1] for _, c in SHOWN if c.startswith("make ")}))
def test_a_make_target_of_a_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", readmes())
def test_python_in_a_readme_compiles(path: Path) -> None:
    for text in blocks(path, "python"):
        compile(text, str(path), "exec")
