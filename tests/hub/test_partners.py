"""QMS and CMMS as real processes: asked once, heard once, through kills and repeats, on both databases."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import pytest

from isthmus.maintenance.v1 import maintenance_service_pb2 as maintenance
from isthmus.maintenance.v1 import work_request_pb2
from isthmus.operations.v1 import lane_service_pb2 as lanes
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from isthmus.quality.v1 import quality_service_pb2 as quality
from tests.hub.conftest import Calls
from tests.hub.test_maintenance import NUMBERS as ASSET_NUMBERS
from tests.hub.test_maintenance import a_rule, an_asset, requests_of, some_faults
from tests.hub.test_quality import a_result, a_sample, a_specification, an_inspection, causes
from tests.support.eventually import eventually
from tests.support.plant import Plant, plant_of
from tests.support.requests import a_key, an_item

pytestmark = pytest.mark.connected
NUMBERS = count(1)
ACCEPTED = work_request_pb2.WORK_REQUEST_STATE_ACCEPTED
COMPLETED = work_request_pb2.WORK_REQUEST_STATE_COMPLETED


@pytest.fixture(scope="module")
def resin(calls: Calls) -> str:
    """An item whose lots are inspected."""
    calls.master_data.RecordItem(an_item("RESIN-5"), timeout=10)
    calls.quality.RecordTestSpecification(a_specification(), timeout=10)
    return "RESIN-5"


@pytest.fixture
async def plant(calls: Calls) -> AsyncIterator[Plant]:
    async with plant_of(calls.hub.home / "plant", calls.hub.broker.url, "aachen") as found:
        yield found


class Partner:
    """What people do at a partner's own screen."""

    def __init__(self, calls: Calls, name: str) -> None:
        headers = {"authorization": f"Bearer {calls.hub.partner_key}", "apikey": calls.hub.partner_key}
        self._http = httpx.Client(base_url=f"http://{calls.hub.address(name)}", headers=headers, timeout=5)

    def get(self, path: str, **params: str) -> Any:
        try:
            return self._http.get(path, params=params).raise_for_status().json()
        except httpx.ConnectError:  # it is being started again
            return {"items": [], "Notifications": []}

    def post(self, path: str, **said: Any) -> Any:
        return self._http.post(path, json=said).raise_for_status().json()


def decisions(qms: Partner, inspection_id: str) -> list[Any]:
    return list(qms.get("/api/decisions", clientReference=inspection_id)["items"])


def case_of(calls: Calls, lot: str) -> Any:
    request = quality.ListNonconformancesRequest(plant_id="aachen")
    found = calls.quality.ListNonconformances(request, timeout=10).nonconformances
    return next((one for one in found if one.lot_id == lot), None)


async def test_the_qms_is_asked_once_its_verdict_counts_once_and_its_case_is_known(calls: Calls, resin: str) -> None:
    qms = Partner(calls, "qms")
    inspection = await an_inspection(calls, resin)
    (asked,) = await eventually(lambda: decisions(qms, inspection.inspection_id))
    assert (asked["batch"], asked["specification"]) == (inspection.lot_id, "SPEC-1 version 3")
    sample = f"L-{inspection.lot_id}"
    calls.quality.RegisterSample(a_sample(inspection, sample), timeout=10)
    calls.quality.RecordTestResult(a_result(sample), timeout=10)
    qms.post(f"/api/decisions/{asked['number']}/outcome", outcome="pass", by="meyer")
    await eventually(lambda: causes(calls, inspection.lot_id) == [])
    told = [one for one in qms.get("/api/webhooks")["items"] if asked["number"] in one["body"]]
    qms.post(f"/api/webhooks/{told[0]['id']}/redeliver")
    qms.post(f"/api/decisions/{asked['number']}/outcome", outcome="fail", by="meyer", remark="customer complaint")
    await eventually(lambda: causes(calls, inspection.lot_id) == ["INSPECTION_FAILED"])
    await eventually(lambda: case_of(calls, inspection.lot_id).qms_case_number)
    case = case_of(calls, inspection.lot_id)
    (kept,) = qms.get("/api/cases", clientReference=case.nonconformance_id)["items"]
    assert (kept["number"], kept["afterRelease"]) == (case.qms_case_number, True)
    assert "customer complaint" in kept["reasons"][0]
    await eventually(lambda: all(one["status"] == "taken" for one in qms.get("/api/webhooks")["items"]))


