"""Documents by the hundred through the kit's door, in a process of its own: what claims cost however many there are."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import uvloop

from servicekit import telemetry
from servicekit.clock import monotonic
from servicekit.database import Database
from servicekit.door import Door
from tests.bench.caller import A_MESSAGE
from tests.bench.work import tally_of
from tests.support import toy

MESSAGES_AHEAD = 2


async def claim(database: Database, first: int, many: int) -> float:
    """Seconds for documents first..first+many."""
    door = Door(database, toy.STORE, lambda _told: None)
    serving = [asyncio.ensure_future(door.serve())] if database.is_sqlite else []
    starts = iter(range(first, first + many, A_MESSAGE))
    messages = [[toy.a_document(str(n), tally_of(n)) for n in range(at, at + A_MESSAGE)] for at in starts]
    waiting = iter(messages)

    async def caller() -> None:
        for documents in waiting:
            outcomes = await door.run_each(toy.add, documents, toy.add_of)
            assert not any(isinstance(outcome, Exception) or outcome.replayed for outcome in outcomes)  # type: ignore[union-attr]

    begun = monotonic()
    await asyncio.gather(*(caller() for _ in range(MESSAGES_AHEAD)))
    seconds = monotonic() - begun
    for task in serving:
        task.cancel()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    for name in ("first", "many"):
        parser.add_argument(name, type=int)
    parser.add_argument("--versions", type=Path, required=True, help="folder for the toy's migration")
    asked = parser.parse_args()
    telemetry.start("inventory", "", "", "error")
    database = toy.open_database(asked.database, asked.versions)
    print(json.dumps({"seconds": uvloop.run(claim(database, asked.first, asked.many))}))
    database.close()


if __name__ == "__main__":
    main()
