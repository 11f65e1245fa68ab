"""Corrections and deliveries in the real ERPs: what is booked, what is refused, and what a repetition does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from deploy.local.tryton.plants import SEEDS
from servicekit.postings import NotYet, PostingKind, Refused
from services.gateway.erp.tryton import TrytonReader
from services.gateway.erp.tryton_client import TrytonClient
from tests.gateway.erp.conftest import ErpServer
from tests.gateway.erp.machine import complete, fresh_lot, post
from tests.gateway.erp.payloads import completion, correction, shipping, totals, used_for
from tests.gateway.erp.user import TrytonUser

pytestmark = pytest.mark.flow


async def test_output_goes_out_of_stock_and_components_come_back_once(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    _, number = planner.released_order("3")
    lot = fresh_lot()
    await complete(kinds, erp.plant_id, number, lot, "3")
    used = used_for(erp.plant_id, "1")
    back = [(code, part, f"-{value}") for code, part, value in used]
    posting = correction(erp.plant_id, number, "C-1", totals(erp.plant_id, {lot: "-1"}, back))
    before = {(code, part): planner.stock(code, part) for code, part, _ in used}
    kind = kinds["correct_work_order"]
    assert await kind.find(posting) is None

    await kind.draft(posting)
    await post(kind, posting)  # the draft is found, not made twice
    await kind.book(posting, posting.key)

    assert planner.stock(item, lot) == 2
    assert {(c, p): planner.stock(c, p) - before[c, p] for c, p, _ in used} == {(c, p): Decimal(q) for c, p, q in used}
    made = planner.search("stock.shipment.internal", [["reference", "like", f"{posting.key}/%"]], "state")
    assert [shipment["state"] for shipment in made] == ["done", "done"]
    found = await kind.find(posting)
    assert found is not None
    assert found.is_booked


async def test_what_left_stock_in_the_meantime_is_refused_and_nothing_is_booked_for_it(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    lot = fresh_lot()
    planner.count(item, lot, "0")
    code, part, _ = used_for(erp.plant_id, "1")[0]
    posting = correction(erp.plant_id, "1", "C-2", totals(erp.plant_id, {lot: "-1"}, [(code, part, "-1")]))
    before = planner.stock(code, part)
    with pytest.raises(Refused) as refusal:
        await post(kinds["correct_work_order"], posting)
    assert refusal.value.reason == "ERP_STOCK_SHORT"
    assert planner.stock(code, part) == before
    planner.count(item, lot, "1")
    await post(kinds["correct_work_order"], posting)
    assert planner.stock(item, lot) == 0


async def test_a_corrected_correction_is_written_over_its_draft(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    lot = fresh_lot()
    planner.count(item, lot, "3")
    kind = kinds["correct_work_order"]
    await kind.draft(correction(erp.plant_id, "1", "C-3", totals(erp.plant_id, {lot: "-3"}, [])))
    posting = correction(erp.plant_id, "1", "C-3", totals(erp.plant_id, {lot: "-2"}, []))
    assert await kind.find(posting) is None
    await post(kind, posting)
    assert planner.stock(item, lot) == 1


async def test_a_delivery_leaves_with_its_lots_and_keeps_its_price(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    one, two = fresh_lot(), fresh_lot()
    planner.count(item, one, "2")
    planner.count(item, two, "5")
    delivery, number = planner.delivery("5")
    posting = shipping(erp.plant_id, number, {one: "2", two: "3"})
    kind = kinds["ship_delivery"]
    assert await kind.find(posting) is None

    answer = await post(kind, posting)
    await kind.book(posting, str(delivery))

    assert answer == {"erp_delivery": number}
    assert planner.state("stock.shipment.out", delivery) == "done"
    outgoing = planner.read("stock.shipment.out", delivery, "outgoing_moves")["outgoing_moves"]
    assert planner.sums(outgoing) == {(item, one): 2, (item, two): 3}
    price = Decimal(SEEDS[erp.plant_id].product.cost) * 2
    assert {Decimal(move["unit_price"]["decimal"]) for move in planner.moves(outgoing)} == {price}
    assert (planner.stock(item, one), planner.stock(item, two)) == (0, 2)


async def test_a_delivery_in_picking_still_says_what_the_customer_gets(
    erp: ErpServer, planner: TrytonUser, client: TrytonClient, kinds: dict[str, PostingKind], item: str
) -> None:
    """Picking two lots splits its outgoing line. Read between a poll's two requests, it must not look like another one."""
    one, two = fresh_lot(), fresh_lot()
    planner.count(item, one, "2")
    planner.count(item, two, "3")
    delivery, number = planner.delivery("5")
    await kinds["ship_delivery"].draft(shipping(erp.plant_id, number, {one: "2", two: "3"}))
    planner.call("stock.shipment.out", "pick", [delivery])
    assert len(planner.read("stock.shipment.out", delivery, "outgoing_moves")["outgoing_moves"]) > 1
    (shipment,) = await TrytonReader(erp.plant_id, client)._shipments([delivery])
    assert [(line.item_id, line.quantity.value) for line in shipment.lines] == [(item, "5")]


