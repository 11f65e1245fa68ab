"""How far a stream holds a slot, noted on record beside the telling: what is said next does not wait for the note's commit."""

from __future__ import annotations

import asyncio
from functools import partial

from servicekit import clock, outbox
from servicekit.database import Database

MARK_SECONDS = 0.25  # between two notes: each is a commit of its own


class Marks:
    """The notes of one slot, one at a time, while its relay tells it."""

    def __init__(self, database: Database, slot: str) -> None:
        self._database, self._slot = database, slot
        self._noting: asyncio.Task[None] | None = None
        self._noted = -1  # on record, or on its way there
        self.due = 0.0

    def are_behind(self, told: int) -> bool:
        """Whether less than this is on record as stored."""
        return told > self._noted or self._noting is not None

    def look(self, told: int, *, is_wanted: bool) -> None:
        """Begin a note, if one is due or wanted now. Raises what the note before it met: Again or a DomainError."""
        if self._noting is not None and self._noting.done():
            noting, self._noting = self._noting, None
            noting.result()
        now = clock.monotonic()
        if self._noting is None and told > self._noted and (is_wanted or now >= self.due):
            note = partial(outbox.mark_stored, slot=self._slot, sequence=told, now=clock.now())
            self._noting = asyncio.create_task(self._database.write(note), name=f"marks {self._slot}")
            self._noted, self.due = told, now + MARK_SECONDS

    async def end(self) -> None:
        """Wait for the note on its way: behind a new epoch it would say of new numbers what was true of the old ones."""
        if self._noting is not None:
            await asyncio.wait([self._noting])
            self._noting.exception()  # what it met stops nobody now; the next relay notes it again
