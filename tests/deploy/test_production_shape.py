"""The production shape runs: every container's tree, environment and command, on a broker cluster and PostgreSQL with passwords."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import nats
import nats.errors
import pytest
from nats.js.api import StreamInfo

from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from servicekit.broker import is_heartbeat
from tests.conftest import SKIPS
from tests.support.containers import NODES, Containers, running_containers
from tests.support.eventually import eventually
from tests.support.requests import an_item

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]
SLOTS = {f"{service}-{plant}" for service in ("production", "inventory", "edge_bridge") for plant in ("aachen", "brno")}


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    if "postgresql" in SKIPS:
        pytest.skip("left out by ALLOW_SKIP=postgresql")
    with running_containers() as found:
        yield found


async def streams_of(containers: Containers, node: str) -> dict[str, StreamInfo]:
    client = await nats.connect(f"nats://{containers.addresses[node]}:4222", max_reconnect_attempts=2)
    try:
        return {info.config.name: info for info in await client.jetstream().streams_info()}
    finally:
        await client.close()


async def subjects_of(containers: Containers, node: str, stream: str) -> set[str]:
    client = await nats.connect(f"nats://{containers.addresses[node]}:4222", max_reconnect_attempts=2)
    try:
        info = await client.jetstream().stream_info(stream, subjects_filter=">")
        return set(info.state.subjects or {})
    finally:
        await client.close()


def test_every_container_of_ours_is_healthy_though_erp_and_mes_are_not_there(containers: Containers) -> None:
    unhealthy = [name for name in containers.ours if not containers.is_healthy(name)]
    assert not unhealthy, containers.log(unhealthy[0])


async def test_every_stream_is_kept_by_three_nodes(containers: Containers) -> None:
    async def all_slots() -> dict[str, StreamInfo]:
        found = await streams_of(containers, "nats-2")
        assert set(found) >= SLOTS
        return found

    found = await eventually(all_slots, within=60)
    assert {info.config.num_replicas for info in found.values()} == {3}


async def test_a_fact_is_told_while_one_node_of_the_broker_is_dead(containers: Containers) -> None:
    containers.processes[NODES[0]].kill()
    containers.processes[NODES[0]].wait()
    async with grpc.aio.insecure_channel(f"{containers.addresses['master_data']}:50051") as channel:
        await MasterDataServiceStub(channel).RecordItem(an_item(), timeout=10)

    async def is_told() -> bool:
        try:
            told = await subjects_of(containers, "nats-2", "master_data-aachen")
        except nats.errors.TimeoutError:  # the two nodes that are left choose a leader
            return False
        return any(not is_heartbeat(subject) for subject in told)

    await eventually(is_told, within=60)
