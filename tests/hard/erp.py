"""The small ERP as tests hold it, and the adapter that postings reach it by."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from servicekit.postings import Away, Found, NoAnswer, Posting, Refused
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import ROOT


class Erp:
    """One process; its journal outlives it."""

    def __init__(self, home: Path, name: str = "erp") -> None:
        self.name, self.port, self._journal = name, free_port(), home / f"{name}.journal"
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._spawn()

        def answers() -> bool:
            try:
                return httpx.get(self.url).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        await eventually(answers, within=30)

    def _spawn(self) -> None:
        command = [sys.executable, "-m", "tests.hard.erp_process", str(self.port), str(self._journal)]
        self._process = subprocess.Popen(command, cwd=ROOT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def faults(self, **wanted: Any) -> None:
        httpx.post(f"{self.url}/faults", json=wanted).raise_for_status()

    def books(self) -> dict[str, Any]:
        return httpx.get(self.url).json()


class HttpKind:
    """A posting at the small ERP. Counts what it was asked, for the ERP can't while it is down."""

    settle_time = timedelta(seconds=2)

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=5)
        self.asked = 0

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, step: str, posting: Posting) -> Found:
        self.asked += 1
        try:
            response = await self._http.post(f"/{step}", json={"key": posting.key})
        except httpx.ConnectError as error:
            raise Away(str(error)) from error
        except httpx.TransportError as error:
            raise NoAnswer(str(error)) from error
        if response.status_code == httpx.codes.CONFLICT:
            raise Refused(response.json()["reason"], "the books of this month are closed")
        found = response.json()
        return Found(found["foreign_id"], found["is_booked"])

    async def find(self, posting: Posting) -> Found | None:
        found = await self._ask("find", posting)
        return found if found.foreign_id else None

    async def draft(self, posting: Posting) -> str:
        return (await self._ask("draft", posting)).foreign_id

    async def book(self, posting: Posting, foreign_id: str) -> None:
        await self._ask("book", posting)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        return await self._ask("find", posting)
