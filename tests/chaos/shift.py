"""Brings the system of a run to where the load can begin, and keeps the load's process."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import grpc

from deploy.local.processes import PART_OF
from isthmus.masterdata.v1.masterdata_service_pb2 import RecordItemRequest
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from isthmus.production.v1.production_service_pb2 import ReleaseWorkOrderRequest
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from servicekit.domain import BusinessKey
from servicekit.wire import key_message
from tests.chaos import books
from tests.chaos.plants import ORDER_SIZE, ORDERS_A_PLANT, PLANTS, Plant
from tests.chaos.topology import PYTHON, Place, staging_database

PATIENCE = 120.0


class Stuck(Exception):
    """What should come to pass did not."""


def wait(what: str, until: Callable[[], Any], patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not (answer := until()):
        if time.monotonic() > deadline:
            raise Stuck(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.2)
    return answer


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def orders_of(place: Place) -> list[str]:
    return [f"{plant}-{n}" for plant in PLANTS if place.has(f"mes-{plant}") for n in range(1, ORDERS_A_PLANT + 1)]


def release_by_call(place: Place, plant: Plant) -> None:
    """What an ERP's follower would do, for a plant without one."""
    with grpc.insecure_channel(place.address("master_data")) as channel:
        items = [(item, unit, any(lots)) for item, lots, _, unit in plant.recipe]
        for item_id, unit, is_tracked in [(plant.item_id, "C62", True), *items]:
            item = RecordItemRequest(business_key=_key("item", item_id), plant_id=plant.plant_id)
            item.item.item_id, item.item.unit_code, item.item.is_lot_tracked = item_id, unit, is_tracked
            MasterDataServiceStub(channel).RecordItem(item, timeout=10)
    with grpc.insecure_channel(place.address("production")) as channel:
        for number in range(1, ORDERS_A_PLANT + 1):
            request = ReleaseWorkOrderRequest(business_key=_key("work_order", f"{plant.plant_id}-{number}"))
            order = request.work_order
            order.plant_id, order.erp_order_number, order.item_id = plant.plant_id, str(number), plant.item_id
            order.planned_quantity.value, order.planned_quantity.unit_code = ORDER_SIZE, "C62"
            day = date(2030, 1, number)
            order.due_date.year, order.due_date.month, order.due_date.day = day.year, day.month, day.day
            for sequence in plant.operations:
                order.operations.add(sequence=sequence, description=f"Step {sequence}", work_centre_id="WC-1")
            wait("production knows the item", lambda request=request: _released(channel, request))


def _released(channel: grpc.Channel, request: ReleaseWorkOrderRequest) -> bool:
    try:
        ProductionServiceStub(channel).ReleaseWorkOrder(request, timeout=10)
    except grpc.RpcError:
        return False
    return True


def _key(document: str, number: str) -> Any:
    return key_message(BusinessKey("planner", document, number))


def open_shift(place: Place) -> None:
    """Every order stands in its plant's MES, and hub and plant know its number."""
    wanted = orders_of(place)
    for plant in PLANTS.values():
        if place.has(f"mes-{plant.plant_id}") and not (plant.has_erp and place.has(f"erp-{plant.plant_id}")):
            release_by_call(place, plant)
    if place.has("mes-brno"):
        hold_staging(place)
    wait("all orders are in their MES", lambda: books.dispatched(place.home) >= set(wanted))


def hold_staging(place: Place) -> None:
    """Its line does not run: reports are the load's alone."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(staging_database(place), timeout=30, isolation_level=None)) as connection:
        connection.execute("INSERT OR REPLACE INTO MES_SWITCH VALUES ('HOLD', '1')")


class LoadProcess:
    def __init__(
        self, place: Place, rate: float, seed: int, finish_seconds: float, slips: str, slip_seconds: float
    ) -> None:
        home = place.home
        self.journal, self.status = home / "load.jsonl", home / "load.json"
        mes = {
            plant: f"http://{place.address(f'mes-{plant}')}"
            if shape.driver == "rest_mes"
            else str(staging_database(place))
            for plant, shape in PLANTS.items()
            if place.has(f"mes-{plant}")
        }
        places = {"production": place.address("production"), "mes": mes, "orders": orders_of(place)}
        (home / "places.json").write_text(json.dumps(places))
        command = [PYTHON, "-m", "tests.chaos.load", "--places", str(home / "places.json"), "--slips", slips]
        command += ["--journal", str(self.journal), "--status", str(self.status), "--rate", str(rate)]
        command += ["--slip-seconds", str(slip_seconds)]
        command += ["--seed", str(seed), "--finish-seconds", str(finish_seconds)]
        with (home / "logs" / "load.log").open("ab") as log:
            environment = {**os.environ, PART_OF: str(home)}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def counts(self) -> dict[str, Any]:
        return json.loads(self.status.read_text()) if self.status.exists() else {}

    def require_alive(self) -> None:
        if self.process.poll() not in (None, 0):
            raise Stuck(f"the load ended with {self.process.returncode}; see logs/load.log")

    def finish(self, patience: float) -> None:
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Stuck(f"calls are still not acknowledged {patience:.0f} s after the last fault") from None
        self.require_alive()
