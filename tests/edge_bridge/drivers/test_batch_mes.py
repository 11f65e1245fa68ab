"""The batch executive as a real process: asked once, looked for after a kill, its record read from where we were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from isthmus.edge.v1 import mes_postings_pb2 as payloads
from servicekit.postings import Posting, Refused
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers.batch_mes import BatchMes
from services.edge_bridge.mappings import batch_mes
from services.edge_bridge.wire import ReportConfirmation
from tests.support.eventually import eventually
from tests.support.ghent import Process
from tests.support.ports import free_port
from tests.support.requests import a_material

pytestmark = pytest.mark.connected


class Executive:
    """The process, and what a shift leader does at it."""

    def __init__(self, home: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        more = ["--port", str(port), "--state", str(home), "--phase-seconds", "0.05", "--lots", "PA-1=L-1,L-2"]
        self.process = Process(home / "batch.log", "simulators.mes_batch", *more, "--hold")

    async def is_up(self) -> bool:
        try:
            async with httpx.AsyncClient(base_url=self.url) as http:
                return (await http.get("/health")).is_success
        except httpx.ConnectError:
            return False

    async def begins(self) -> None:
        async with httpx.AsyncClient(base_url=self.url) as http:
            (await http.post("/hold", json={"isHeld": False})).raise_for_status()


@pytest.fixture
def executive(tmp_path: Path) -> Iterator[Executive]:
    found = Executive(tmp_path)
    found.process.start()
    yield found
    found.process.kill()


@pytest.fixture
async def mes(executive: Executive) -> AsyncIterator[BatchMes]:
    await eventually(executive.is_up)
    found = BatchMes("mes-ghent", executive.url)
    yield found
    await found.http.aclose()


def a_posting(kind: str, payload: object, key: str = "ghent-1") -> Posting:
    return Posting(key, "ghent", "mes-ghent", kind, "ghent-1", key, payload)


def an_order(amount: str = "1200") -> payloads.DispatchWorkOrder:
    payload = payloads.DispatchWorkOrder()
    order = payload.work_order
    order.work_order_id, order.item_id = "ghent-1", "RESIN-7"
    order.planned_quantity.value, order.planned_quantity.unit_code = amount, "KGM"
    for sequence, name in ((10, "Charge"), (20, "Discharge")):
        order.operations.add(sequence=sequence, description=name, work_centre_id="RX-01")
    part = order.components.add(item_id="PA-1")
    part.quantity.value, part.quantity.unit_code = "372.25", "KGM"
    return payload


async def test_a_batch_is_created_once_and_found_again_after_a_kill(executive: Executive, mes: BatchMes) -> None:
    dispatch = mes.posting_kinds()["dispatch_work_order"]
    posting = a_posting("dispatch_work_order", an_order())
    assert await dispatch.find(posting) is None
    await dispatch.book(posting, "")
    executive.process.kill()
    executive.process.start()
    await eventually(executive.is_up)
    found = await dispatch.find(posting)
    assert found is not None
    assert (found.is_booked, found.answer["mes_order_number"]) == (True, "B26-0001")
    await dispatch.book(posting, "")  # sent twice: the same batch
    with pytest.raises(Refused) as refusal:
        await dispatch.book(a_posting("dispatch_work_order", an_order("900")), "")
    assert refusal.value.text == "externalId has other content"


async def test_a_batch_is_changed_and_taken_back_until_it_runs(executive: Executive, mes: BatchMes) -> None:
    kinds = mes.posting_kinds()
    await kinds["dispatch_work_order"].book(a_posting("dispatch_work_order", an_order()), "")
    change = a_posting(
        "change_work_order", payloads.ChangeDispatchedWorkOrder(work_order=an_order("900").work_order), "c-1"
    )
    await kinds["change_work_order"].book(change, "")
    assert await kinds["change_work_order"].find(change) is not None
    async with httpx.AsyncClient(base_url=executive.url) as http:
        (batch,) = (await http.get("/batches", params={"externalId": "ghent-1"})).json()["batches"]
    assert batch["size"] == {"value": "900", "uom": "kg"}
    cancel = payloads.CancelDispatchedWorkOrder(work_order=an_order().work_order, cancel_reason="no demand")
    await kinds["cancel_work_order"].book(a_posting("cancel_work_order", cancel, "x-1"), "")
    with pytest.raises(Refused) as refusal:
        await kinds["cancel_work_order"].book(a_posting("cancel_work_order", cancel, "x-2"), "")
    assert refusal.value.text == "batch is ABORTED"


async def test_the_batch_record_is_read_phase_by_phase_from_where_we_were(executive: Executive, mes: BatchMes) -> None:
    posting = a_posting("dispatch_work_order", an_order())
    await mes.posting_kinds()["dispatch_work_order"].book(posting, "")
    await executive.begins()

    async def both() -> list[ReportConfirmation]:
        read = [batch_mes(record, "ghent", is_late=False) for record, _ in await mes.records("")]
        assert len(read) == 2
        return [said for said in read if isinstance(said, ReportConfirmation)]

    charge, discharge = await eventually(both)
    assert [(used.item_id, used.lot_id, str(used.quantity)) for used in charge.consumptions] == [
        ("PA-1", "L-2", "372.25 KGM")
    ]
    assert (str(discharge.good), discharge.output_lot_id, discharge.is_final) == ("1185 KGM", "R-0001", True)
    assert [record.record_id for record, _ in await mes.records("1")] == ["2"]
    assert [position for _, position in await mes.booked("", 1)] == ["1"]
    assert [record.record_id for record, _ in await mes.booked("1", 500)] == ["2"]


async def test_an_executive_that_is_away_is_said_to_be(executive: Executive, mes: BatchMes) -> None:
    await asyncio.to_thread(executive.process.kill)
    with pytest.raises(DriverAway):
        await mes.records("")


async def test_a_material_s_last_revision_stands_and_an_older_one_is_passed_over(mes: BatchMes) -> None:
    tell = mes.posting_kinds()["tell_material"]
    newer, older = a_material("PA/1", 2, "79.5", "80"), a_material("PA/1", 1, "500")
    assert await tell.find(newer) is None
    for posting in (newer, older, newer):
        await tell.book(posting, "")
        assert (await tell.read(posting, "")).is_booked
    (kept,) = (await mes.http.get("/materials")).json()["materials"]
    assert (kept["material"], kept["revision"], kept["available"], kept["safetyStock"]) == (
        "PA/1", 2, {"value": "79.5", "uom": "pcs"}, None
    )  # fmt: skip
