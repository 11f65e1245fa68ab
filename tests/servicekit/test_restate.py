"""A reader added when the first facts are gone: it gets the nouns as they stand, alone, and what is still kept."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from servicekit.database import Database, Tx
from servicekit.domain import Quantity
from servicekit.restate import Restater, Restates
from servicekit.use_case import Fact
from servicekit.wire import quantity_message
from tests.servicekit.test_relay_and_reader import SLOT, Two, stream_holds, two
from tests.support import toy
from tests.support.eventually import eventually
from tests.support.toy import PLANT, Tally, an_add, rows

pytestmark = pytest.mark.connected
__all__ = ["two"]
OLD = 130  # tallies whose facts are gone: more than one page


def tally_again(_tx: Tx, tally: Tally, now: datetime) -> Fact:
    stored = OutputStored(plant_id=PLANT, work_order_id=tally.tally_id, lot_id=f"again-{tally.tally_id}")
    stored.quantity.CopyFrom(quantity_message(Quantity(tally.amount, "C62")))
    return Fact(stored, PLANT, tally.tally_id, tally.tally_id, now)


async def amounts(database: Database) -> dict[str, int]:
    return {key: amount // 10**6 for key, amount in await rows(database, "SELECT tally_id, amount FROM tallies")}


async def test_a_reader_added_later_gets_what_the_lost_facts_made(two: Two) -> None:
    await two.here.write(lambda tx: tx.run("ALTER TABLE tallies ADD COLUMN plant_id TEXT NOT NULL DEFAULT 'aachen'"))
    two.relay()
    await asyncio.gather(*(two.door.run(toy.add, an_add(str(n), f"new-{n:03}")) for n in range(OLD - 1)))
    await two.door.run(toy.add, an_add("last", f"new-{OLD - 1:03}"))
    await eventually(lambda: stream_holds(two, OLD))
    await (await two.connections[0].jetstream()).purge_stream(SLOT)
    await two.here.write(lambda tx: tx.run("DELETE FROM outbox WHERE sequence < ?", (OLD,)))
    await asyncio.gather(*(two.door.run(toy.add, an_add(f"b{n}", "new-later")) for n in range(5)))
    restater = Restater(two.here, two.connect("restate"), [Restates(toy.TALLIES, tally_again)], lambda _facts: None)
    two.tasks.append(asyncio.ensure_future(restater.serve([SLOT])))
    two.reader()
    await eventually(lambda: heard_all(two), within=60)
    await eventually(lambda: is_done(two))


async def is_done(two: Two) -> bool:
    asked = await rows(two.here, "SELECT consumer, is_done FROM restate")
    assert [(row[0], bool(row[1])) for row in asked] == [("reader", True)]
    return True


async def heard_all(two: Two) -> bool:
    there = await amounts(two.there)
    assert len(there) == OLD + 1, len(there)
    kept = ("new-129", "new-later")  # facts that were kept come beside the noun: the toy adds, a real reader records
    assert {amount for key, amount in there.items() if key not in kept} == {1}
    return True