async def test_a_qms_that_is_killed_while_it_is_asked_has_one_decision(calls: Calls, resin: str) -> None:
    qms = Partner(calls, "qms")
    process = calls.hub.processes["qms"]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    inspection = await an_inspection(calls, resin)
    calls.hub.start_partner("qms")
    await eventually(lambda: decisions(qms, inspection.inspection_id), within=60)
    assert len(decisions(qms, inspection.inspection_id)) == 1


async def test_a_work_request_gets_its_number_and_what_people_complete_is_complete(calls: Calls, plant: Plant) -> None:
    cmms, press = Partner(calls, "cmms"), f"PRESS-{next(ASSET_NUMBERS)}"
    calls.maintenance.RecordAsset(an_asset(press), timeout=10)
    calls.maintenance.RecordConditionRule(a_rule(press, f"C-{press}"), timeout=10)
    await plant.says([some_faults(press, 7, 1)])
    await eventually(lambda: [one.state for one in requests_of(calls, press)] == [ACCEPTED])
    (request,) = requests_of(calls, press)
    (kept,) = cmms.get("/services/notifications", ExternalRef=request.work_request_id)["Notifications"]
    assert kept["NotificationNo"] == request.cmms_request_number
    assert (kept["Equipment"], kept["Priority"], kept["CostCenter"]) == ("EQ-100", "URGENT", "4711")
    cmms.post(f"/services/notifications/{int(kept['NotificationNo'])}/complete")
    await eventually(lambda: [one.state for one in requests_of(calls, press)] == [COMPLETED])


def parked_of(calls: Calls, order_key: str) -> list[str]:
    desk = LaneServiceStub(calls.channels["gateway"])
    found = desk.ListLanes(lanes.ListLanesRequest(), timeout=10).lanes
    return [lane.text for lane in found if lane.order_key == order_key and lane.reason == "POSTING_REFUSED"]


def by_hand(cmms: Partner, reference: str) -> int:
    """A notification that a planner makes and completes; nobody here asked for it."""
    said = {"Equipment": "EQ-100", "ShortText": "by hand", "Priority": "LOW", "Plant": "aachen"}
    made = cmms.post("/services/notifications", ExternalRef=reference, **said)["Notification"]
    cmms.post(f"/services/notifications/{int(made['NotificationNo'])}/complete")
    return int(made["NotificationNo"])


async def test_what_the_cmms_says_of_work_that_nobody_knows_is_parked_and_the_rest_is_heard(
    calls: Calls, plant: Plant
) -> None:
    cmms, press = Partner(calls, "cmms"), f"PRESS-{next(ASSET_NUMBERS)}"
    unknown = by_hand(cmms, f"nobody-{press}")
    with closing(sqlite3.connect(calls.hub.home / "cmms" / "cmms.db", timeout=10)) as store, store:
        said = json.dumps({"Plant": "aachen", "ExternalRef": f"broken-{press}"})
        statement = (
            "INSERT INTO notification (external_ref, content, status, completed_at, change_no) "
            "VALUES (?, ?, 'NOCO', 'yesterday', (SELECT MAX(change_no) + 1 FROM notification))"
        )
        broken = store.execute(statement, (f"broken-{press}", said)).lastrowid
    await test_a_work_request_gets_its_number_and_what_people_complete_is_complete(calls, plant)
    (text,) = await eventually(lambda: parked_of(calls, f"notification:{unknown:08d}"))
    assert f"nobody-{press}" in text
    assert await eventually(lambda: parked_of(calls, f"notification:{broken:08d}"))


@pytest.mark.parametrize(
    ("number", "words"),
    [("", "has no number in the CMMS: correct cmms_asset_number here"), ("EQ-999", "Equipment EQ-999 does not exist")],
)
async def test_an_asset_that_the_cmms_does_not_know_waits_for_a_person(
    calls: Calls, plant: Plant, number: str, words: str
) -> None:
    press = f"PRESS-{next(ASSET_NUMBERS)}"
    request = an_asset(press)
    request.asset.cmms_asset_number = number
    calls.maintenance.RecordAsset(request, timeout=10)
    opened = maintenance.OpenWorkRequestRequest(plant_id="aachen", asset_id=press, problem="leaks", priority=1)
    opened.business_key.CopyFrom(a_key(f"p{next(NUMBERS)}", "desk", "request"))
    calls.maintenance.OpenWorkRequest(opened, timeout=10)
    (text,) = await eventually(lambda: parked_of(calls, f"asset:{press}"))
    assert words in text
