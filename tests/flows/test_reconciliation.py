"""What is planted in a partner's books is found and led back to its document; a working system raises no false alarm."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local import calls
from deploy.local.tryton.plants import SEEDS
from isthmus.common.v1.business_key_pb2 import BusinessKey
from isthmus.common.v1.quantity_pb2 import Quantity
from isthmus.inventory.v1.inventory_service_pb2 import AdjustStockRequest, ListStockRequest, TransferStockRequest
from isthmus.operations.v1 import reconciliation_pb2
from services.operations.console.stock import KINDS
from tests.flows.conftest import LocalSystem
from tests.gateway.erp.user import TrytonUser
from tests.support.eventually import eventually

pytestmark = [pytest.mark.flow, pytest.mark.timeout(330)]
PLANTS = ("aachen", "brno")
COPIED = "company, quantity, internal_quantity, from_location, to_location, product, lot, state, effective_date"
UNIT = {"aachen": "uom", "brno": "unit"}  # Tryton 6.0 and 8.0
OUTPUT = """SELECT move.id FROM stock_move AS move JOIN production ON production.id = production_output
    JOIN stock_location AS place ON place.id = to_location WHERE number = '5' AND place.type = 'storage'"""
BOOKED = f"SELECT count(*) FROM stock_move WHERE id = ({OUTPUT}) AND state = 'done'"
RECEIPT = (
    "SELECT client_reference FROM inbound WHERE content LIKE '%brno%' AND status = 'received' ORDER BY id DESC LIMIT 1"
)
FAULTS = {  # what is done to the output of a plant's fifth order, and what takes it back
    "CAUSE_KIND_MISSING": (
        f"UPDATE stock_move SET state = 'cancelled' WHERE id = ({OUTPUT})",
        f"UPDATE stock_move SET state = 'done' WHERE id = ({OUTPUT})",
    ),
    "CAUSE_KIND_DOUBLED": (
        (
            f"INSERT INTO stock_move ({COPIED}, production_output, create_date, :unit) "
            f"SELECT {COPIED}, production_output, create_date, :unit FROM stock_move WHERE id = ({OUTPUT})"
        ),
        "DELETE FROM stock_move WHERE id = (SELECT max(id) FROM stock_move)",
    ),
    "CAUSE_KIND_WRONG_QUANTITY": (
        f"UPDATE stock_move SET quantity = quantity + 1, internal_quantity = internal_quantity + 1 WHERE id = ({OUTPUT})",
        f"UPDATE stock_move SET quantity = quantity - 1, internal_quantity = internal_quantity - 1 WHERE id = ({OUTPUT})",
    ),
    "CAUSE_KIND_FOREIGN": (
        (
            f"INSERT INTO stock_move ({COPIED}, create_date, :unit) "
            f"SELECT {COPIED}, strftime('%Y-%m-%d %H:%M:%f', 'now'), :unit FROM stock_move WHERE id = ({OUTPUT})"
        ),
        "DELETE FROM stock_move WHERE id = (SELECT max(id) FROM stock_move)",
    ),
}


def stock_page(local_system: LocalSystem, plant: str) -> str:
    """What the console says of the plant's books."""
    page = httpx.get(f"http://127.0.0.1:{local_system.ports['console']}/stock", timeout=20)
    assert page.status_code == 200, page.text
    return page.text.split(f'<h2 id="{plant}">')[1].split("<h2")[0]


def books(local_system: LocalSystem, plant: str) -> tuple[int, Any]:
    """Exit code and what was said."""
    answer = local_system.isthmus.run("reconcile", plant, "--json", within=120)
    return answer.code, json.loads(answer.out)


async def all_told(local_system: LocalSystem, plant: str) -> None:
    """Until the partners have all; on the way there nothing may ask for a person."""
    alarms = []

    def look() -> bool:
        code, said = books(local_system, plant)
        if code:
            alarms.append(said)
        return bool(alarms) or not (said["variances"] or said["order_variances"])

    await eventually(look, within=240)
    assert alarms == []


async def fifth_booked(database: Path) -> None:
    """Until the ERP has the output that the faults are done to: what is only planned is in nobody's books."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        await eventually(lambda: connection.execute(BOOKED).fetchone() == (1,), within=240)


async def alarm(local_system: LocalSystem, plant: str) -> Any:
    """What needs a person; what was booked within the last minute is said to be under way at first."""

    def look() -> Any:
        code, said = books(local_system, plant)
        return said if code else None

    return await eventually(look, within=120)


@contextmanager
def done_to(database: Path, plant: str, fault: str, undo: str) -> Iterator[None]:
    """A line of somebody's books is other than it was, behind everybody's back."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:

        def write(statement: str) -> None:
            with connection:
                assert connection.execute(statement.replace(":unit", UNIT[plant])).rowcount == 1, statement

        write(fault)
        try:
            yield
        finally:
            write(undo)


@pytest.mark.parametrize("cause", FAULTS)
@pytest.mark.parametrize("plant", PLANTS)
async def test_a_fault_in_an_erps_books_is_led_back_to_its_document(
    local_system: LocalSystem, plant: str, cause: str
) -> None:
    database = local_system.isthmus.home / "erp" / plant / "erp.sqlite"
    await fifth_booked(database)
    await all_told(local_system, plant)
    with done_to(database, plant, *FAULTS[cause]):
        said = await alarm(local_system, plant)
    (variance,) = said["variances"]
    (found,) = variance["causes"]
    assert (variance["systemId"], found["kind"]) == (f"erp-{plant}", cause)
    assert found["documentId"] == f"{plant}-5" or (
        cause == "CAUSE_KIND_FOREIGN" and "stock.move" in found["documentId"]
    )
    assert Decimal(variance["unexplainedQuantity"]["value"]) == 0
    assert Decimal(variance["ledgerQuantity"]["value"]) != Decimal(variance["partnerQuantity"]["value"])
    shown = stock_page(local_system, plant)
    assert "1 differ and need a person" in shown
    assert f'<span class="mark">{KINDS[getattr(reconciliation_pb2, cause)]}</span> {found["documentId"]}' in shown


