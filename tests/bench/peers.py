"""Two natural ways to write the same service: FastStream with an outbox, and plain nats-py; one transaction a message each.

SQLAlchemy's asynchronous engine, constructs as its documentation shows them; the outbox is drained by a task of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import nats
import sqlalchemy as sa
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from tests.bench.work import SLOT_IN, SUBJECT_IN, TALLIES, tally_of

METADATA = sa.MetaData()
INBOX = sa.Table("inbox", METADATA, sa.Column("event_id", sa.Text, primary_key=True))
TALLY = sa.Table(
    "tallies", METADATA, sa.Column("tally_id", sa.Text, primary_key=True), sa.Column("amount", sa.BigInteger)
)
OUTBOX = sa.Table(
    "outbox",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("event_id", sa.Text),
    sa.Column("body", sa.LargeBinary),
)


def engine_of(url: str) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(url.replace("postgresql+psycopg", "postgresql+asyncpg"), pool_size=10)
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _durable(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


class Peer:
    """The service: one message, one transaction."""

    def __init__(self, url: str, facts: int) -> None:
        self.engine, self.facts = engine_of(url), facts
        self._insert = (sqlite if url.startswith("sqlite") else postgresql).insert
        self.begun = self.cpu = 0.0
        self.is_done = asyncio.Event()

    async def open(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.execute(sa.insert(TALLY), [{"tally_id": tally_of(n), "amount": 0} for n in range(TALLIES)])

    async def handle(self, body: bytes) -> None:
        if not self.begun:
            self.begun, self.cpu = time.perf_counter(), time.process_time()
        envelope = Envelope.FromString(body)
        said = OutputStored.FromString(envelope.data.value)
        async with self.engine.begin() as connection:
            new = self._insert(INBOX).values(event_id=envelope.event_id).on_conflict_do_nothing()
            if (await connection.execute(new)).rowcount:
                grown = TALLY.c.amount + int(said.quantity.value)
                update = sa.update(TALLY).where(TALLY.c.tally_id == said.work_order_id).values(amount=grown)
                await connection.execute(update)
                await connection.execute(sa.insert(OUTBOX).values(event_id=envelope.event_id, body=body))

    async def drain(self, js: JetStreamContext) -> None:
        told = 0
        while told < self.facts:
            async with self.engine.begin() as connection:
                rows = (await connection.execute(sa.select(OUTBOX).order_by(OUTBOX.c.number).limit(256))).all()
            if not rows:
                await asyncio.sleep(0.005)
                continue
            for row in rows:
                await js.publish("out.a", bytes(row.body), headers={"Nats-Msg-Id": row.event_id})
            async with self.engine.begin() as connection:
                await connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.number.in_([row.number for row in rows])))
            told += len(rows)
        self.is_done.set()

    async def result(self) -> dict[str, Any]:
        seconds, cpu = time.perf_counter() - self.begun, time.process_time() - self.cpu
        async with self.engine.begin() as connection:
            total = (await connection.execute(sa.select(sa.func.sum(TALLY.c.amount)))).scalar()
        await self.engine.dispose()
        return {"seconds": seconds, "cpu_seconds": cpu, "total": int(total), "stream": "OUT"}


async def natspy(broker: str, peer: Peer) -> None:
    """A push consumer with a callback."""
    client = await nats.connect(broker)
    js = client.jetstream()

    async def on_message(message: Any) -> None:
        await peer.handle(message.data)
        await message.ack()

    config = ConsumerConfig(max_ack_pending=1000, ack_wait=60)
    await js.subscribe(SUBJECT_IN, durable="d", stream=SLOT_IN, cb=on_message, manual_ack=True, config=config)
    await peer.drain(js)
    await client.close()


async def faststream(broker: str, peer: Peer) -> None:
    """A pull subscriber of the framework."""
    from faststream import FastStream
    from faststream.nats import JStream, NatsBroker, PullSub

    async def raw(message: Any) -> bytes:
        return bytes(message.body)

    connection = NatsBroker(broker, logger=None, log_level=logging.ERROR, decoder=raw)
    app = FastStream(connection, logger=None)
    stream = JStream(SLOT_IN, declare=False)

    @connection.subscriber(SUBJECT_IN, stream=stream, durable="d", pull_sub=PullSub(batch_size=256, timeout=1))
    async def handle(body: bytes) -> None:
        await peer.handle(body)

    running = asyncio.create_task(app.run())
    client = await nats.connect(broker)
    await peer.drain(client.jetstream())
    app.exit()
    await running
    await client.close()


PEERS: dict[str, Callable[[str, Peer], Awaitable[None]]] = {"natspy": natspy, "faststream": faststream}


async def consume(who: str, broker: str, database: str, facts: int) -> dict[str, Any]:
    peer = Peer(database, facts)
    await peer.open()
    running = asyncio.ensure_future(PEERS[who](broker, peer))
    await asyncio.wait([running, asyncio.ensure_future(peer.is_done.wait())], return_when=asyncio.FIRST_COMPLETED)
    said = await peer.result() if peer.is_done.is_set() else {}
    await running
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("who", "broker", "database"):
        parser.add_argument(name)
    parser.add_argument("facts", type=int)
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(consume(asked.who, asked.broker, asked.database, asked.facts))))


if __name__ == "__main__":
    main()
