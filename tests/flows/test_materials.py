"""What a plant has and what it wants to have reach its MES, also through an outage; read back from the MES by its own means."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from deploy.local import calls, readback
from isthmus.inventory.v1 import inventory_service_pb2 as inventory
from tests.flows.conftest import LocalSystem
from tests.gateway.erp.user import TrytonUser
from tests.support.eventually import eventually
from tests.support.requests import a_key

pytestmark = [pytest.mark.flow, pytest.mark.timeout(330)]
WATCHED = {"aachen": "SEAL-7", "brno": "BALL-20"}  # bought, without lots, with an order point


def known(local_system: LocalSystem, plant: str) -> tuple[str, str]:
    """What the MES says of the watched item: what can be used, and its reorder point."""
    if plant == "brno":
        sql = "SELECT AVAILABLE, REORDER FROM MES_MATERIALS WHERE ITEM = ?"
        found = local_system.plants._staging(sql, (WATCHED[plant],))
        return (found[0][0] or "", found[0][1] or "") if found else ("", "")
    said = readback.fetch(f"{local_system.plants.mes}/api/material?artikel={WATCHED[plant]}")["material"]
    return (said[0].get("verfuegbar", ""), said[0].get("meldebestand", "")) if said else ("", "")


def adjust(local_system: LocalSystem, plant: str, number: str, quantity: str) -> None:
    request = inventory.AdjustStockRequest(
        business_key=a_key(f"M-{plant}-{number}", "app-stock", "stock_change"),
        plant_id=plant,
        item_id=WATCHED[plant],
        location_id="storage",
        adjustment_reason="counted",
    )
    request.quantity.value, request.quantity.unit_code = quantity, "C62"
    request.occur_time.FromDatetime(datetime.now(UTC))
    with calls.stub(local_system.ports, "inventory") as stub:
        stub.AdjustStock(request, timeout=10)


def usable(local_system: LocalSystem, plant: str) -> Decimal:
    """As inventory's ledger has it."""
    with calls.stub(local_system.ports, "inventory") as stub:
        stocks: Any = stub.ListStock(
            inventory.ListStockRequest(plant_id=plant, item_id=WATCHED[plant]), timeout=10
        ).stocks
    return sum((Decimal(one.quantity.value) for one in stocks if one.location_id != "scrap"), Decimal(0))


@pytest.mark.parametrize("plant", ["aachen", "brno"])
async def test_a_reorder_point_of_the_erp_and_the_stock_reach_the_mes(local_system: LocalSystem, plant: str) -> None:
    user = TrytonUser(local_system.plants.seeds[plant], "admin")
    (point,) = user.search("stock.order_point", [["product.code", "=", WATCHED[plant]]], "min_quantity")
    before = str(int(Decimal(point["min_quantity"])))
    await eventually(lambda: known(local_system, plant)[1] == before, within=90)
    try:
        user.call("stock.order_point", "write", [point["id"]], {"min_quantity": 77.0})
        await eventually(lambda: known(local_system, plant)[1] == "77", within=90)
    finally:
        user.call("stock.order_point", "write", [point["id"]], {"min_quantity": float(before)})
    await eventually(lambda: known(local_system, plant) == (text(usable(local_system, plant)), before), within=90)


@pytest.mark.parametrize("plant", ["aachen", "brno"])
async def test_what_moved_while_the_link_was_cut_is_known_when_it_is_back_and_only_as_it_is_last(
    local_system: LocalSystem, plant: str
) -> None:
    await eventually(lambda: known(local_system, plant)[0] == text(usable(local_system, plant)), within=60)
    local_system.plants.link(plant, "cut")
    try:
        for number in range(5):
            adjust(local_system, plant, f"out-{number}", "-1")
        adjust(local_system, plant, "in", "5")
        adjust(local_system, plant, "last", "-2")
    finally:
        local_system.plants.link(plant, "restore")
    wanted = usable(local_system, plant)
    await eventually(lambda: known(local_system, plant)[0] == text(wanted), within=60)
    adjust(local_system, plant, "back", "2")
    await eventually(lambda: known(local_system, plant)[0] == text(wanted + 2), within=60)


def text(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
