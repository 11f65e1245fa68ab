"""The registry of metrics says what the services really emit: name, kind, unit, labels and their values, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as messages
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from isthmus.gateway.v1.gateway_service_pb2 import ListPartnerStocksRequest
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from servicekit import lanes, metrics, posting_table
from servicekit.clock import now
from servicekit.database import Database, Tx
from servicekit.use_case import PlannedPosting
from tests.bench import work
from tests.support.eventually import eventually
from tests.support.ghent import Ghent
from tests.support.ports import free_port
from tests.support.requests import an_item
from tests.support.running import NAMES, Hub

PLANTS = {"aachen", "brno", "ghent", "group"}
HUB = (*NAMES, "operations")


class Collected(MetricsServiceServicer):
    """Stands where the Collector does, and keeps what it was sent: metric and service by name, labels of every point."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[Any, set[str], set[tuple[tuple[str, str], ...]]]] = {}

    def Export(self, request: Any, context: Any) -> messages.ExportMetricsServiceResponse:
        for resource in request.resource_metrics:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
                points = getattr(metric, metric.WhichOneof("data")).data_points
                labels = {tuple(sorted((a.key, a.value.string_value) for a in p.attributes)) for p in points}
                _, services, known = self.seen.setdefault(metric.name, (metric, set(), set()))
                services.add(names["service.name"])
                known |= labels
                assert names["service.instance.id"] in (*PLANTS, "hub")
        return messages.ExportMetricsServiceResponse()


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    server, servicer, at = grpc.server(ThreadPoolExecutor(8)), Collected(), f"127.0.0.1:{free_port()}"
    add_MetricsServiceServicer_to_server(servicer, server)
    server.add_insecure_port(at)
    server.start()
    for name in (*HUB, "edge_bridge"):
        monkeypatch.setenv(f"{name.upper()}_METRICS_ENDPOINT", at)
        monkeypatch.setenv(f"{name.upper()}_METRICS_SECONDS", "0.5")
    yield servicer
    server.stop(None)


@pytest.fixture
def hub(collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """All services, with an ERP and a QMS that are away, and a plant's bridge."""
    made = Hub(tmp_path, lambda name: f"sqlite:///{tmp_path / name}.db")
    made.urls["operations"] = f"sqlite:///{tmp_path / 'operations.db'}"
    secret = tmp_path / "erp"
    secret.write_text("secret")
    erp = {"url": f"http://127.0.0.1:{free_port()}", "password_file": str(secret)}
    made.erps = {"aachen": erp}
    made.broker.start()
    ghent = Ghent(tmp_path, made.broker)
    try:
        for name in HUB:
            made.start(name)
        ghent.bridge.start()
        made.wait_ready(*HUB)
        yield made
    finally:
        ghent.bridge.kill()
        made.stop()


def something_happens(hub: Hub) -> None:
    """A fact for whoever hears it, one in a lane, and a posting whose partner is away."""
    with grpc.insecure_channel(hub.address("master_data")) as channel:
        MasterDataServiceStub(channel).RecordItem(an_item("PUMP-7"), timeout=10)
    planned = PlannedPosting("qms", "open_case", "aachen", "aachen-1", "k-1", ListPartnerStocksRequest())
    fact = work.a_confirmation(1)

    def write(tx: Tx) -> None:
        posting_table.insert(tx, [(planned, "")], now())
        lanes.append(tx, "gateway", fact, lanes.LaneChanged(order_key=fact.order_key), now())

    gateway = Database(hub.urls["gateway"])
    asyncio.run(gateway.write(write))
    gateway.close()


def all_of(registry: dict[str, metrics.Metric], collected: Collected) -> bool:
    assert sorted(set(registry) - set(collected.seen)) == [], "these are not emitted"
    return True


@pytest.mark.connected
def test_what_is_emitted_is_what_the_registry_says(hub: Hub, collected: Collected) -> None:
    something_happens(hub)
    registry = metrics.registry()
    asyncio.run(eventually(lambda: all_of(registry, collected), within=60))
    assert set(collected.seen) == set(registry)
    for name, (metric, services, points) in collected.seen.items():
        said = registry[name]
        is_counter = metric.WhichOneof("data") == "sum" and metric.sum.is_monotonic
        assert (said.kind, said.unit, said.text) == (
            "counter" if is_counter else "gauge",
            metric.unit,
            metric.description,
        ), name
        assert services <= ({said.by} if said.by != "kit" else {*HUB, "edge_bridge"}), name
        for labels in points:
            assert {label for label, _ in labels} == set(said.labels), name
            for label, value in labels:
                assert value in said.labels[label] or not said.labels[label], f"{name}: {label}={value}"
                assert label != "plant" or value in PLANTS, f"{name}: {label}={value}"
    every = {*HUB, "edge_bridge"}
    assert collected.seen["isthmus.audit.entries"][1] == every, (
        "every service says something, also where nothing happened"
    )


def test_a_metric_or_label_that_the_registry_does_not_know_is_a_bug(tmp_path: Path) -> None:
    made = metrics.Metrics(Database(f"sqlite:///{tmp_path / 'x.db'}"), {})
    for name, labels in (
        ("isthmus.nobody", {}),
        ("isthmus.conflicts", {"plant": "aachen"}),
        ("isthmus.postings", {"partner": "wms", "state": "lost"}),
    ):
        with pytest.raises((KeyError, ValueError), match=r"nobody|labels|lost"):
            made._check(metrics.Sample(name, 1, labels))
