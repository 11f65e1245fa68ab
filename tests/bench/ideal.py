"""The idealised hand-made pipeline: what this machine allows. Long pull into a callback, a batch is what has arrived, one
transaction of set-based statements on the bare driver, pipelined publish, the three overlapped. It keeps no order of keys,
no lanes, no claims, no trace; it recognises what comes again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import nats
import uvloop
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from isthmus.production.v1.production_events_pb2 import OperationConfirmed
from tests.bench.work import SLOT_IN, TALLIES, tally_of

BATCH = 256
SCHEMA = (
    "CREATE TABLE inbox (event_id TEXT PRIMARY KEY)",
    "CREATE TABLE tallies (tally_id TEXT PRIMARY KEY, amount BIGINT NOT NULL)",
    "CREATE TABLE outbox (number BIGINT PRIMARY KEY, event_id TEXT, body {bytes})",
)
Row = tuple[str, str, int, bytes]  # event id, tally, amount, body


class SqliteStore:
    """The bare driver on a thread, synchronous=FULL."""

    async def open(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        self._c = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        self._c.execute("PRAGMA journal_mode=WAL")
        self._c.execute("PRAGMA synchronous=FULL")
        for statement in SCHEMA:
            self._c.execute(statement.format(bytes="BLOB"))
        self._c.executemany("INSERT INTO tallies VALUES (?, 0)", [(tally_of(n),) for n in range(TALLIES)])
        self._last = self._dropped = 0

    async def apply(self, rows: list[Row], stored: int) -> list[tuple[int, bytes]]:
        return await asyncio.to_thread(self._apply, rows, stored)

    def _apply(self, rows: list[Row], stored: int) -> list[tuple[int, bytes]]:
        c = self._c
        c.execute("BEGIN IMMEDIATE")
        c.execute("DELETE FROM outbox WHERE number > ? AND number <= ?", (self._dropped, stored))
        self._dropped = stored
        wanted = json.dumps([row[0] for row in rows])
        new = c.execute(
            "INSERT INTO inbox SELECT value FROM json_each(?) WHERE 1 ON CONFLICT DO NOTHING RETURNING event_id",
            (wanted,),
        ).fetchall()
        rows = only(rows, {row[0] for row in new})
        c.executemany("UPDATE tallies SET amount = amount + ? WHERE tally_id = ?", [(q, k) for k, q in sums(rows)])
        out = [(self._last + index, row) for index, row in enumerate(rows, start=1)]
        c.executemany("INSERT INTO outbox VALUES (?, ?, ?)", [(n, row[0], row[3]) for n, row in out])
        c.execute("COMMIT")
        self._last += len(out)
        return [(n, row[3]) for n, row in out]

    async def close(self) -> int:
        return int(self._c.execute("SELECT SUM(amount) FROM tallies").fetchone()[0])


class PostgresStore:
    """asyncpg, the fastest driver, set-based."""

    async def open(self, url: str) -> None:
        import asyncpg

        self._c = await asyncpg.connect(url.replace("postgresql+psycopg", "postgresql"))
        for statement in SCHEMA:
            await self._c.execute(statement.format(bytes="BYTEA"))
        await self._c.executemany("INSERT INTO tallies VALUES ($1, 0)", [(tally_of(n),) for n in range(TALLIES)])
        self._last = self._dropped = 0

    async def apply(self, rows: list[Row], stored: int) -> list[tuple[int, bytes]]:
        async with self._c.transaction():
            # From the last one dropped: without it each delete walks over all the dead rows before it.
            await self._c.execute("DELETE FROM outbox WHERE number > $1 AND number <= $2", self._dropped, stored)
            self._dropped = stored
            new = await self._c.fetch(
                "INSERT INTO inbox SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING event_id",
                [row[0] for row in rows],
            )
            rows = only(rows, {row[0] for row in new})
            grown = sums(rows)
            await self._c.execute(
                "UPDATE tallies t SET amount = t.amount + d.q FROM unnest($1::text[], $2::bigint[]) d(k, q) "
                "WHERE t.tally_id = d.k",
                [k for k, _ in grown],
                [q for _, q in grown],
            )
            out = [(self._last + index, row) for index, row in enumerate(rows, start=1)]
            await self._c.execute(
                "INSERT INTO outbox SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])",
                [n for n, _ in out],
                [row[0] for _, row in out],
                [row[3] for _, row in out],
            )
        self._last += len(out)
        return [(n, row[3]) for n, row in out]

    async def close(self) -> int:
        total = int(await self._c.fetchval("SELECT SUM(amount) FROM tallies"))
        await self._c.close()
        return total


def only(rows: list[Row], new: set[str]) -> list[Row]:
    return rows if len(new) == len(rows) else [row for row in rows if row[0] in new]


def sums(rows: Sequence[Row]) -> list[tuple[str, int]]:
    grown: dict[str, int] = {}
    for _, tally, amount, _ in rows:
        grown[tally] = grown.get(tally, 0) + amount
    return list(grown.items())


def read(message: Msg) -> Row:
    envelope = Envelope.FromString(message.data)
    if envelope.data.type_url.endswith("OutputStored"):
        said = OutputStored.FromString(envelope.data.value)
        return envelope.event_id, said.work_order_id, int(said.quantity.value), message.data
    (used,) = OperationConfirmed.FromString(envelope.data.value).confirmation.consumptions
    return envelope.event_id, used.item_id, int(used.quantity.value), message.data


class Pull:
    """One long-lived pull whose messages land in a callback."""

    def __init__(self, client: nats.aio.client.Client) -> None:
        self._client, self._inbox = client, client.new_inbox()
        self._arrived: list[Msg] = []
        self._ready = asyncio.Event()
        self._credit = 0

    async def open(self) -> None:
        consumer = ConsumerConfig(durable_name="d", ack_policy=AckPolicy.ALL, max_ack_pending=10000, ack_wait=60)
        await self._client.jetstream().add_consumer(SLOT_IN, consumer)
        await self._client.subscribe(self._inbox, cb=self._on_message)

    async def _on_message(self, message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            self._credit -= int(message.headers.get("Nats-Pending-Messages", 0))
        else:
            self._credit -= 1
            self._arrived.append(message)
        self._ready.set()

    async def batch(self) -> list[Msg]:
        while True:
            if self._credit < 2 * BATCH:
                self._credit += 4 * BATCH
                request = json.dumps({"batch": 4 * BATCH, "expires": 30_000_000_000}).encode()
                await self._client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{SLOT_IN}.d", request, reply=self._inbox)
            if self._arrived:
                taken = self._arrived[:BATCH]
                del self._arrived[:BATCH]
                return taken
            self._ready.clear()
            await self._ready.wait()


class Out:
    """Pipelined publish with a counter of acknowledgements."""

    def __init__(self, client: nats.aio.client.Client) -> None:
        self._client, self._inbox = client, client.new_inbox()
        self._acked = self._sent = 0
        self._more = asyncio.Event()

    async def open(self) -> None:
        await self._client.subscribe(self._inbox, cb=self._on_ack)

    async def _on_ack(self, message: Msg) -> None:
        assert b'"error"' not in message.data, message.data
        self._acked += 1
        self._more.set()

    async def publish(self, facts: list[tuple[int, bytes]]) -> int:
        """Returns the last number that is stored."""
        for number, body in facts:
            await self._client.publish("out.a", body, reply=self._inbox, headers={"Nats-Msg-Id": str(number)})
        self._sent += len(facts)
        goal = self._sent
        while self._acked < goal:
            self._more.clear()
            await self._more.wait()
        return facts[-1][0]


async def consume(broker: str, database: str, facts: int) -> dict[str, Any]:
    client = await nats.connect(broker)
    store: Any = SqliteStore() if database.startswith("sqlite") else PostgresStore()
    await store.open(database)
    pull, out = Pull(client), Out(client)
    await pull.open()
    await out.open()
    begun, cpu, taken, stored = time.perf_counter(), time.process_time(), 0, 0
    publishing: asyncio.Task[int] | None = None
    while taken < facts:
        messages = await pull.batch()
        taken += len(messages)
        made = await store.apply([read(message) for message in messages], stored)
        await messages[-1].ack()
        if publishing is not None:
            stored = await publishing
        publishing = asyncio.create_task(out.publish(made))
    if publishing is not None:
        await publishing
    await client.flush()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "total": await store.close(), "stream": "OUT"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("broker", "database"):
        parser.add_argument(name)
    parser.add_argument("facts", type=int)
    asked = parser.parse_args()
    print(json.dumps(uvloop.run(consume(asked.broker, asked.database, asked.facts))))


if __name__ == "__main__":
    main()
