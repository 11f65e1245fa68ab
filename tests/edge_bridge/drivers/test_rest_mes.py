"""The assembly MES as a real process: its book of reports is read from the beginning, whatever the bridge has read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers.rest_mes import RestMes
from services.edge_bridge.mappings import document_number
from tests.support.eventually import eventually
from tests.support.ghent import Process
from tests.support.ports import free_port
from tests.support.requests import a_material

pytestmark = pytest.mark.connected


class Terminal:
    """The process, and what an operator types at it."""

    def __init__(self, home: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.process = Process(
            home / "mes.log", "simulators.mes_rest", "--port", str(port), "--state", str(home), "--hold"
        )

    async def types(self, path: str, **content: Any) -> str:
        async with httpx.AsyncClient(base_url=self.url) as http:
            answer = (await http.post(path, json=content)).raise_for_status().json()
            return str(answer.get("meldung", ""))

    async def is_up(self) -> bool:
        try:
            await self.types("/api/halt", halt=True)
        except httpx.HTTPError:
            return False
        return True


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path)
    found.process.start()
    yield found
    found.process.kill()


@pytest.fixture
async def mes(terminal: Terminal) -> AsyncIterator[RestMes]:
    await eventually(terminal.is_up)
    found = RestMes("mes-aachen", terminal.url)
    yield found
    await found.http.aclose()


async def test_its_reports_are_listed_page_by_page_with_what_was_taken_back(terminal: Terminal, mes: RestMes) -> None:
    first = await terminal.types("/api/meldungen", auftrag="FA-000001", vorgang="0010", gut="3", einheit="ST")
    await terminal.types("/api/meldungen", auftrag="FA-000001", vorgang="0020", gut="2", einheit="ST")
    await terminal.types(f"/api/meldungen/{first}/storno", grund="Zaehlfehler")
    page = await mes.booked("", 2)
    rest = await mes.booked(page[-1][1], 2)
    found = [{field.name: field.value for field in record.fields} for record, _ in [*page, *rest]]
    assert [document_number(record, mes.name) for record, _ in [*page, *rest]] == ["M-000001", "M-000002", "M-000003"]
    assert [said.get("storno_von", "") for said in found] == ["", "", first]
    assert await mes.booked(rest[-1][1], 2) == []


async def test_a_book_that_can_not_be_read_is_said_to_be_away(terminal: Terminal, mes: RestMes) -> None:
    await asyncio.to_thread(terminal.process.kill)
    with pytest.raises(DriverAway):
        await mes.booked("", 100)


async def test_a_material_s_last_state_stands_and_an_older_one_is_passed_over(terminal: Terminal, mes: RestMes) -> None:
    tell = mes.posting_kinds()["tell_material"]
    newer, older = a_material("SEAL 7/A", 2, "79.5", "80"), a_material("SEAL 7/A", 1, "500")
    assert await tell.find(newer) is None
    for posting in (newer, older, newer):
        await tell.book(posting, "")
        assert (await tell.read(posting, "")).is_booked
    (kept,) = (await mes.http.get("/api/material")).json()["material"]
    assert (kept["artikel"], kept["stand"], kept["verfuegbar"], kept["meldebestand"], kept["ampel"]) == (
        "SEAL 7/A", 2, "79,5", "80", "GELB"
    )  # fmt: skip
    assert await tell.find(a_material("SEAL 7/A", 3, "1")) is None
