"""Makes the dashboard of metrics from their registry: one panel a metric.   .venv/bin/python -m deploy.dashboard"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from servicekit.metrics import Metric, registry

ROOT = Path(__file__).resolve().parents[1]
PLACE = "deploy/telemetry/grafana/dashboards/metrics.json"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
SUFFIXES = {"s": "_seconds", "By": "_bytes"}
SHOWN = {"s": "s", "By": "bytes", "": "bool_yes_no"}


def prometheus_name(metric: Metric) -> str:
    """As the Collector's Prometheus exporter writes it: dots, the unit, and "total" behind what only grows."""
    total = "_total" if metric.kind == "counter" else ""
    return metric.name.replace(".", "_") + SUFFIXES.get(metric.unit, "") + total


def files() -> dict[str, str]:
    """Text by path from the project's root."""
    panels = [_panel(number, metric) for number, metric in enumerate(registry().values())]
    dashboard = {
        "uid": "isthmus-metrics",
        "title": "Isthmus: facts, lanes, postings, interfaces",
        "tags": ["isthmus"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "panels": panels,
    }
    return {PLACE: json.dumps(dashboard, indent=1) + "\n"}


def _panel(number: int, metric: Metric) -> dict[str, Any]:
    labels = sorted(metric.labels) or ["job", "instance"]
    target = {
        "refId": "A",
        "datasource": SOURCE,
        "expr": _expression(metric, labels),
        "legendFormat": " ".join(f"{{{{{label}}}}}" for label in labels),
    }
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": metric.name.removeprefix("isthmus.").replace(".", " "),
        "description": metric.text,
        "datasource": SOURCE,
        "gridPos": {"x": 12 * (number % 2), "y": 8 * (number // 2), "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": SHOWN.get(metric.unit, "short")}, "overrides": []},
        "targets": [target],
    }


def _expression(metric: Metric, labels: list[str]) -> str:
    """A number of things is added up, of ages the oldest counts, of states the worst."""
    name = prometheus_name(metric)
    if metric.kind == "counter":
        return f"sum by ({', '.join(labels)}) (increase({name}[5m]))"
    how = {"s": "max", "By": "min", "": "min"}.get(metric.unit, "sum")
    return f"{how} by ({', '.join(labels)}) ({name})"


def main() -> None:
    for path, text in files().items():
        (ROOT / path).write_text(text)
        print(path)


if __name__ == "__main__":
    main()
