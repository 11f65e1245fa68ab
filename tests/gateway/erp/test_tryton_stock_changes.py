"""Adjustments and transfers in the real ERPs: booked once, found by our document, read back."""

from __future__ import annotations

from itertools import count

import pytest

from deploy.local.tryton.plants import SEEDS
from isthmus.gateway.v1 import erp_postings_pb2 as payloads
from servicekit.postings import NoAnswer, NotYet, Posting, PostingKind, Refused
from services.gateway.erp.tryton_books import TrytonBooks
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_postings import posting_kinds
from tests.gateway.erp.conftest import ErpServer
from tests.gateway.erp.machine import MortalClient, as_the_machine_does, post
from tests.gateway.erp.payloads import quantity, unit_of
from tests.gateway.erp.user import TrytonUser

pytestmark = pytest.mark.flow
NUMBERS = count(1)
SHIPMENT = "stock.shipment.internal"


@pytest.fixture
def lot(planner: TrytonUser, item: str) -> str:
    """Four in the ERP's storage."""
    made = f"CHANGED-{next(NUMBERS)}"
    planner.count(item, made, "4")
    return made


def adjustment(
    erp: ErpServer, item: str, lot: str, value: str, place: str = "warehouse", *, is_held: bool = False
) -> Posting:
    said = payloads.AdjustStock(item_id=item, lot_id=lot, location_id=place, adjustment_reason="counted")
    said.is_held = is_held
    said.quantity.CopyFrom(quantity(value, unit_of(erp.plant_id, item)))
    key = f"adjustment/app-{erp.plant_id}/count/{next(NUMBERS)}"
    return Posting(key, erp.plant_id, f"erp-{erp.plant_id}", "adjust_stock", "lot", key, said)


def transfer(
    erp: ErpServer, item: str, lot: str, source: str, target: str, value: str = "1", *, is_held: bool = False
) -> Posting:
    said = payloads.TransferStock(item_id=item, lot_id=lot, from_location_id=source, to_location_id=target)
    said.transfer_reason, said.is_held = "cracked", is_held
    said.quantity.CopyFrom(quantity(value, unit_of(erp.plant_id, item)))
    key = f"transfer/app-{erp.plant_id}/move/{next(NUMBERS)}"
    return Posting(key, erp.plant_id, f"erp-{erp.plant_id}", "transfer_stock", "lot", key, said)


@pytest.mark.parametrize(("value", "left"), [("-1", 3), ("2.000", 6)])
async def test_an_adjustment_is_booked_once_though_the_process_dies_after_each_change(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str, value: str, left: int
) -> None:
    said = adjustment(erp, item, lot, value)
    survived: set[str] = set()
    for _ in range(12):
        mortal = MortalClient(erp.settings(), survived)
        try:
            await as_the_machine_does(posting_kinds(mortal)["adjust_stock"], said)
            break
        except NoAnswer:
            continue
        finally:
            await mortal.close()
    assert f"{SHIPMENT}.create" in survived
    await as_the_machine_does(kinds["adjust_stock"], said)
    assert planner.stock(item, lot) == left
    (made,) = planner.search(SHIPMENT, [["reference", "=", said.key]], "state")
    assert made["state"] == "done"
    (note,) = planner.search("ir.note", [["resource", "=", f"{SHIPMENT},{made['id']}"]], "message")
    assert note["message"] == "Adjusted at warehouse: counted"
    found = await kinds["adjust_stock"].find(said)
    assert found is not None
    assert found.answer["moved"] == value.removeprefix("-").removesuffix(".000")


async def test_the_books_have_both_under_our_documents(
    erp: ErpServer, client: TrytonClient, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    """What reconciliation compares: each amount over the stock's border, by the document's id."""
    said = [adjustment(erp, item, lot, "-1"), transfer(erp, item, lot, "warehouse", "scrap", "2")]
    for posting in said:
        await post(kinds[posting.kind], posting)
    lines = await TrytonBooks(client).bookings(erp.plant_id, 0, 10_000)
    of_lot = {line.document_id: (line.is_ours, str(line.quantity.value)) for line in lines if line.lot_id == lot}
    assert {posting.key: of_lot[posting.key] for posting in said} == {
        said[0].key: (True, "-1"),
        said[1].key: (True, "-2"),
    }


async def test_an_item_without_lots_is_adjusted(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    part = next(item.code for item, _ in SEEDS[erp.plant_id].components if not item.is_lot_tracked)
    planner.count(part, "", "50")
    await post(kinds["adjust_stock"], adjustment(erp, part, "", "-3", "storage"))
    await post(kinds["adjust_stock"], adjustment(erp, part, "", "5", "storage"))
    assert planner.stock(part) == 52


async def test_a_lot_goes_to_scrap_and_comes_back(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    said = transfer(erp, item, lot, "output", "scrap", "3")
    for _ in range(2):
        await as_the_machine_does(kinds["transfer_stock"], said)
    assert planner.stock(item, lot) == 1
    await post(kinds["transfer_stock"], transfer(erp, item, lot, "scrap", "output", "2"))
    assert planner.stock(item, lot) == 3


async def test_a_held_lot_is_changed_where_it_stands(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    hold = payloads.HoldLot(item_id=item, lot_id=lot)
    key = f"{lot}/hold-1"
    await post(kinds["hold_lot"], Posting(key, erp.plant_id, f"erp-{erp.plant_id}", "hold_lot", "lot", key, hold))
    await post(kinds["adjust_stock"], adjustment(erp, item, lot, "-1", is_held=True))
    await post(kinds["transfer_stock"], transfer(erp, item, lot, "warehouse", "scrap", is_held=True))
    assert (planner.stock(item, lot), planner.stock(item, lot, "hold")) == (0, 2)


async def test_what_the_erp_does_not_tell_apart_is_acknowledged_with_a_figure_that_says_so(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    said = transfer(erp, item, lot, "output", "warehouse")
    assert await post(kinds["transfer_stock"], said) == {
        "moved": "0",
        "erp_stock": "output and warehouse are one location in this ERP",
    }
    scrap = adjustment(erp, item, lot, "-1", "scrap")
    assert (await post(kinds["adjust_stock"], scrap))["erp_stock"] == "scrap is not counted by this ERP"
    assert planner.stock(item, lot) == 4
    references = [said.key, scrap.key]
    assert planner.search(SHIPMENT, [["reference", "in", references]], "state") == []


async def test_more_than_the_erp_has_is_not_booked(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    said = adjustment(erp, item, lot, "-5")
    with pytest.raises(NotYet) as early:
        await as_the_machine_does(kinds["adjust_stock"], said)
    assert "4 of 5" in str(early.value)
    planner.count(item, lot, "5")
    await as_the_machine_does(kinds["adjust_stock"], said)
    assert planner.stock(item, lot) == 0


async def test_a_draft_that_another_user_cancelled_is_refused(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str, lot: str
) -> None:
    said = adjustment(erp, item, lot, "-1")
    foreign_id = await kinds["adjust_stock"].draft(said)
    (made,) = planner.search(SHIPMENT, [["reference", "=", said.key]], "state")
    planner.call(SHIPMENT, "cancel", [made["id"]])
    with pytest.raises(Refused) as refusal:
        await kinds["adjust_stock"].read(said, foreign_id)
    assert refusal.value.reason == "ERP_SHIPMENT_CANCELLED"
    assert planner.stock(item, lot) == 4
