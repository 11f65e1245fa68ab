"""Production as `make up` starts it, with orders open on it, for whoever measures what calls cost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

import grpc
import sqlalchemy as sa

from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from servicekit.errors import from_rpc_error
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.requests import a_release, an_item
from tests.support.running import ROOT, Hub

ORDERS = 200
PIECES = 1_000_000  # of each order: more than any run confirms


def order_of(number: int) -> str:
    return f"aachen-O{number * 7919 % ORDERS}"


@contextmanager
def production(home: Path, fresh: Callable[[], str]) -> Iterator[Hub]:
    """The service alone: master data has told of the item and is gone again."""
    hub = Hub(home, lambda _name: fresh())
    hub.broker.start()
    try:
        for name in ("master_data", "production"):
            hub.start(name)
        hub.wait_ready("master_data", "production")
        asyncio.run(release_orders(hub, ["aachen"], ORDERS))
        hub.kill("master_data")
        yield hub
    finally:
        hub.stop()


async def release_orders(hub: Hub, plants: Sequence[str], each: int) -> None:
    """So many orders open on each plant, <plant>-O0 and so on."""
    with grpc.insecure_channel(hub.address("master_data")) as channel:
        for plant in plants:
            item = an_item(is_lot_tracked=False)
            item.business_key.source_system, item.plant_id = f"erp-{plant}", plant
            MasterDataServiceStub(channel).RecordItem(item, timeout=10)
    with grpc.insecure_channel(hub.address("production")) as channel:
        stub = ProductionServiceStub(channel)

        def released(plant: str, number: int) -> bool:
            request = a_release(f"O{number}", quantity=str(PIECES))
            request.business_key.source_system, request.work_order.plant_id = f"erp-{plant}", plant
            try:
                stub.ReleaseWorkOrder(request, timeout=10)
            except grpc.RpcError as error:
                if from_rpc_error(error)[1] == "ITEM_UNKNOWN":  # not yet heard
                    return False
                raise
            return True

        for plant, number in product(plants, range(each)):
            await eventually(partial(released, plant, number))


@contextmanager
def echo() -> Iterator[str]:
    """The bare server's address."""
    port = free_port()
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "libs", "libs/contracts"))
    command = [sys.executable, "-m", "tests.bench.echo", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": roots})
    try:
        asyncio.run(listening(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def listening(port: int) -> None:
    async def is_open() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(is_open)


def booked(url: str) -> tuple[int, int, int]:
    """Confirmations, pieces they say in all, and facts of them, as the database has them."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        confirmations = connection.exec_driver_sql("SELECT COUNT(*) FROM confirmations").scalar_one()
        pieces = connection.exec_driver_sql("SELECT SUM(good) FROM operations").scalar_one()
        facts = connection.exec_driver_sql(
            "SELECT COUNT(*) FROM outbox WHERE subject = 'isthmus.aachen.production.v1.operation.confirmed'"
        ).scalar_one()
    engine.dispose()
    return int(confirmations), int(pieces) // 1_000_000, int(facts)
