"""A lot that is blocked at the warehouse is picked for nobody, until it is unblocked."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from isthmus.gateway.v1.erp_postings_pb2 import BlockLot
from servicekit.postings import Posting
from services.gateway import wms
from tests.support.eventually import eventually

pytestmark = pytest.mark.connected


def a_posting(key: str, *, is_blocked: bool) -> Posting:
    said = BlockLot(plant_id="ghent", item_id="RESIN-7", lot_id="R-1", is_blocked=is_blocked, reason="pH")
    return Posting(key, "ghent", "wms", "block_lot", "ghent-1", key, said)


async def test_a_blocked_lot_stays_on_its_shelf_and_the_next_one_is_picked(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, headers={"x-api-key": "secret"}) as client:

        async def post(path: str, **said: Any) -> None:
            (await client.post(path, json={"site": "ghent", **said})).raise_for_status()

        async def shipped(reference: str) -> list[str]:
            found = (await client.get("/v2/outbound-orders", params={"clientReference": reference})).json()["items"]
            return [pick["lot"] for one in found if one["status"] == "shipped" for pick in one["picks"]]

        async def stock() -> int:
            return len((await client.get("/v2/stock")).json()["items"])

        step = wms.posting_kinds(url, "secret")["block_lot"]
        block, free = a_posting("e1", is_blocked=True), a_posting("e2", is_blocked=False)
        assert await step.find(block) is None
        for _ in range(2):  # safe to repeat
            await step.book(block, "")
        found = await step.find(block)
        assert found is not None
        assert found.is_booked
        for number, lot in enumerate(["R-1", "R-2"]):
            received = {"sku": "RESIN-7", "lot": lot, "quantity": "5", "uom": "KG"}
            await post("/v2/inbound-notices", clientReference=f"i{number}", **received)
        await eventually(lambda: _is(stock(), 2))
        line = {"sku": "RESIN-7", "quantity": "4", "uom": "KG"}
        await post("/v2/outbound-orders", clientReference="o1", shipTo="Acme", lines=[line])
        await eventually(lambda: _is(shipped("o1"), ["R-2"]))
        await post("/v2/outbound-orders", clientReference="o2", shipTo="Acme", lines=[line])
        await step.book(free, "")
        await eventually(lambda: _is(shipped("o2"), ["R-1"]))


async def _is(work: Any, wanted: Any) -> bool:
    return bool(await work == wanted)
