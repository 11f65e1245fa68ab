"""What an ERP offers is compared with running master data, on both databases: gone, only unreadable, refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import grpc
import pytest

from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from isthmus.masterdata.v1 import ownership_pb2
from isthmus.masterdata.v1.item_pb2 import Item
from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceStub
from services.gateway.erp.canonical import Catalogue
from services.gateway.synchroniser import Synchroniser
from tests.hub.conftest import Calls
from tests.support.requests import a_key

pytestmark = pytest.mark.connected
ROUNDS = count(1)


@pytest.fixture
async def synchroniser(calls: Calls) -> AsyncIterator[Synchroniser]:
    """Of an ERP that is not asked: each test says what it offers."""
    nobody: Any = None
    async with grpc.aio.insecure_channel(calls.hub.address("master_data")) as channel:
        yield Synchroniser(nobody, MasterDataServiceStub(channel), nobody, "brno", 24)


def an_item(number: str, unit: str = "C62") -> Item:
    return Item(item_id=f"SYNC-{number}", description="Part", unit_code=unit)


async def compared(synchroniser: Synchroniser, offered: dict[str, Item | None]) -> tuple[int, int, int, int]:
    """A round: listed, changed, retired, faulty."""
    told = await synchroniser.compare(Catalogue(offered, {}, {}, {}, {}), f"round-{next(ROUNDS)}")
    return told.listed_count, told.changed_count, told.retired_count, told.faulty_count


def is_retired(calls: Calls, number: str) -> bool:
    request = messages.GetItemRequest(plant_id="brno", item_id=f"SYNC-{number}")
    return bool(calls.master_data.GetItem(request, timeout=10).item.is_retired)


async def test_what_is_gone_is_retired_and_what_is_only_unreadable_is_not(
    calls: Calls, synchroniser: Synchroniser
) -> None:
    assert await compared(synchroniser, {"1": an_item("1"), "2": an_item("2"), "3": an_item("3")}) == (3, 3, 0, 0)
    assert await compared(synchroniser, {"1": None, "2": an_item("2")}) == (2, 0, 1, 1)
    assert [is_retired(calls, number) for number in ("1", "2", "3")] == [False, False, True]
    assert await compared(synchroniser, {"1": an_item("1"), "2": an_item("2"), "3": an_item("3")}) == (3, 1, 0, 0)
    assert not is_retired(calls, "3")
    renewed = {"1": an_item("1"), "2": an_item("2"), "33": an_item("3")}  # deleted there, and made again
    assert await compared(synchroniser, renewed) == (3, 0, 0, 1)
    assert not is_retired(calls, "3")
    assert await compared(synchroniser, {}) == (0, 0, 3, 0)


async def test_one_that_is_refused_or_unknown_keeps_no_other_from_being_compared(
    calls: Calls, synchroniser: Synchroniser
) -> None:
    strange = messages.RecordForeignIdRequest(business_key=a_key("strange", "desk", "foreign_id"))
    said = strange.foreign_id
    said.plant_id, said.entity_type, said.source_system = "brno", ownership_pb2.ENTITY_TYPE_ITEM, "erp-brno"
    said.foreign_id, said.entity_id = "99", "NOBODY-HAS-IT"
    calls.master_data.RecordForeignId(strange, timeout=10)
    offered = {"10": an_item("10", "XYZ"), "11": an_item("11")}
    listed, changed, _, faulty = await compared(synchroniser, offered)
    assert (listed, changed, faulty) == (2, 1, 2)
    assert not is_retired(calls, "11")
