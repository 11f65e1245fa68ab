"""Of which plants something new was heard, for whoever shows it.

What was heard stands in the positions of the slots, so they are looked at: one look for all who wait, whichever replica heard it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from isthmus.operations.v1 import operations_service_pb2 as messages
from servicekit.database import Database, Tx
from servicekit.domain import DomainError

LOOK_SECONDS = 0.5
WAIT_SECONDS = 10.0
Positions = dict[str, list[int]]  # by slot: epoch and sequence


class Changes:
    """What was heard as it was looked at last, and those who wait for another look."""

    def __init__(self, plants: Sequence[str]) -> None:
        self._plants, self._heard, self._waiting = sorted(plants), Positions(), 0
        self._news = asyncio.Condition()

    async def serve(self, database: Database) -> None:
        """Run until cancelled. Nobody waits: nothing is looked at."""
        while True:
            if self._waiting:
                try:
                    heard = await database.read(_positions)
                except DomainError:  # the store is away: nothing new is heard either
                    heard = self._heard
                if heard != self._heard:
                    self._heard = heard
                    async with self._news:
                        self._news.notify_all()
            await asyncio.sleep(LOOK_SECONDS)

    async def after(self, request: messages.WatchChangesRequest) -> messages.WatchChangesResponse:
        known = _known(request.change_token)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._news:
                await self._news.wait_for(lambda: known is None or self._heard != known)
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        heard = self._heard
        changed = {slot.partition("-")[2] for slot in heard if known is None or heard[slot] != known.get(slot)}
        told = self._plants if known is None else [plant for plant in self._plants if plant in changed]
        return messages.WatchChangesResponse(plant_ids=told, change_token=json.dumps(heard))


def _known(token: str) -> Positions | None:
    try:
        known = json.loads(token)
    except ValueError:
        return None
    return known if isinstance(known, dict) else None


def _positions(tx: Tx) -> Positions:
    rows = tx.rows("SELECT slot, producer_epoch, producer_sequence FROM position ORDER BY slot")
    return {row.slot: [row.producer_epoch, row.producer_sequence] for row in rows}
