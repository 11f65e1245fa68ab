"""The telemetry's files speak of each other's names, and of names in the compose file."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from services.operations import use_cases
from tests.support.shape import ROOT, compose

TELEMETRY = ROOT / "deploy" / "telemetry"
CONTAINERS = compose()["services"]


def told(name: str) -> Any:
    return yaml.safe_load((TELEMETRY / name).read_text())


def test_every_part_of_the_collectors_pipelines_is_declared_and_used() -> None:
    collector = told("collector.yaml")
    kinds = {"receivers": {"receivers", "connectors"}, "exporters": {"exporters", "connectors"}, "processors": set()}
    used = set(collector["service"]["extensions"])
    for pipeline in collector["service"]["pipelines"].values():
        for kind, parts in pipeline.items():
            declared = {name for source in kinds[kind] | {kind} for name in collector[source]}
            assert set(parts) <= declared
            used |= set(parts)
    sections = ("receivers", "processors", "connectors", "exporters", "extensions")
    assert used == {name for section in sections for name in collector[section]}


def test_spans_go_to_operations_and_to_jaeger() -> None:
    endpoints = {exporter["endpoint"] for exporter in told("collector.yaml")["exporters"].values()}
    assert {"operations:50051", "jaeger:4317"} <= endpoints


def test_every_address_in_the_telemetry_is_a_container() -> None:
    addresses = [
        target
        for job in told("prometheus.yml")["scrape_configs"]
        for c in job["static_configs"]
        for target in c["targets"]
    ]
    exporters = told("collector.yaml")["exporters"].items()
    addresses += [exporter["endpoint"] for name, exporter in exporters if name.startswith("otlp")]
    addresses += [s["url"].split("//")[1] for s in told("grafana/datasources/datasources.yaml")["datasources"]]
    for address in addresses:
        host = address.split(":")[0]
        assert host in CONTAINERS or host == "127.0.0.1", address


def test_the_dashboard_asks_for_metrics_that_the_collector_makes_from_a_source_that_is_there() -> None:
    sources = {source["uid"] for source in told("grafana/datasources/datasources.yaml")["datasources"]}
    connector = told("collector.yaml")["connectors"]["spanmetrics"]
    prefix = connector["namespace"].replace(".", "_")
    unit = {"s": "seconds", "ms": "milliseconds"}[connector["histogram"]["unit"]]
    panels = json.loads((TELEMETRY / "grafana/dashboards/services.json").read_text())["panels"]
    made = json.loads((TELEMETRY / "grafana/dashboards/metrics.json").read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in made} <= sources
    for panel in panels:
        assert panel["datasource"]["uid"] in sources
        for metric in re.findall(r"(\w+)\{", panel["targets"][0]["expr"]):
            assert metric in (f"{prefix}_calls_total", f"{prefix}_duration_{unit}_bucket")


def test_the_dashboard_counts_breaches_of_interfaces_by_the_steps_that_say_them() -> None:
    panels = json.loads((TELEMETRY / "grafana/dashboards/services.json").read_text())["panels"]
    asked = " ".join(panel["targets"][0]["expr"] for panel in panels)
    names = [said.name.replace("_", " ") for said in (use_cases.breach_sla, use_cases.recover_sla)]
    assert f'span_name=~"{"|".join(names)}"' in asked