async def test_lots_that_are_not_there_yet_are_waited_for(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    lot = fresh_lot()
    planner.count(item, lot, "1")
    _, number = planner.delivery("2")
    posting = shipping(erp.plant_id, number, {lot: "2"})
    for _ in range(2):
        with pytest.raises(NotYet):
            await kinds["ship_delivery"].draft(posting)
    planner.count(item, lot, "2")
    await post(kinds["ship_delivery"], posting)


async def test_a_delivery_of_a_sale_waits_for_its_production_and_its_picking_moves_are_not_touched_before(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    lot = fresh_lot()
    sale, order = planner.sold("2")
    (sold,) = planner.search("sale.sale", [["number", "=", sale]], "shipments")
    shipment = planner.read("stock.shipment.out", sold["shipments"][0], "number", "inventory_moves")
    posting = shipping(erp.plant_id, shipment["number"], {lot: "2"})
    with pytest.raises(NotYet, match="made for"):
        await kinds["ship_delivery"].draft(posting)
    after = planner.read("stock.shipment.out", shipment["id"], "inventory_moves")["inventory_moves"]
    assert after == shipment["inventory_moves"]
    said = totals(erp.plant_id, {lot: "2"}, used_for(erp.plant_id, "2"))
    number = str(planner.read("production", order, "number")["number"])
    await post(kinds["complete_work_order"], completion(erp.plant_id, number, said))
    await post(kinds["ship_delivery"], posting)
    assert planner.state("stock.shipment.out", shipment["id"]) == "done"


async def test_a_delivery_that_a_user_picked_with_another_lot_is_refused(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    ours, theirs = fresh_lot(), fresh_lot()
    planner.count(item, ours, "1")
    planner.count(item, theirs, "1")
    delivery, number = planner.delivery("1")
    await kinds["ship_delivery"].draft(shipping(erp.plant_id, number, {theirs: "1"}))
    planner.call("stock.shipment.out", "pick", [delivery])
    with pytest.raises(Refused) as refusal:
        await post(kinds["ship_delivery"], shipping(erp.plant_id, number, {ours: "1"}))
    assert refusal.value.reason == "ERP_DELIVERY_DIFFERS"
    assert planner.state("stock.shipment.out", delivery) == "picked"


async def test_a_delivery_cut_off_between_its_buttons_is_finished(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    lot = fresh_lot()
    planner.count(item, lot, "1")
    delivery, number = planner.delivery("1")
    posting = shipping(erp.plant_id, number, {lot: "1"})
    await kinds["ship_delivery"].draft(posting)
    for button in ("pick", "pack"):
        planner.call("stock.shipment.out", button, [delivery])
    found = await kinds["ship_delivery"].find(posting)
    assert found is not None
    assert not found.is_booked
    await kinds["ship_delivery"].book(posting, found.foreign_id)
    assert planner.state("stock.shipment.out", delivery) == "done"
