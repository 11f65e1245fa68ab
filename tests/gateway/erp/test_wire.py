"""How the releases differ on the wire and in their manners, asked of the real servers; and what the adapter makes of it."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.local.tryton.plants import SEEDS
from servicekit import foreign
from servicekit.postings import Away, Refused
from services.gateway.erp.tryton_client import Stale, TrytonClient, read_json
from services.gateway.erp.tryton_dialects import DIALECTS
from services.gateway.erp.tryton_postings import posting_kinds
from tests.gateway.erp.conftest import ErpServer
from tests.gateway.erp.payloads import completion, totals, used_for
from tests.gateway.erp.samples import SAMPLES, recorded, shape
from tests.gateway.erp.user import ErpError, TrytonUser, instant, tagged_date, today
from tests.support.eventually import eventually

pytestmark = pytest.mark.flow


async def running(planner: TrytonUser, client: TrytonClient, plant_id: str, number: str, lot: str) -> int:
    """The id of an order that is drafted with us: running, its works done, its output not yet booked."""
    said = totals(plant_id, {lot: "1"}, used_for(plant_id, "1"))
    return int(await posting_kinds(client)["complete_work_order"].draft(completion(plant_id, number, said)))


# --- the wire


def test_the_path_of_the_other_release_is_not_allowed(raw: TrytonUser) -> None:
    other = "/erp/" if raw.is_new else "/erp/rpc/"
    assert raw.post(other, "model.res.user.get_preferences", [True, {}]).status == 405


async def test_the_release_is_found_by_asking_the_newest_path_first(erp: ErpServer, client: TrytonClient) -> None:
    """6.0 says its patch level, 8.0 its series only."""
    assert client.version.startswith(erp.series)
    assert (client.version == erp.series) == (erp.series == "8.0")
    assert client.dialect is DIALECTS[int(erp.series[0])]


async def test_postings_at_once_that_need_a_new_lot_make_one_of_it(erp: ErpServer, client: TrytonClient) -> None:
    """Tryton makes the same number twice: an output's lot and its delivery's would be two, and the delivery wait for ever."""
    product, kinds = erp.seed["products"][erp.seed["item"]], posting_kinds(client)
    made = [kinds[kind]._lot(product, "ONCE-1") for kind in ("complete_work_order", "ship_delivery") * 5]
    assert len(set(await asyncio.gather(*made))) == 1
    assert (
        len(await client.model("stock.lot", "search_read", [["number", "=", "ONCE-1"]], 0, None, None, ["number"])) == 1
    )


async def test_what_it_is_asked_is_noted_without_the_users_session_and_context(
    erp: ErpServer, client: TrytonClient
) -> None:
    product = erp.seed["products"][erp.seed["item"]]
    requests: foreign.Requests = []
    with foreign.noting(requests):
        (lot,) = await client.model("stock.lot", "create", [{"number": "NOTED-1", "product": product}])
        await client.model("stock.lot", "read", [lot], ["number"])
    assert requests == [("stock.lot.create", f'[[{{"number": "NOTED-1", "product": {product}}}]]')]


def test_a_log_in_answers_two_elements_or_three(raw: TrytonUser) -> None:
    assert len(raw.login) == (3 if raw.is_new else 2)


def test_a_long_answer_of_8_says_gzip_in_its_header_also_when_it_is_plain(raw: TrytonUser) -> None:
    fields = ["name", "model"] if not raw.is_new else ["name", "string"]
    arguments = [[], 0, 60, None, fields, raw.context]
    plain = raw.post(raw.path, "model.ir.model.search_read", arguments, Accept_Encoding="identity")
    assert len(plain.body) > 1400
    assert (plain.headers.get("Content-Encoding") == "gzip") == raw.is_new
    assert plain.body[:1] == b"{"
    packed = raw.post(raw.path, "model.ir.model.search_read", arguments)
    assert (packed.body[:2] == b"\x1f\x8b") == raw.is_new
    assert read_json(plain.body)["result"] == read_json(packed.body)["result"]


async def test_the_unit_field_under_its_other_name_is_an_error_with_status_200(
    erp: ErpServer, raw: TrytonUser, client: TrytonClient
) -> None:
    other = "uom" if raw.is_new else "unit"
    answer = raw.ask("production", "search_read", [], 0, 1, None, [other])
    assert answer.status == 200
    assert other in str(answer.error)
    with pytest.raises(Refused) as refusal:
        await client.model("production", "search_read", [], 0, 1, None, [other])
    assert refusal.value.reason == "ERP_REFUSED"


async def test_a_method_that_is_not_there_is_a_fault_of_the_contract(raw: TrytonUser, client: TrytonClient) -> None:
    other = "done" if raw.is_new else "do"
    assert raw.ask("production", other, [1]).status == 403
    with pytest.raises(Refused) as refusal:
        await client.model("production", other, [1])
    assert refusal.value.reason == "ERP_CONTRACT_FAULT"


async def test_a_dead_session_is_logged_in_again_once(erp: ErpServer, raw: TrytonUser, client: TrytonClient) -> None:
    dead = TrytonUser(erp.seed, "gateway")
    dead.post(dead.path, "common.db.logout", [])
    assert dead.ask("res.user", "get_preferences", True).status == 401
    client._authorization = dead.headers["Authorization"]
    assert await client.model("production", "search_read", [], 0, 1, None, ["number"])
    assert client._authorization != dead.headers["Authorization"]


async def test_a_wrong_password_is_no_refusal_of_business_and_is_not_repeated_in_the_text(erp: ErpServer) -> None:
    stranger = TrytonClient(erp.settings(password="wrong-secret"))
    with pytest.raises(Away) as away:
        await stranger.connect()
    await stranger.close()
    assert "gateway" in str(away.value)
    assert "wrong-secret" not in str(away.value)


async def test_another_release_under_a_running_client_is_found_anew(erp: ErpServer, client: TrytonClient) -> None:
    client._dialect = DIALECTS[6 if erp.series == "8.0" else 8]
    with pytest.raises(Away):
        await client.model("production", "search_read", [], 0, 1, None, ["number"])
    assert await client.model("production", "search_read", [], 0, 1, None, ["number"])
    assert client.dialect is DIALECTS[int(erp.series[0])]


def test_what_was_recorded_is_what_the_server_says_today(raw: TrytonUser, planner: TrytonUser, tmp_path: Path) -> None:
    """The recordings under samples/ feed the fast tests: this keeps them honest."""
    order, _ = planner.released_order("4")
    said = recorded(raw, order)
    now = tmp_path / "order.json"
    now.write_text(json.dumps(said, indent=1, ensure_ascii=False, default=float) + "\n")
    sample = SAMPLES / raw.seed["series"] / "order.json"
    assert sample.exists(), f"no recording; today's: {now}"
    assert shape(json.loads(now.read_text())) == shape(json.loads(sample.read_text())), f"today's: {now}"


# --- manners


def test_a_button_in_the_wrong_state_does_nothing_or_is_refused(raw: TrytonUser, planner: TrytonUser) -> None:
    order, _ = planner.released_order("1")
    answer = raw.ask("production", "run", [order])
    assert answer.status == 200
    if raw.is_new:
        assert "You can not call" in str(answer.error)
    else:
        assert answer.json["result"] is None
    assert planner.state("production", order) == "waiting"


def test_the_answer_to_an_assignment_tells_only_on_6_and_the_lot_is_never_reserved(
    erp: ErpServer, planner: TrytonUser
) -> None:
    order, _ = planner.released_order("1")
    assert planner.call("production", "assign_try", [order]) is (None if planner.is_new else True)
    assert planner.state("production", order) == "assigned"
    tracked = SEEDS[erp.plant_id].components[0][0].code
    moves = planner.moves(planner.read("production", order, "inputs")["inputs"])
    assert [move["lot."] for move in moves if move["product."]["code"] == tracked] == [None]


def test_a_component_of_an_assigned_order_keeps_its_quantity(planner: TrytonUser) -> None:
    order, _ = planner.released_order("1")
    planner.call("production", "assign_try", [order])
    move = planner.moves(planner.read("production", order, "inputs")["inputs"])[0]
    with pytest.raises(ErpError, match="draft"):
        planner.call("stock.move", "write", [move["id"]], {"quantity": Decimal(move["quantity"]) + 1})


def test_an_order_with_an_open_work_can_not_be_completed(erp: ErpServer, planner: TrytonUser) -> None:
    order, _ = planner.released_order("1")
    for move in planner.moves(planner.read("production", order, "inputs")["inputs"]):
        if move["product."]["code"] == SEEDS[erp.plant_id].components[0][0].code:
            first = SEEDS[erp.plant_id].components[0][0].opening[0][0]
            planner.call("stock.move", "write", [move["id"]], {"lot": planner.lot(move["product."]["code"], first)})
    planner.call("production", "assign_try", [order])
    planner.call("production", "run", [order])
    with pytest.raises(ErpError, match="must be finished"):
        planner.call("production", planner.finish, [order])


async def test_an_output_without_its_lot_can_not_be_booked(
    erp: ErpServer, planner: TrytonUser, client: TrytonClient
) -> None:
    _, number = planner.released_order("1")
    order = await running(planner, client, erp.plant_id, number, "NO-LOT")
    outputs = planner.read("production", order, "outputs")["outputs"]
    planner.call("stock.move", "write", outputs, {"lot": None})
    with pytest.raises(ErpError, match="lot"):
        planner.call("production", planner.finish, [order])
    assert planner.state("production", order) == "running"


async def test_completing_twice_is_silent_or_refused_and_books_once(
    erp: ErpServer, raw: TrytonUser, planner: TrytonUser, client: TrytonClient
) -> None:
    _, number = planner.released_order("1")
    order = await running(planner, client, erp.plant_id, number, "TWICE")
    raw.call("production", raw.finish, [order])
    again = raw.ask("production", raw.finish, [order])
    assert again.status == 200
    assert ("You can not call" in str(again.error)) == raw.is_new
    assert planner.stock(SEEDS[erp.plant_id].product.code, "TWICE") == 1


async def test_only_a_user_who_may_cancels_what_is_done(
    erp: ErpServer, raw: TrytonUser, planner: TrytonUser, client: TrytonClient
) -> None:
    """8.0 lets the group "Stock Cancellation" undo a done order: our user is not in it. 6.0 does nothing and says nothing."""
    _, number = planner.released_order("1")
    order = await running(planner, client, erp.plant_id, number, "KEPT")
    raw.call("production", raw.finish, [order])
    answer = raw.ask("production", "cancel", [order])
    assert ("You can not call" in str(answer.error)) == raw.is_new
    assert planner.state("production", order) == "done"
    planner.call("production", "cancel", [order])
    assert planner.state("production", order) == ("cancelled" if planner.is_new else "done")


async def test_a_done_order_lets_its_date_be_written(
    erp: ErpServer, raw: TrytonUser, planner: TrytonUser, client: TrytonClient
) -> None:
    """Read-only is a matter of Tryton's own client: what the plant was told must be compared, not assumed."""
    _, number = planner.released_order("1")
    order = await running(planner, client, erp.plant_id, number, "DATED")
    raw.call("production", raw.finish, [order])
    day = today() + timedelta(days=9)
    assert raw.ask("production", "write", [order], {"planned_date": tagged_date(day)}).error is None


