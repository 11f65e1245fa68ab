"""What stands in the stores behind the console of these tests: one order, partly hostile, and parked lanes of the toy service."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import clock, lanes, migrate
from servicekit.database import Database, Tx
from services.operations import __main__ as operations
from services.operations import spans
from services.operations.domain.timeline import Entry, Number, OrderReference
from services.operations.store import ENTRIES, NUMBERS, ORDERS
from tests.servicekit.test_inbox import a_fact
from tests.support import toy

ORDER, TRACE = "aachen-4711", "a" * 32
HOSTILE = "<script>alert(1)</script> \N{RIGHT-TO-LEFT OVERRIDE}evil\N{POP DIRECTIONAL FORMATTING} & 'so' \"on\""
LONG = "x" * 1_000_000
KNOWN = (ORDER, "4711", "FA-000009", "LOT/7 <b>", "delivery-12")
BEGUN = datetime(2026, 11, 26, 8, tzinfo=UTC)


def entry(number: int, text: str, minutes: int, *, is_alarm: bool = False) -> Entry:
    at = BEGUN + timedelta(minutes=minutes)
    fact = "isthmus.production.v1.OperationConfirmed"
    return Entry(f"e-{number}", ORDER, "aachen", at, at, text, "mes", fact, False, is_alarm, False, number)


def fill(url: str) -> None:
    """What operations heard of one order; its item, numbers and texts are not to be trusted."""
    database = Database(url)
    migrate.migrate(database.engines[0], "operations", Path(operations.__file__).parent / "migrations")

    def insert(tx: object) -> None:
        ORDERS.insert(tx, [OrderReference(ORDER, "aachen", HOSTILE, TRACE)])  # type: ignore[arg-type]
        NUMBERS.insert(tx, [Number(number, ORDER) for number in KNOWN])  # type: ignore[arg-type]
        told = [entry(1, "ERP released", 0), entry(2, HOSTILE, 30, is_alarm=True), entry(3, LONG, 31)]
        ENTRIES.insert(tx, told)  # type: ignore[arg-type]
        end = int(BEGUN.timestamp()) * 10**9
        made = [
            (TRACE, f"{n:016x}", "", "production", HOSTILE, end + n * 10**9, end + (n + 1) * 10**9, n == 2)
            for n in (1, 2)
        ]
        spans.insert(tx, made, timedelta(days=1))  # type: ignore[arg-type]

    asyncio.run(database.write(insert))
    database.close()


def park(database: Database, keys: list[str], facts: int = 1) -> None:
    """Lanes of the toy service whose tally is closed; reopen it and they can be released."""

    def insert(tx: Tx) -> None:
        tx.many("INSERT INTO tallies VALUES (?, 0, ?)", [(key, True) for key in keys])
        for number, key in enumerate(keys):
            for ordinal in range(facts):
                lanes.append(
                    tx, "inventory", told_of(key, number * facts + ordinal), toy.TallyClosed(tally_id=key), clock.now()
                )

    asyncio.run(database.write(insert))


def told_of(key: str, number: int) -> Envelope:
    envelope = a_fact(number, key).envelope
    envelope.event_id = f"{key[:60]}-{number}"
    return envelope


def run(database: Database, sql: str) -> None:
    asyncio.run(database.write(lambda tx: tx.run(sql)))


def reopen(database: Database) -> None:
    """Now their facts would take effect."""
    run(database, "UPDATE tallies SET is_closed = FALSE")


def ask(database: Database, sql: str) -> list[tuple[object, ...]]:
    return asyncio.run(toy.rows(database, sql))


def lane_of(key: str) -> str:
    """Where the console shows a lane of the toy service."""
    return f"/exceptions/inventory/inventory/{quote(key, safe='')}"
