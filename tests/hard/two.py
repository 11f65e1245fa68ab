"""The kit's saying and hearing service, under stream rules of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from servicekit.broker import Broker as Connection
from servicekit.broker import StreamRules
from servicekit.database import Database
from servicekit.door import Door
from servicekit.run import end_of
from tests.servicekit.test_relay_and_reader import RULES, Two
from tests.support import toy


@dataclass
class Ruled(Two):
    rules: StreamRules = RULES

    def connect(self, name: str) -> Connection:
        self.connections.append(Connection(self.url, self.rules, name))
        return self.connections[-1]


@asynccontextmanager
async def between(door: Door, here: Database, url: str, home: Path, rules: StreamRules = RULES) -> AsyncIterator[Ruled]:
    there = toy.open_database(f"sqlite:///{home / 'there.db'}", home / "versions")
    made = Ruled(door, here, there, url, rules=rules)
    try:
        yield made
    finally:
        await end_of(made.tasks)
        for connection in made.connections:
            await connection.close()
        there.close()