def test_nothing_is_made_once_only_because_its_reference_is_the_same(erp: ErpServer, planner: TrytonUser) -> None:
    one, two = planner.draft_order("1", "SAME-KEY"), planner.draft_order("1", "SAME-KEY")
    assert one != two
    values = {"number": "SAME-LOT", "product": planner.seed["products"][SEEDS[erp.plant_id].product.code]}
    first, second = (planner.call("stock.lot", "create", [values])[0] for _ in range(2))
    assert first != second


def test_a_reference_can_be_changed_by_another_user_after_the_release(planner: TrytonUser) -> None:
    order, _ = planner.released_order("1")
    planner.call("production", "write", [order], {"reference": "SOMEONE-ELSE"})
    assert planner.read("production", order, "reference")["reference"] == "SOMEONE-ELSE"


async def test_a_stale_write_is_caught_only_for_who_sends_the_stamp(planner: TrytonUser, client: TrytonClient) -> None:
    order, _ = planner.released_order("1")
    stamp = planner.read("production", order, "_timestamp", "write_date")
    written = instant(stamp["write_date"])
    assert written is not None
    await eventually(lambda: datetime.now(UTC) > written + timedelta(seconds=2))  # 6.0 compares whole seconds
    planner.call("production", "write", [order], {"reference": "MEANWHILE"})
    context = {"_timestamp": {f"production,{order}": str(stamp["_timestamp"])}}
    with pytest.raises(Stale):
        await client.model("production", "write", [order], {"reference": "STALE"}, context=context)
    await client.model("production", "write", [order], {"reference": "LAST WRITER WINS"})
    assert planner.read("production", order, "reference")["reference"] == "LAST WRITER WINS"