async def test_a_receipt_that_the_warehouse_lost_is_led_back_to_its_confirmation(local_system: LocalSystem) -> None:
    await all_told(local_system, "brno")
    with closing(sqlite3.connect(local_system.isthmus.home / "wms" / "wms.db", timeout=30)) as connection:
        (reference,) = connection.execute(RECEIPT).fetchone()
        moved = "UPDATE inbound SET content = replace(content, ?, ?) WHERE client_reference = ?"
        with connection:
            connection.execute(moved, ('"site": "brno"', '"site": "lost"', reference))
        try:
            said = await alarm(local_system, "brno")
        finally:
            with connection:
                connection.execute(moved, ('"site": "lost"', '"site": "brno"', reference))
    (variance,) = said["variances"]
    assert variance["systemId"] == "wms"
    assert [(cause["documentId"], cause["kind"]) for cause in variance["causes"]] == [(reference, "CAUSE_KIND_MISSING")]
    assert Decimal(variance["unexplainedQuantity"]["value"]) > 0  # its shelves still hold what its documents lost
    page = local_system.isthmus.run("reconcile", "brno")
    assert (page.code, "the books agree" in page.out) == (0, True)
    assert "none differs that needs a person" in stock_page(local_system, "brno")


async def test_a_report_that_the_mes_lost_or_changed_is_led_back_to_its_number(local_system: LocalSystem) -> None:
    await all_told(local_system, "aachen")
    with closing(sqlite3.connect(local_system.isthmus.home / "mes-aachen" / "mes.db", timeout=30)) as connection:
        lost, content = connection.execute("SELECT nummer, inhalt FROM meldung ORDER BY lfd LIMIT 1").fetchone()
        with connection:
            connection.execute("UPDATE meldung SET nummer = 'M-888888' WHERE nummer = ?", (lost,))
        try:
            code, said = books(local_system, "aachen")
        finally:
            with connection:
                connection.execute("UPDATE meldung SET nummer = ? WHERE nummer = 'M-888888'", (lost,))
    assert (code, said["variances"]) == (1, [])
    (variance,) = said["order_variances"]
    found = {(cause["documentId"], cause["kind"]) for cause in variance["causes"]}
    assert found == {(lost, "CAUSE_KIND_FOREIGN"), ("M-888888", "CAUSE_KIND_MISSING")}
    assert (variance["systemId"], variance["isOpen"]) == ("mes-aachen", True)
    assert variance["operationSequence"] == int(json.loads(content)["vorgang"])
    shown = stock_page(local_system, "aachen")
    assert all(words in shown for words in ("mes-aachen", lost, "M-888888", variance["workOrderId"]))


async def test_a_working_system_has_no_variance_of_its_mes_and_it_was_asked(local_system: LocalSystem) -> None:
    for plant in PLANTS:
        await all_told(local_system, plant)
        _, said = books(local_system, plant)
        read = {book["systemId"]: int(book["lineCount"]) for book in said["reconciliation"]["readBooks"]}
        assert read[f"mes-{plant}"] >= read["production"] > 0


def test_a_plant_that_nobody_knows_is_not_compared(local_system: LocalSystem) -> None:
    code, said = books(local_system, "nowhere")
    assert (code, said["variances"]) == (1, [])
    assert said["reconciliation"]["failureText"] == "nowhere is none of our plants: aachen, brno"


@pytest.mark.parametrize("plant", PLANTS)
async def test_what_people_set_right_reaches_the_erp_and_is_no_variance(local_system: LocalSystem, plant: str) -> None:
    """A lot that was bought: one piece was not found, one goes to scrap, one to the warehouse."""
    part = SEEDS[plant].components[0][0]
    of = {"plant_id": plant, "item_id": part.code, "lot_id": part.opening[-1][0]}
    piece = Quantity(value="1", unit_code="C62")
    counted = AdjustStockRequest(**of, location_id="storage", adjustment_reason="counted")
    counted.quantity.value, counted.quantity.unit_code = "-1", "C62"
    scrapped, shelved = (
        TransferStockRequest(
            **of, from_location_id="storage", to_location_id=place, quantity=piece, transfer_reason="moved"
        )
        for place in ("scrap", "warehouse")
    )
    with calls.stub(local_system.ports, "inventory") as inventory:
        opening = ListStockRequest(plant_id=plant, item_id=part.code)
        await eventually(lambda: inventory.ListStock(opening, timeout=calls.DEADLINE).stocks, within=60)
        for number, request in enumerate((counted, scrapped, shelved)):
            request.business_key.CopyFrom(
                BusinessKey(source_system="flow", document_type=plant, document_number=f"{number}")
            )
            request.occur_time.GetCurrentTime()
            is_adjustment = isinstance(request, AdjustStockRequest)
            (inventory.AdjustStock if is_adjustment else inventory.TransferStock)(request, timeout=calls.DEADLINE)
    references = [f"adjustment/flow/{plant}/0", f"transfer/flow/{plant}/1", f"transfer/flow/{plant}/2"]
    planner = TrytonUser(local_system.plants.seeds[plant], "admin")

    def booked() -> bool:
        domain = [["reference", "in", references], ["state", "=", "done"]]
        found = planner.search("stock.shipment.internal", domain, "reference")
        return {one["reference"] for one in found} == set(references[:2])

    await eventually(booked, within=120)
    await all_told(local_system, plant)
