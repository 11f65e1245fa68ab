"""Replicas of production and inventory on one PostgreSQL: they share the plants, and a dead or frozen one changes no book."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest

from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from tests.support.eventually import eventually
from tests.support.postgres import Postgres
from tests.support.requests import a_confirmation, a_release, an_item
from tests.support.running import Hub

pytestmark = pytest.mark.connected
PLANTS = ("aachen", "brno", "cheb", "dover")
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)
EACH = 150  # confirmations of each plant's order


@pytest.fixture(params=[2, pytest.param(4, marks=pytest.mark.long)])
def replicas(request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path, lambda _name: postgres.fresh(), ",".join(PLANTS))
    hub.broker.start()
    try:
        names = ["master_data", "production", "inventory"]  # the first of each makes the tables
        for name in names:
            hub.start(name)
        hub.wait_ready(*names)
        more = [f"{name}.{number}" for name in names[1:] for number in range(2, request.param + 1)]
        for name in more:
            hub.start(name)
        hub.wait_ready(*more)
        yield hub
    finally:
        hub.stop()


def query(hub: Hub, service: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(hub.urls[service].replace("+psycopg", "")) as connection:
        return list(connection.execute(sql))  # type: ignore[call-overload]


def holders(hub: Hub, service: str) -> dict[int, int]:
    """Session -> places that it holds."""
    sql = (
        "SELECT pid, COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY pid"
    )
    return {int(str(pid)): int(str(count)) - 1 for pid, count in query(hub, service, sql)}  # one is its membership


def record_items(hub: Hub) -> None:
    with grpc.insecure_channel(hub.address("master_data")) as channel:
        for plant in PLANTS:
            item = an_item()
            item.business_key.source_system, item.plant_id = f"erp-{plant}", plant
            MasterDataServiceStub(channel).RecordItem(item, timeout=10)


class Plant:
    """A plant's client: confirms its order piece by piece, with any replica that answers."""

    def __init__(self, hub: Hub, plant: str, first: int) -> None:
        names = sorted(name for name in hub.processes if name.startswith("production"))
        self.plant, self.channels = plant, [grpc.aio.insecure_channel(hub.address(name)) for name in names]
        self.stubs = [ProductionServiceStub(channel) for channel in self.channels]
        self.at, self.done = first, 0  # the replica it talks to, until that does not answer

    async def call(self, method: str, request: object) -> object:
        while True:
            try:
                return await getattr(self.stubs[self.at % len(self.stubs)], method)(request, timeout=3)
            except grpc.RpcError as error:
                if error.code() not in AGAIN:
                    raise
                self.at += 1

    async def work(self) -> None:
        release = a_release(f"{self.plant}-1", quantity="1000")
        release.work_order.plant_id = self.plant
        order = (await self.call("ReleaseWorkOrder", release)).work_order.work_order_id  # type: ignore[attr-defined]
        for number in range(EACH):
            request = a_confirmation(f"{self.plant}-{number}", order, good="1")
            request.confirmation.plant_id = self.plant
            used = request.confirmation.consumptions.add(item_id=f"PART-{number}")
            used.quantity.value, used.quantity.unit_code = "1", "C62"
            await self.call("ConfirmOperation", request)
            self.done += 1
        for channel in self.channels:
            await channel.close()


async def test_plants_are_shared_and_order_is_kept_through_a_kill_and_a_freeze(replicas: Hub) -> None:
    count = sum(name.startswith("inventory") for name in replicas.processes)
    most = -(-(len(PLANTS) + 2) // count)  # the plants, what has none, and the loops

    def is_shared() -> bool:
        held = holders(replicas, "inventory")
        assert (len(held), sum(held.values())) == (count, len(PLANTS) + 2)
        assert max(held.values()) <= most
        return True

    await eventually(is_shared, within=60)
    record_items(replicas)
    heard = "SELECT COUNT(*) FROM position WHERE slot LIKE 'master_data-%'"
    await eventually(lambda: query(replicas, "production", heard)[0][0] == len(PLANTS))
    plants = [Plant(replicas, plant, first) for first, plant in enumerate(PLANTS)]
    working = asyncio.gather(*(plant.work() for plant in plants))

    def all_at(done: int) -> bool:
        assert not working.done() or not working.exception()
        return min(plant.done for plant in plants) >= done

    await eventually(lambda: all_at(20), within=60)
    replicas.kill("inventory.2")
    replicas.processes["production.2"].send_signal(signal.SIGSTOP)
    replicas.processes["inventory"].send_signal(signal.SIGSTOP)
    if count > 2:
        replicas.kill("production.3")
    else:
        replicas.start("inventory.2")  # else nobody is there while the other is frozen
    await eventually(lambda: all_at(60), within=90)

    def is_taken_over() -> bool:
        """PostgreSQL has ended the sessions of the frozen, and others have their places."""
        held = holders(replicas, "inventory")
        assert sum(held.values()) == len(PLANTS) + 2, held
        at = query(replicas, "inventory", "SELECT COUNT(*) FROM position WHERE producer_sequence > 50")
        assert at[0][0] == len(PLANTS), at
        return True

    await eventually(is_taken_over, within=60)
    for name in ("production.2", "inventory"):
        replicas.processes[name].send_signal(signal.SIGCONT)
    await working

    def booked() -> bool:
        lines = query(replicas, "inventory", "SELECT plant_id, item_id FROM inventory_transactions ORDER BY 1, 2")
        assert lines == sorted((plant, f"PART-{number}") for plant in PLANTS for number in range(EACH))
        return True

    await eventually(booked, within=90)
    for plant in PLANTS:
        said = query(replicas, "production", order_of("production", plant, "OperationConfirmed"))
        moved = query(replicas, "inventory", order_of("inventory", plant, "InventoryMoved"))
        assert [documents(row) for row in said] == [documents(row) for row in moved], plant


def order_of(service: str, plant: str, fact: str) -> str:
    return (
        f"SELECT envelope FROM outbox WHERE slot = '{service}-{plant}' AND fact_type LIKE '%.{fact}' ORDER BY sequence"
    )


def documents(row: tuple[object, ...]) -> str:
    from isthmus.events.v1.envelope_pb2 import Envelope

    return Envelope.FromString(bytes(row[0])).business_key.document_number  # type: ignore[arg-type]