def test_scrap_with_a_price_and_currency_is_refused_by_8(erp: ErpServer, planner: TrytonUser) -> None:
    order, _ = planner.released_order("1")
    record = planner.read("production", order, "location", "company")
    company = planner.read("company.company", record["company"], "currency")
    unit = planner.search("product.uom", [["symbol", "=", "u"]], "symbol")[0]["id"]
    values = {
        "production_output": order,
        "product": planner.seed["products"][SEEDS[erp.plant_id].product.code],
        planner.unit: unit,
        "quantity": 1.0,
        "from_location": record["location"],
        "to_location": planner.seed["locations"]["scrap"],
        "company": record["company"],
    }
    priced = {**values, "unit_price": {"__class__": "Decimal", "decimal": "1"}, "currency": company["currency"]}
    assert (planner.ask("stock.move", "create", [priced]).error is not None) == planner.is_new
    assert planner.ask("stock.move", "create", [values]).error is None


def test_a_move_into_scrap_can_be_done_from_its_draft_on_no_release_the_same_way(
    erp: ErpServer, planner: TrytonUser
) -> None:
    """6.0 has the button assign and then do, 8.0 refuses both ways: corrections go by internal shipments."""
    code = SEEDS[erp.plant_id].components[1][0].code
    unit = planner.search("product.uom", [["symbol", "=", "u"]], "symbol")[0]["id"]
    places = planner.seed["locations"]
    values = {
        "product": planner.seed["products"][code],
        planner.unit: unit,
        "quantity": 1.0,
        "from_location": places["storage"],
        "to_location": places["scrap"],
        "company": planner.seed["company"],
    }
    (move,) = planner.call("stock.move", "create", [values])
    assigned = planner.ask("stock.move", "assign", [move])
    assert assigned.status == (403 if planner.is_new else 200)
    done = planner.ask("stock.move", "do", [move])
    assert (done.error is not None) == planner.is_new


