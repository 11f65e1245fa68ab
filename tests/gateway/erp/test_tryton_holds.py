"""Holds, inspections and maintenance in the real ERPs: what is moved, recorded and asked for, once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from deploy.local.tryton.plants import SEEDS
from isthmus.gateway.v1 import erp_postings_pb2 as payloads
from isthmus.quality.v1.inspection_pb2 import Disposition
from servicekit.postings import NoAnswer, Posting, PostingKind, Refused
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_postings import posting_kinds
from tests.gateway.erp.conftest import ErpServer, start
from tests.gateway.erp.machine import MortalClient, as_the_machine_does, post
from tests.gateway.erp.payloads import quantity, unit_of
from tests.gateway.erp.user import TrytonUser

pytestmark = pytest.mark.flow
NUMBERS = count(1)


def posting(erp: ErpServer, kind: str, key: str, payload: object) -> Posting:
    return Posting(key, erp.plant_id, f"erp-{erp.plant_id}", kind, "order", key, payload)


@pytest.fixture
def kinds(client: TrytonClient) -> dict[str, PostingKind]:
    return posting_kinds(client)


@pytest.fixture
def item(erp: ErpServer) -> str:
    return SEEDS[erp.plant_id].product.code


@pytest.fixture
def lot(erp: ErpServer, planner: TrytonUser, item: str) -> str:
    made = f"HELD-{next(NUMBERS)}"
    planner.count(item, made, "4")
    return made


async def test_a_held_lot_leaves_storage_once_and_comes_back_whole(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    """The process dies after each change in the ERP in turn, and looks and goes on each time."""
    asked = quantity("5", unit_of(erp.plant_id, item))
    hold = posting(
        erp, "hold_lot", f"{lot}/hold-1", payloads.HoldLot(item_id=item, lot_id=lot, quantity=asked, hold_reason="x")
    )
    survived: set[str] = set()
    for _ in range(12):
        mortal = MortalClient(erp.settings(), survived)
        try:
            await as_the_machine_does(posting_kinds(mortal)["hold_lot"], hold)
            break
        except NoAnswer:
            continue
        finally:
            await mortal.close()
    assert "stock.shipment.internal.create" in survived
    assert (planner.stock(item, lot), planner.stock(item, lot, "hold")) == (0, 4)
    assert len(planner.search("stock.shipment.internal", [["reference", "=", hold.key]], "state")) == 1
    found = await kinds["hold_lot"].find(hold)
    assert found is not None
    assert (found.answer["moved"], found.answer["not_free"]) == ("4", "1")

    release = posting(erp, "release_lot", f"{lot}/release-1", payloads.ReleaseLot(item_id=item, lot_id=lot))
    await post(kinds["release_lot"], release)
    assert (planner.stock(item, lot), planner.stock(item, lot, "hold")) == (4, 0)


async def test_a_lot_that_the_erp_does_not_have_is_held_without_a_shipment(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    hold = posting(erp, "hold_lot", "none/hold-1", payloads.HoldLot(item_id=item, lot_id="none"))
    assert (await post(kinds["hold_lot"], hold))["moved"] == "0"
    assert planner.search("stock.shipment.internal", [["reference", "=", hold.key]], "state") == []


async def test_a_held_lot_is_corrected_where_it_stands(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    hold = posting(erp, "hold_lot", f"{lot}/hold-1", payloads.HoldLot(item_id=item, lot_id=lot))
    await post(kinds["hold_lot"], hold)
    payload = payloads.CorrectWorkOrder(erp_order_number="1", item_id=item, held_lot_ids=[lot])
    payload.totals.outputs.add(lot_id=lot, quantity=quantity("-1", unit_of(erp.plant_id, item)))
    await post(kinds["correct_work_order"], posting(erp, "correct_work_order", f"{lot}/c", payload))
    assert planner.stock(item, lot, "hold") == 3


async def test_an_inspection_is_moot_where_the_erp_keeps_none(
    erp: ErpServer, kinds: dict[str, PostingKind], item: str
) -> None:
    said = posting(erp, "record_inspection", "i/1", payloads.RecordInspection(inspection_id="i", item_id=item))
    assert (await post(kinds["record_inspection"], said))["inspection"] == "not supported by this ERP"


async def test_a_spare_part_is_asked_for_once_and_not_booked(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    part = SEEDS[erp.plant_id].components[2][0].code
    before = planner.stock(part)
    payload = payloads.ReserveSparePart(
        work_request_id="w", asset_id="a", item_id=part, quantity=quantity("0.5", "KGM"), cost_centre_id="4711"
    )
    asked = posting(erp, "reserve_spare_part", "w/part", payload)
    await kinds["reserve_spare_part"].draft(asked)
    await as_the_machine_does(kinds["reserve_spare_part"], asked)
    (demand,) = planner.search("stock.shipment.internal", [["reference", "=", asked.key]], "state")
    assert (demand["state"], planner.stock(part)) == ("request", before)
    (note,) = planner.search("ir.note", [["resource", "=", f"stock.shipment.internal,{demand['id']}"]], "message")
    assert "cost centre 4711" in note["message"]


async def test_a_downtime_is_noted_once_on_the_work_centre_that_the_erp_has(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    payload = payloads.RecordDowntime(asset_id="a", line_id=SEEDS[erp.plant_id].operations[0][1])
    said = posting(erp, "record_downtime", "downtime-1", payload)
    for _ in range(2):
        await as_the_machine_does(kinds["record_downtime"], said)
    assert len(planner.search("ir.note", [["message", "like", "%downtime-1%"]], "message")) == 1
    payload = payloads.RecordDowntime(asset_id="a", line_id="no-such")
    with pytest.raises(Refused) as refusal:
        await kinds["record_downtime"].draft(posting(erp, "record_downtime", "downtime-2", payload))
    assert refusal.value.reason == "ERP_WORK_CENTRE_MISSING"


@pytest.fixture(scope="module")
def ghent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErpServer]:
    """The process plant's ERP, with the quality module."""
    server = start("ghent", "8.0", tmp_path_factory.mktemp("ghent"))
    yield server
    server.process.terminate()
    server.process.wait(10)


