"""Reading the real ERPs: what is released, what changed, and what belongs to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from deploy.local.tryton.plants import SEEDS
from services.gateway.erp.canonical import Changes, ErpOrder, ErpState
from services.gateway.erp.tryton import OVERLAP, TrytonReader, read_watermark
from services.gateway.erp.tryton_client import TrytonClient
from tests.gateway.erp.conftest import ErpServer
from tests.gateway.erp.payloads import unit_of
from tests.gateway.erp.user import TrytonUser, instant, tagged_date, today
from tests.support.eventually import eventually

pytestmark = pytest.mark.flow


@pytest.fixture
def reader(erp: ErpServer, client: TrytonClient) -> TrytonReader:
    return TrytonReader(erp.plant_id, client)


def named(changes: Changes, number: str) -> ErpOrder | None:
    return next((order for order in changes.orders if order.work_order.erp_order_number == number), None)


async def quiet(reader: TrytonReader, changes: Changes) -> Changes:
    """The next changes, once the overlap repeats nothing of before."""

    async def look() -> Changes | None:
        seen = await reader.changes(changes.watermark)
        return seen if seen.watermark != changes.watermark else None

    return await eventually(look)


async def test_a_released_order_comes_with_all_that_its_plant_needs(
    erp: ErpServer, planner: TrytonUser, reader: TrytonReader
) -> None:
    seed = SEEDS[erp.plant_id]
    _, number = planner.released_order("4")
    order = await reader.order(number)
    assert order is not None
    said = order.work_order
    assert order.state is ErpState.RELEASED
    assert (said.plant_id, said.erp_order_number, said.item_id) == (erp.plant_id, number, seed.product.code)
    assert (said.planned_quantity.value, said.planned_quantity.unit_code) == ("4", "C62")
    assert [(o.sequence, o.description, o.work_centre_id) for o in said.operations] == [
        (10 * n, name, centre) for n, (name, centre, *_) in enumerate(seed.operations, 1)
    ]
    assert {(c.item_id, Decimal(c.quantity.value), c.quantity.unit_code) for c in said.components} == {
        (item.code, Decimal(each) * 4, unit_of(erp.plant_id, item.code)) for item, each in seed.components
    }
    assert {(i.item_id, i.description, i.is_lot_tracked) for i in order.items} == {
        (i.code, i.name, i.is_lot_tracked) for i in (seed.product, *(item for item, _ in seed.components))
    }
    bill = order.bill_of_materials
    assert bill is not None
    assert bill.bill_of_materials_id == said.bill_of_materials_id
    assert {(c.item_id, Decimal(c.quantity.value)) for c in bill.components} == {
        (item.code, Decimal(each)) for item, each in seed.components
    }
    assert order.routing is not None
    assert [o.description for o in order.routing.operations] == [name for name, *_ in seed.operations]


async def test_the_first_look_brings_every_open_order_and_delivery_and_no_draft(
    erp: ErpServer, planner: TrytonUser, reader: TrytonReader
) -> None:
    """On 8.0 a draft has no number yet; on 6.0 it has one, and is no released order all the same."""
    draft = planner.draft_order("9", "DRAFT-SEEN")
    assert (planner.read("production", draft, "number")["number"] is None) == planner.is_new
    changes = await reader.changes("")
    released = {o["number"] for o in planner.search("production", [["state", "in", ["waiting", "assigned"]]], "number")}
    assert {o.work_order.erp_order_number for o in changes.orders} == released
    open_now = planner.search("stock.shipment.out", [["state", "in", ["waiting", "assigned"]]], "number")
    assert {s.erp_delivery_number for s in changes.shipments} == {delivery["number"] for delivery in open_now}
    shipment = next(s for s in changes.shipments if s.erp_delivery_number == erp.seed["deliveries"][0]["number"])
    assert [(line.item_id, line.quantity.value) for line in shipment.lines] == [
        (SEEDS[erp.plant_id].product.code, SEEDS[erp.plant_id].sales[0])
    ]
    assert shipment.customer_name.startswith("Stadtwerke")


async def test_an_order_says_for_which_sale_it_is_made_and_one_made_to_stock_says_none(
    erp: ErpServer, planner: TrytonUser, reader: TrytonReader
) -> None:
    number, order = planner.sold("3")
    seen = await reader.order(str(planner.read("production", order, "number")["number"]))
    assert seen is not None
    demand = seen.work_order.demand
    assert (demand.sales_order_number, demand.partner_id) == (number, "CUST-100")
    assert demand.HasField("requested_date")
    assert seen.work_order.planned_quantity.value == "3"
    _, plain = planner.released_order("2")
    to_stock = await reader.order(plain)
    assert to_stock is not None
    assert not to_stock.work_order.HasField("demand")


async def test_orders_are_read_also_by_a_user_who_may_read_no_sales(
    planner: TrytonUser, erp: ErpServer, reader: TrytonReader
) -> None:
    (access,) = planner.search("ir.model.access", [["group.name", "=", "Sales orders, to read"]], "perm_read")
    planner.call("ir.model.access", "write", [access["id"]], {"perm_read": False})
    try:
        seen = await reader.order(erp.seed["orders"][0]["number"])
    finally:
        planner.call("ir.model.access", "write", [access["id"]], {"perm_read": True})
    assert seen is not None
    assert not seen.work_order.HasField("demand")


async def test_a_change_of_quantity_and_date_is_seen_and_the_watermark_is_the_erps(
    planner: TrytonUser, reader: TrytonReader
) -> None:
    order, number = planner.released_order("4")
    before = await reader.changes("")
    day = today() + timedelta(days=40)
    planner.call("production", "write", [order], {"quantity": 3.0, "planned_date": tagged_date(day)})
    changes = await reader.changes(before.watermark)
    seen = named(changes, number)
    assert seen is not None
    assert seen.work_order.planned_quantity.value == "3"
    due = seen.work_order.due_date
    assert date(due.year, due.month, due.day) == day
    stamp = instant(planner.read("production", order, "write_date")["write_date"])
    assert read_watermark(changes.watermark)["orders"] == stamp


async def test_a_cancelled_order_is_seen_as_cancelled(planner: TrytonUser, reader: TrytonReader) -> None:
    order, number = planner.released_order("2")
    before = await reader.changes("")
    planner.call("production", "cancel", [order])
    seen = named(await reader.changes(before.watermark), number)
    assert seen is not None
    assert seen.state is ErpState.CANCELLED


async def test_a_changed_component_is_seen_though_its_order_keeps_its_stamp(
    planner: TrytonUser, reader: TrytonReader
) -> None:
    order, number = planner.released_order("2")
    stamp = planner.read("production", order, "write_date")["write_date"]
    move = planner.moves(planner.read("production", order, "inputs")["inputs"])[0]
    changed = Decimal(move["quantity"]) + 1
    before = await reader.changes("")
    latest = read_watermark(before.watermark)["moves"]
    await eventually(lambda: datetime.now(UTC) > latest + timedelta(seconds=1))  # 6.0 stamps whole seconds
    planner.call("stock.move", "write", [move["id"]], {"quantity": changed})
    assert planner.read("production", order, "write_date")["write_date"] == stamp

    changes = await quiet(reader, before)

    seen = named(changes, number)
    assert seen is not None
    said = {c.item_id: Decimal(c.quantity.value) for c in seen.work_order.components}
    assert said[move["product."]["code"]] == changed
    assert read_watermark(changes.watermark)["orders"] == read_watermark(before.watermark)["orders"]


async def test_a_split_component_is_one_allocation(erp: ErpServer, planner: TrytonUser, reader: TrytonReader) -> None:
    """A short assignment splits the move in the ERP."""
    order, number = planner.released_order("3")
    code = SEEDS[erp.plant_id].components[1][0].code
    planner.count(code, "", "1")
    planner.call("production", "assign_try", [order])
    planner.count(code, "", "10000")
    moves = planner.moves(planner.read("production", order, "inputs")["inputs"])
    parts = [Decimal(move["quantity"]) for move in moves if move["product."]["code"] == code]
    assert len(parts) == 2
    seen = await reader.order(number)
    assert seen is not None
    assert [c.quantity.value for c in seen.work_order.components if c.item_id == code] == [
        f"{sum(parts):f}".rstrip("0").rstrip(".")
    ]


async def test_a_record_that_was_never_written_is_found_by_its_creation(
    planner: TrytonUser, reader: TrytonReader
) -> None:
    """Its write_date is null in every release."""
    before = await reader.changes("")
    values = {
        "number": f"NEVER-{datetime.now(UTC):%H%M%S%f}",
        "product": planner.seed["products"][planner.seed["item"]],
    }
    (lot,) = planner.call("stock.lot", "create", [values])
    stamps = planner.read("stock.lot", lot, "write_date", "create_date")
    assert stamps["write_date"] is None
    found = await reader._stamped("stock.lot", read_watermark(before.watermark)["orders"], ["id", "=", lot])
    assert [record["id"] for record in found] == [lot]


async def test_the_overlap_repeats_what_is_young_and_nothing_else(planner: TrytonUser, reader: TrytonReader) -> None:
    order, number = planner.released_order("2")
    changes = await reader.changes("")
    again = await reader.changes(changes.watermark)
    assert named(again, number) is not None
    assert again.watermark == changes.watermark
    stamp = read_watermark(changes.watermark)["orders"]
    for seen in again.orders:
        domain = [["number", "=", seen.work_order.erp_order_number]]
        (record,) = planner.search("production", domain, "write_date", "create_date", "inputs")
        moves = planner.search("stock.move", [["id", "in", record["inputs"]]], "write_date", "create_date")
        youngest = max(
            filter(None, (instant(r[name]) for r in (record, *moves) for name in ("write_date", "create_date")))
        )
        assert youngest >= stamp - OVERLAP
    assert planner.state("production", order) == "waiting"


async def test_a_deleted_order_is_gone_without_a_change(planner: TrytonUser, reader: TrytonReader) -> None:
    """Deletion leaves nothing to poll: only a look by number finds out."""
    order, number = planner.released_order("2")
    before = await reader.changes("")
    for button in ("draft", "cancel"):
        planner.call("production", button, [order])
    planner.call("production", "delete", [order])
    assert named(await reader.changes(before.watermark), number) is None
    assert await reader.order(number) is None


async def test_stock_is_counted_by_item_and_lot_and_needs_its_places(
    erp: ErpServer, planner: TrytonUser, reader: TrytonReader
) -> None:
    code = SEEDS[erp.plant_id].components[0][0].code
    planner.count(code, "COUNTED", "7")
    lines = {(line.item_id, line.lot_id): line.quantity for line in await reader.stock()}
    assert (lines[code, "COUNTED"].value, lines[code, "COUNTED"].unit_code) == (7, "C62")
    weighed = SEEDS[erp.plant_id].components[2][0].code
    assert (lines[weighed, ""].value, lines[weighed, ""].unit_code) == (10000, "KGM")
    assert (code, "") not in lines
    without_places = planner.read("stock.lot", planner.lot(code, "COUNTED"), "quantity")
    assert without_places["quantity"] in (0, None)


async def test_an_order_in_an_unknown_unit_does_not_hide_the_others(planner: TrytonUser, reader: TrytonReader) -> None:
    order, number = planner.released_order("2")
    _, healthy = planner.released_order("3")
    piece = planner.search("product.uom", [["symbol", "=", "u"]], "category")[0]
    values = {
        "name": "Pack of 4",
        "symbol": "p4",
        "category": piece["category"],
        "factor": 4.0,
        "rate": 0.25,
        "digits": 2,
    }
    pack = planner.call("product.uom", "create", [values])[0]
    planner.call("production", "write", [order], {planner.unit: pack})
    try:
        changes = await reader.changes("")
        assert named(changes, number) is None
        assert named(changes, healthy) is not None
    finally:
        planner.call("production", "cancel", [order])


async def test_a_poll_costs_the_same_for_many_orders(planner: TrytonUser, client: TrytonClient, erp: ErpServer) -> None:
    for _ in range(2):
        planner.released_order("1")
    before = client._number
    changes = await TrytonReader(erp.plant_id, client).changes("")
    assert len(changes.orders) > 6
    assert client._number - before <= 16
