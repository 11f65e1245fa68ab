"""Says facts as a plant's edge bridge would, through the kit's own outbox and relay, without a plant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from servicekit import migrate
from servicekit.broker import Broker, StreamRules
from servicekit.database import Database
from servicekit.door import Door
from servicekit.facts import slot_of
from servicekit.relay import Relay
from servicekit.run import end_of
from servicekit.use_case import Decision, Fact, Seen, Store, UseCase

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Said:
    facts: tuple[Fact, ...]


def decide(seen: Seen, command: Said, now: datetime) -> Decision:
    return Decision(facts=command.facts)


say = UseCase(name="say", loads=lambda c, seen: [], decide=decide)


class Plant:
    def __init__(self, door: Door) -> None:
        self._door = door

    async def says(self, facts: Sequence[Fact]) -> None:
        await self._door.run(say, Said(tuple(facts)))


@asynccontextmanager
async def plant_of(home: Path, broker_url: str, plant_id: str) -> AsyncIterator[Plant]:
    """An edge bridge's slot of a plant; asked again with the same home it goes on where it was."""
    await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
    database = Database(f"sqlite:///{home / 'plant.db'}")
    migrate.migrate(database.engines[0], "edge_bridge", ROOT / "services" / "edge_bridge" / "migrations")
    broker = Broker(broker_url, StreamRules.load(ROOT / "deploy" / "nats" / "streams.yaml"), "edge_bridge")
    relay = Relay(database, broker)
    door = Door(database, Store("edge_bridge", ()), relay.told)
    tasks = [asyncio.ensure_future(part) for part in (door.serve(), relay.serve([slot_of("edge_bridge", plant_id)]))]
    try:
        yield Plant(door)
    finally:
        await end_of(tasks)
        await broker.close()
        database.close()
