"""What the load did, on disk before it counts: each attempt before it is sent, each acknowledgement when it came."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

FLUSH_SECONDS = 0.01


class Journal:
    """Lines are synced together; `write` returns when its line is safe."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lines: list[str] = []
        self._done: asyncio.Future[None] | None = None

    async def write(self, what: str, number: str, **more: Any) -> None:
        self._lines.append(json.dumps({"what": what, "at": time.time(), "number": number, **more}))
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
            self._later = asyncio.ensure_future(self._flush(self._done))
        await asyncio.shield(self._done)

    async def _flush(self, done: asyncio.Future[None]) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        lines, self._lines, self._done = self._lines, [], None
        await asyncio.to_thread(self._sync, "".join(f"{line}\n" for line in lines))
        done.set_result(None)

    def _sync(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())
