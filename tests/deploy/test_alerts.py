"""Alerts fire when they should (promtool), ask for metrics that are emitted, and each has its chapter in the runbook."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from deploy import dashboard
from deploy.local.cli import app
from deploy.local.debian import program
from servicekit import metrics
from tests.conftest import SKIPS
from tests.deploy.test_telemetry import TELEMETRY
from tests.support.isthmus import free_base
from tests.support.shape import ROOT, compose

USAGE_ERROR = 2  # of a command line that can't be understood
RULES = [rule for group in yaml.safe_load((TELEMETRY / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
RUNBOOK = (TELEMETRY / "RUNBOOK.md").read_text()


@pytest.mark.connected
@pytest.mark.parametrize("command", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_every_alert_fires_when_it_should_and_not_otherwise(command: tuple[str, ...]) -> None:
    if "promtool" in SKIPS:
        pytest.skip("left out by ALLOW_SKIP=promtool")
    promtool = program("promtool", "prometheus", "ALLOW_SKIP=promtool leaves out its tests")
    done = subprocess.run([promtool, *command], cwd=TELEMETRY, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_asks_for_metrics_and_labels_of_the_registry() -> None:
    known = {dashboard.prometheus_name(metric): metric for metric in metrics.registry().values()}
    for rule in RULES:
        asked = re.findall(r"(isthmus_\w+)(?:\{([^}]*)\})?", rule["expr"])
        assert asked, rule["alert"]
        for name, labels in asked:
            assert name in known, f"{rule['alert']} asks for {name}"
            for label, value in re.findall(r'(\w+)="(\w+)"', labels):
                assert value in known[name].labels[label], f"{rule['alert']}: {label}={value}"
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert named <= {*known[asked[0][0]].labels, "job", "instance"}, rule["alert"]


def test_every_alert_is_tested_and_has_a_chapter_and_the_reverse() -> None:
    names = [rule["alert"] for rule in RULES]
    tests = yaml.safe_load((TELEMETRY / "alerts_test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(names)
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(names), (
        "each is also seen to be quiet"
    )
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == names
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"deploy/telemetry/RUNBOOK.md#{rule['alert'].lower()}"


def test_every_command_of_the_runbook_is_understood_to_its_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a person would type it. There is no system to ask at these ports; a wrong or missing word is told before that."""
    monkeypatch.setenv("ISTHMUS_PORT_BASE", str(free_base()))
    commands = re.findall(r"`\.venv/bin/isthmus ([^`]+)`", RUNBOOK)
    assert len(commands) == len(re.findall(r"\bisthmus ", RUNBOOK)) > 10, "none is written another way"
    for said in commands:
        done = CliRunner().invoke(app, shlex.split(said))
        assert done.exit_code != USAGE_ERROR, f"{said}: {done.output}"


def test_prometheus_reads_the_rules_that_compose_gives_it() -> None:
    volumes = compose()["services"]["prometheus"]["volumes"]
    assert "./deploy/telemetry/alerts.yaml:/etc/prometheus/alerts.yaml:ro" in volumes
    assert yaml.safe_load((TELEMETRY / "prometheus.yml").read_text())["rule_files"] == ["/etc/prometheus/alerts.yaml"]


def test_the_dashboards_are_those_that_the_registry_makes() -> None:
    for path, text in dashboard.files().items():
        assert (ROOT / path).read_text() == text, f"run: .venv/bin/python -m deploy.dashboard   ({path})"
