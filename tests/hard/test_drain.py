"""A rolling restart of a real service process under load: no call fails for a client that follows protos/README.md."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa

from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from tests.support.eventually import eventually
from tests.support.requests import an_item
from tests.support.running import Hub

pytestmark = pytest.mark.connected
RESTARTS, CALLERS = 2, 4
# As protos/README.md asks of callers; a retry carries the same business key.
POLICY = {
    "methodConfig": [
        {
            "name": [{}],
            "waitForReady": True,
            "timeout": "30s",
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None

    def database_url(name: str) -> str:
        return postgres.fresh() if postgres is not None else f"sqlite:///{tmp_path / name}.db"

    made = Hub(tmp_path, database_url)
    made.broker.start()
    made.start("master_data")
    yield made
    made.stop()


class Callers:
    """Threads that share one long-lived channel and record items until told to stop."""

    def __init__(self, address: str) -> None:
        options = [("grpc.service_config", json.dumps(POLICY)), ("grpc.enable_retries", 1)]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub = MasterDataServiceStub(self._channel)
        self._is_over = threading.Event()
        self.done: list[str] = []
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _call(self, caller: int) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            try:
                self._stub.RecordItem(an_item(f"I-{caller}-{number}"))
                self.done.append(f"I-{caller}-{number}")
            except grpc.RpcError as error:
                self.failed.append(f"{error.code()} {error.details()}")

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()


def more(callers: Callers, count: int) -> Callable[[], bool]:
    wanted = len(callers.done) + count
    return lambda: len(callers.done) >= wanted


async def test_no_call_fails_while_a_service_is_restarted_under_load(hub: Hub) -> None:
    callers = Callers(hub.address("master_data"))
    try:
        for _ in range(RESTARTS):
            await eventually(more(callers, 100), within=60)
            leaving = hub.processes["master_data"]
            leaving.terminate()
            assert leaving.wait(20) == 0, hub.log("master_data")[-2000:]
            hub.start("master_data")
        await eventually(more(callers, 100), within=60)
    finally:
        callers.end()
    assert callers.failed == []
    engine = sa.create_engine(hub.urls["master_data"])
    with engine.connect() as connection:
        claimed = connection.exec_driver_sql("SELECT COUNT(*) FROM claims").scalar()
        said = connection.exec_driver_sql("SELECT COUNT(*), MAX(sequence) FROM outbox").one()
    engine.dispose()
    assert claimed == len(callers.done) == said[0] == said[1]
