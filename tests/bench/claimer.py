"""Documents by the hundred through the kit's door, in a process of its own: what claims cost however many there are."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from collections.abc import Callable
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


NUMBER_OF: dict[str, Callable[[int], str]] = {
    "following": str,
    "scattered": lambda n: hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest(),
}


async def claim(database: Database, first: int, many: int, numbers: str) -> float:
    """Seconds for documents first..first+many, whose numbers follow one another or are scattered."""
    number_of = NUMBER_OF[numbers]
    door = Door(database, toy.STORE, lambda _told: None)
    serving = [asyncio.ensure_future(door.serve())] if database.is_sqlite else []
    starts = iter(range(first, first + many, A_MESSAGE))
    messages = [[toy.a_document(number_of(n), tally_of(n)) for n in range(at, at + A_MESSAGE)] for at in starts]
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
    parser.add_argument("--numbers", choices=NUMBER_OF, default="following", help="of the documents")
    asked = parser.parse_args()
    telemetry.start("inventory", "", "", "error")
    database = toy.open_database(asked.database, asked.versions)
    print(json.dumps({"seconds": uvloop.run(claim(database, asked.first, asked.many, asked.numbers))}))
    database.close()


if __name__ == "__main__":
    main()
