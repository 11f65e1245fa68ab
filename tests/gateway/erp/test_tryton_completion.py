"""Completion of orders in the real ERPs: what is booked, what is refused, and what a repetition or a silence does."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from deploy.local.tryton.plants import SEEDS
from servicekit.postings import Away, NoAnswer, NotYet, PostingKind, Refused
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_postings import posting_kinds
from tests.gateway.erp.conftest import ErpServer
from tests.gateway.erp.machine import MortalClient, as_the_machine_does, complete, fresh_lot, post
from tests.gateway.erp.payloads import completion, totals, used_for
from tests.gateway.erp.user import TrytonUser
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.flow


async def test_an_order_is_done_with_lot_scrap_consumption_and_labour_cost(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    order, number = planner.released_order("5")
    lot, used = fresh_lot(), used_for(erp.plant_id, "5")
    before = {(code, part): planner.stock(code, part) for code, part, _ in used}
    said = totals(erp.plant_id, {lot: "4"}, used, scrap="1", labour={10: "1800", 20: "90.5"})
    scrapped = planner.stock(item, place="scrap")

    answer = await post(kinds["complete_work_order"], completion(erp.plant_id, number, said))

    assert (answer["erp_order"], answer["good"], answer["scrap"], answer["lots"]) == (number, "4", "1", lot)
    assert planner.state("production", order) == "done"
    assert planner.stock(item, lot) == 4
    assert planner.stock(item, place="scrap") - scrapped == 1
    assert {(c, p): before[c, p] - planner.stock(c, p) for c, p, _ in used} == {(c, p): Decimal(q) for c, p, q in used}
    seed = SEEDS[erp.plant_id]
    parts = sum(Decimal(part.cost) * Decimal(each) * 5 for part, each in seed.components)
    hours = [Decimal(1800) / 3600, Decimal("90.5") / 3600]
    labour = sum(Decimal(cost) * spent for (*_, cost), spent in zip(seed.operations, hours, strict=False))
    assert abs(Decimal(answer["cost"]) - (parts + labour)) < Decimal("0.01")


async def test_more_than_planned_from_two_lots_into_two_lots(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    order, number = planner.released_order("3")
    (first, _), (second, _) = SEEDS[erp.plant_id].components[0][0].opening
    tracked = SEEDS[erp.plant_id].components[0][0].code
    used = [(tracked, first, "3"), (tracked, second, "2"), *used_for(erp.plant_id, "5")[1:]]
    one, two = fresh_lot(), fresh_lot()

    await post(
        kinds["complete_work_order"],
        completion(erp.plant_id, number, totals(erp.plant_id, {one: "3", two: "2"}, used)),
    )

    record = planner.read("production", order, "inputs", "outputs")
    assert planner.sums(record["inputs"]) == {(code, part): Decimal(value) for code, part, value in used}
    assert planner.sums(record["outputs"]) == {(item, one): 3, (item, two): 2}


async def test_components_that_were_not_used_leave_the_order(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    order, number = planner.released_order("2")
    used = used_for(erp.plant_id, "2")[:1]
    await post(
        kinds["complete_work_order"],
        completion(erp.plant_id, number, totals(erp.plant_id, {fresh_lot(): "2"}, used)),
    )
    assert set(planner.sums(planner.read("production", order, "inputs")["inputs"])) == {used[0][:2]}


async def test_an_order_of_which_nothing_was_good_is_all_scrap(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    order, number = planner.released_order("2")
    said = totals(erp.plant_id, {}, used_for(erp.plant_id, "2"), scrap="2")
    before = planner.stock(item)
    answer = await post(kinds["complete_work_order"], completion(erp.plant_id, number, said))
    assert (answer["good"], answer["scrap"]) == ("0", "2")
    assert planner.state("production", order) == "done"
    assert planner.stock(item) == before


async def test_an_order_that_a_user_assigned_is_booked_with_what_was_really_used(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    order, number = planner.released_order("4")
    planner.call("production", "assign_try", [order])
    assert planner.state("production", order) == "assigned"
    await complete(kinds, erp.plant_id, number, fresh_lot(), "3")
    used = planner.sums(planner.read("production", order, "inputs")["inputs"])
    assert used == {(code, part): Decimal(value) for code, part, value in used_for(erp.plant_id, "3")}


async def test_an_order_that_a_user_ran_with_other_components_is_refused_before_anything_is_booked_on_top(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    order, number = planner.released_order("2")
    tracked, _, _ = used_for(erp.plant_id, "2")[0]
    for move in planner.moves(planner.read("production", order, "inputs")["inputs"]):
        if move["product."]["code"] == tracked:
            second = SEEDS[erp.plant_id].components[0][0].opening[1][0]
            planner.call("stock.move", "write", [move["id"]], {"lot": planner.lot(tracked, second)})
    planner.call("production", "assign_try", [order])
    planner.call("production", "run", [order])
    with pytest.raises(Refused) as refusal:
        await complete(kinds, erp.plant_id, number, fresh_lot(), "2")
    assert refusal.value.reason == "ERP_ORDER_DIFFERS"
    assert planner.state("production", order) == "running"


async def test_an_order_that_a_user_completed_otherwise_is_refused(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    order, number = planner.released_order("3")
    lot = fresh_lot()
    await complete(kinds, erp.plant_id, number, lot, "3")
    other = completion(erp.plant_id, number, totals(erp.plant_id, {lot: "2"}, used_for(erp.plant_id, "3")))
    with pytest.raises(Refused) as refusal:
        await kinds["complete_work_order"].find(other)
    assert refusal.value.reason == "ERP_ORDER_DIFFERS"
    assert f"lot {lot}: ERP 3, plant 2" in refusal.value.text
    assert planner.state("production", order) == "done"


async def test_a_completion_cut_off_after_every_step_books_everything_once(
    erp: ErpServer, planner: TrytonUser, item: str
) -> None:
    """The process dies after each change in the ERP in turn, and the machine looks and goes on each time."""
    order, number = planner.released_order("4")
    lot = fresh_lot()
    said = totals(erp.plant_id, {lot: "3"}, used_for(erp.plant_id, "4"), scrap="1", labour={10: "60"})
    posting = completion(erp.plant_id, number, said)
    survived: set[str] = set()
    for _ in range(30):
        mortal = MortalClient(erp.settings(), survived)
        try:
            await as_the_machine_does(posting_kinds(mortal)["complete_work_order"], posting)
            break
        except NoAnswer:
            continue
        finally:
            await mortal.close()
    assert {"production.run", "production.work.cycle.write", f"production.{planner.finish}"} <= survived
    assert planner.stock(item, lot) == 3
    record = planner.read("production", order, "inputs", "outputs", "works", "state")
    assert record["state"] == "done"
    assert planner.sums(record["inputs"]) == {(c, p): Decimal(q) for c, p, q in used_for(erp.plant_id, "4")}
    assert sum(planner.sums(record["outputs"]).values()) == 4
    assert len(planner.lots(item, lot)) == 1
    cycles = planner.search("production.work.cycle", [["work", "in", record["works"]]], "state")
    assert [cycle["state"] for cycle in cycles] == ["done"] * len(record["works"])


async def test_half_a_draft_is_not_taken_for_a_draft(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    """Running, but its output is still the planned one without a lot: booking that would be wrong."""
    order, number = planner.released_order("4")
    posting = completion(erp.plant_id, number, totals(erp.plant_id, {fresh_lot(): "3"}, used_for(erp.plant_id, "4")))
    kind = kinds["complete_work_order"]
    await kind.draft(posting)
    outputs = planner.read("production", order, "outputs")["outputs"]
    planner.call("stock.move", "write", outputs[:1], {"lot": None, "quantity": 4.0})
    assert await kind.find(posting) is None
    with pytest.raises(NoAnswer):
        await kind.book(posting, str(order))
    assert planner.state("production", order) == "running"


async def test_booking_again_and_four_at_once_books_the_stock_once(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], item: str
) -> None:
    _, number = planner.released_order("4")
    lot = fresh_lot()
    posting = completion(erp.plant_id, number, totals(erp.plant_id, {lot: "4"}, used_for(erp.plant_id, "4")))
    kind = kinds["complete_work_order"]
    foreign_id = await kind.draft(posting)
    answers = await asyncio.gather(*(kind.book(posting, foreign_id) for _ in range(4)), return_exceptions=True)
    assert all(answer is None or isinstance(answer, Refused | NoAnswer) for answer in answers)
    await kind.book(posting, foreign_id)
    assert (await kind.read(posting, foreign_id)).is_booked
    assert planner.stock(item, lot) == 4


@pytest.mark.parametrize("which", ["item with lots", "item without lots"])
async def test_components_that_are_not_there_yet_are_waited_for(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], which: str
) -> None:
    """6.0 assigns by item and would take a lot below zero; a short assignment splits the move, which then heals."""
    order, number = planner.released_order("3")
    tracked, loose = (component.code for component, _ in SEEDS[erp.plant_id].components[:2])
    used = used_for(erp.plant_id, "3")
    short, late, amount = tracked, f"LATE-{erp.plant_id}", used[0][2]
    if which == "item without lots":
        short, late, amount = loose, "", used[1][2]
    used = [(short, late, amount) if code == short else (code, lot, value) for code, lot, value in used]
    planner.count(short, late, "1")
    posting = completion(erp.plant_id, number, totals(erp.plant_id, {fresh_lot(): "3"}, used))
    for _ in range(2):  # the second time an assigned part of the split move stands in the way
        with pytest.raises(NotYet):
            await kinds["complete_work_order"].draft(posting)
    planner.count(short, late, "10000")
    await post(kinds["complete_work_order"], posting)
    assert planner.sums(planner.read("production", order, "inputs")["inputs"])[short, late] == Decimal(amount)


async def test_labour_for_an_operation_that_the_erp_does_not_have_is_refused(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind]
) -> None:
    order, number = planner.released_order("1")
    said = totals(erp.plant_id, {fresh_lot(): "1"}, used_for(erp.plant_id, "1"), labour={90: "60"})
    with pytest.raises(Refused) as refusal:
        await kinds["complete_work_order"].draft(completion(erp.plant_id, number, said))
    assert refusal.value.reason == "ERP_OPERATION_MISSING"
    assert planner.state("production", order) == "waiting"


@pytest.mark.parametrize("state", ["draft", "cancelled"])
async def test_an_order_that_was_taken_back_is_refused(
    erp: ErpServer, planner: TrytonUser, kinds: dict[str, PostingKind], state: str
) -> None:
    order, number = planner.released_order("1")
    planner.call("production", {"draft": "draft", "cancelled": "cancel"}[state], [order])
    with pytest.raises(Refused) as refusal:
        await complete(kinds, erp.plant_id, number, fresh_lot(), "1")
    assert refusal.value.reason == "ERP_ORDER_NOT_OPEN"
    assert state in refusal.value.text


async def test_an_unknown_order_is_refused(erp: ErpServer, kinds: dict[str, PostingKind]) -> None:
    with pytest.raises(Refused) as refusal:
        await complete(kinds, erp.plant_id, "no-such", fresh_lot(), "1")
    assert refusal.value.reason == "ERP_ORDER_MISSING"


async def test_a_time_out_tells_nothing_and_the_state_tells_what_was_done(
    erp: ErpServer, planner: TrytonUser, client: TrytonClient, item: str
) -> None:
    """The server is frozen with the request in its hands, and does it when it thaws."""
    _, number = planner.released_order("2")
    lot = fresh_lot()
    posting = completion(erp.plant_id, number, totals(erp.plant_id, {lot: "2"}, used_for(erp.plant_id, "2")))
    kind = posting_kinds(client)["complete_work_order"]
    foreign_id = await kind.draft(posting)
    hasty = TrytonClient(erp.settings(), timeout=0.3)
    await hasty.connect()
    erp.freeze()
    try:
        with pytest.raises(NoAnswer):
            await hasty.model("production", client.dialect.finish_production, [int(foreign_id)])
    finally:
        erp.thaw()
        await hasty.close()

    async def is_booked() -> bool:
        found = await kind.find(posting)
        return found is not None and found.is_booked

    assert await eventually(is_booked)
    assert planner.stock(item, lot) == 2


async def test_a_server_that_is_not_there_was_certainly_not_asked(erp: ErpServer) -> None:
    absent = TrytonClient(erp.settings(url=f"http://127.0.0.1:{free_port()}"))
    posting = completion(erp.plant_id, "1", totals(erp.plant_id, {}, []))
    with pytest.raises(Away):
        await posting_kinds(absent)["complete_work_order"].find(posting)
    await absent.close()
