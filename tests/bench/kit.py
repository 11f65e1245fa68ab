"""The same work through servicekit: reader, inbox, lanes, outbox and relay as a service of ours runs them."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

import uvloop

from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from servicekit import telemetry
from servicekit.broker import Broker
from servicekit.clock import monotonic
from servicekit.facts import Do, EventMeta
from servicekit.inbox import Inbox
from servicekit.reader import Reader
from servicekit.relay import Relay
from servicekit.run import calm_collector, end_of
from tests.bench.work import RULES, SLOT_IN, SLOT_OUT, stored_now
from tests.support import toy


def hear(event: OutputStored, meta: EventMeta) -> Do:
    """As the toy hears it, but that nobody waits for an answer."""
    return Do(toy.grow, toy.hear(event, meta).command)


async def consume(broker_url: str, database_url: str, facts: int, versions: Path) -> dict[str, Any]:
    database = toy.open_database(database_url, versions)
    telemetry.instrument()
    broker = Broker(broker_url, RULES, "bench")
    await broker.client()
    relay = Relay(database, broker)
    inbox = Inbox(database, toy.STORE, dict.fromkeys(toy.HANDLERS, hear), relay.told)
    reader = Reader(database, broker, inbox, [SLOT_IN])
    calm_collector()
    begun, cpu = monotonic(), time.process_time()
    parts = [asyncio.ensure_future(part) for part in (relay.serve([SLOT_OUT]), reader.serve())]
    js = await broker.jetstream()
    while await stored_now(js, SLOT_OUT) < facts:  # as the others count: the note on record comes up to 0.25 s later
        await asyncio.sleep(0.02)
        for part in parts:
            if part.done():
                part.result()
    seconds, cpu = monotonic() - begun, time.process_time() - cpu
    total = (await toy.rows(database, "SELECT SUM(amount) FROM tallies"))[0][0] // 1_000_000
    await end_of(parts)
    await broker.close()
    database.close()
    return {"seconds": seconds, "cpu_seconds": cpu, "total": int(total), "stream": SLOT_OUT}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("broker", "database"):
        parser.add_argument(name)
    parser.add_argument("facts", type=int)
    parser.add_argument("--versions", type=Path, required=True, help="folder for the toy's migration")
    parser.add_argument("--otlp", default="", help="where spans go")
    asked = parser.parse_args()
    telemetry.start("inventory", "", asked.otlp, "error")
    print(json.dumps(uvloop.run(consume(asked.broker, asked.database, asked.facts, asked.versions))))


if __name__ == "__main__":
    main()
