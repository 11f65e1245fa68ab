"""What a batch has loaded: nouns by their keys, and all nouns of an owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from servicekit.database import Database
from servicekit.use_case import Seen
from tests.hard import shop

pytestmark = pytest.mark.connected


@pytest.fixture
async def floor(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """A line with three orders."""
    database = shop.open_database(database_url, tmp_path / "shop")
    orders = [(f"order-{n}", "line-1", "planned") for n in range(3)]
    await database.write(lambda tx: tx.many("INSERT INTO orders VALUES (?, ?, ?)", orders))
    yield database
    database.close()


async def test_an_owner_of_whom_one_noun_was_named_is_not_loaded_as_a_whole(floor: Database) -> None:
    seen, own = Seen(), shop.ORDERS.of("line-1")
    assert await floor.write(lambda tx: seen.load(tx, [shop.ORDERS.key("order-1")]))
    assert not seen.has_all(own)
    assert await floor.write(lambda tx: seen.load(tx, [own]))
    assert [order.order_id for order in seen.all(own)] == ["order-0", "order-1", "order-2"]
    assert seen.has_all(own)
    assert not await floor.write(lambda tx: seen.load(tx, [own]))  # nothing is new any more