async def test_an_inspection_fails_opens_an_alert_and_passes_by_concession(ghent: ErpServer) -> None:
    """One inspection in the ERP for one of ours; its points are exact; what nobody measured leaves it pending."""
    client, person = TrytonClient(ghent.settings()), TrytonUser(ghent.seed, "admin")
    kind = posting_kinds(client)["record_inspection"]
    said = payloads.RecordInspection(
        inspection_id="i-1", erp_order_number=ghent.seed["orders"][0]["number"], item_id="RESIN-7", lot_id="R-1",
        disposition=Disposition.DISPOSITION_FAILED,
    )  # fmt: skip
    said.points.add(characteristic_id="Viscosity", value=quantity("241.5", "KGM"))
    said.points.add(characteristic_id="reactor.temperature", is_within_limits=True)
    await client.connect()
    assert (await post(kind, posting(ghent, "record_inspection", "i-1/1", said)))["not_measured"] == "solids"
    said.points.add(characteristic_id="solids", value=quantity("48", "KGM"))
    for again, state in ((2, "failed"), (3, "passed")):
        said.disposition = {"failed": Disposition.DISPOSITION_FAILED, "passed": Disposition.DISPOSITION_PASSED}[state]
        answer = await post(kind, posting(ghent, "record_inspection", f"i-1/{again}", said))
        assert answer["inspection"] == state
        (record,) = person.search("quality.inspection", [["reference", "=", "i-1"]], "state", "points", "alerts")
        assert (record["state"], len(record["alerts"])) == (state, 1)
        assert record["points"]["viscosity"] == {"__class__": "Decimal", "decimal": "241.5"}
    await client.close()