def test_an_internal_shipment_inside_one_warehouse_has_no_ship_on_8(erp: ErpServer, planner: TrytonUser) -> None:
    code = SEEDS[erp.plant_id].components[1][0].code
    places, unit = planner.seed["locations"], planner.search("product.uom", [["symbol", "=", "u"]], "symbol")[0]["id"]
    base = {"from_location": places["storage"], "to_location": places["scrap"], "company": planner.seed["company"]}
    move: dict[str, Any] = {**base, "product": planner.seed["products"][code], planner.unit: unit, "quantity": 1.0}
    (number,) = planner.call("stock.shipment.internal", "create", [{**base, "moves": [["create", [move]]]}])
    for button in ("wait", "assign_try"):
        planner.call("stock.shipment.internal", button, [number])
    assert (planner.ask("stock.shipment.internal", "ship", [number]).error is not None) == planner.is_new
    planner.call("stock.shipment.internal", planner.finish, [number])
    assert planner.state("stock.shipment.internal", number) == "done"


def test_basic_authorization_works_for_every_call(erp: ErpServer, raw: TrytonUser) -> None:
    """Noted, not used: a session keeps the password off the wire."""
    word = base64.b64encode(f"gateway:{erp.seed['users']['gateway']}".encode()).decode()
    answer = raw.post(raw.path, "model.res.user.get_preferences", [True, {}], Authorization=f"Basic {word}")
    assert answer.status == 200
