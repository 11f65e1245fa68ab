"""An inspection of ghent, asked of a laboratory and a historian that are real processes, by a bridge that dies in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.operations.v1.lane_service_pb2 import ListLanesRequest
from isthmus.quality.v1.quality_events_pb2 import InspectionOpened
from services.operations.console.app import application
from services.operations.console.asked import connect
from tests.support import influx
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.ghent import NOW, TRACE, Ghent, Process, an_inspection
from tests.support.ports import free_port

pytestmark = pytest.mark.connected
MAP = "services/edge_bridge/lims_maps/ghent.json"


class Laboratory:
    """The simulated laboratory, and its folder."""

    def __init__(self, home: Path) -> None:
        self.folder, self.port = home / "share", free_port()
        arguments = ["--port", str(self.port), "--state", str(home), "--folder", str(self.folder)]
        self.process = Process(home / "lims.log", "simulators.lims", *arguments, "--result-seconds", "0.2")

    async def post(self, path: str, **said: Any) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as http:
            answer = await http.post(path, json=said)
            answer.raise_for_status()
            return dict(answer.json())

    async def is_up(self) -> bool:
        try:
            await self.post("/besturing")
        except httpx.HTTPError:
            return False
        return True

    def files(self, folder: str) -> list[str]:
        place = self.folder / folder
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    home = tmp_path / "lims"
    home.mkdir()
    found = Laboratory(home)
    found.process.start()
    yield found
    found.process.kill()


@pytest.fixture
def ghent(tmp_path: Path, broker: Broker, laboratory: Laboratory) -> Iterator[Ghent]:
    told = {"LIMS_FOLDER": str(laboratory.folder), "LIMS_MAP_FILE": MAP, "TIME_ZONE": "Europe/Brussels"}
    found = Ghent(tmp_path, broker, **told, LIMS_QUIET_SECONDS="0.5")
    found.bridge.start()
    yield found
    found.bridge.kill()


async def some(ghent: Ghent, kind: str, count: int = 1) -> list[tuple[Any, Any]]:
    async def look() -> list[tuple[Any, Any]]:
        found = await ghent.facts(kind)
        assert len(found) >= count, found
        return found

    found = await eventually(look, within=40)
    assert len(found) == count
    return found


async def opened(ghent: Ghent, laboratory: Laboratory, *characteristics: str, **provoked: bool) -> None:
    await eventually(laboratory.is_up)
    await laboratory.post("/besturing", **provoked)
    await ghent.say("quality-ghent", InspectionOpened(inspection=an_inspection(characteristics)))


async def test_a_sample_is_asked_for_and_its_results_are_told_in_the_orders_trace(
    ghent: Ghent, laboratory: Laboratory
) -> None:
    await opened(ghent, laboratory, "viscosity", "ph")
    ((taken, sample),) = await some(ghent, "SampleTaken")
    assert (taken.order_key, sample.sample_number, sample.inspection_id) == ("ghent-1", "M26-00001", "ghent-1-50-H-1")
    results = await some(ghent, "LabResultReported", 2)
    assert [(e.order_key, r.sample_number, r.result.revision) for e, r in results] == [
        ("sample:M26-00001", "M26-00001", 1)
    ] * 2
    values = {r.result.characteristic_id: (r.result.value.value, r.result.value.unit_code) for _, r in results}
    assert values == {"viscosity": ("212.5", "C24"), "ph": ("7.1", "Q30")}
    assert {e.traceparent.split("-")[1] for e, _ in [(taken, sample), *results]} == {TRACE.split("-")[1]}
    await eventually(lambda: laboratory.files("done") == ["M26-00001.csv"])
    assert ghent.connector("lims-ghent").is_connected


async def test_a_correction_is_a_result_of_its_own_and_what_comes_again_is_none(
    ghent: Ghent, laboratory: Laboratory
) -> None:
    await opened(ghent, laboratory, "viscosity", dubbel=True)
    await some(ghent, "LabResultReported")
    await laboratory.post("/correctie", monster="M26-00001", bepaling="VISC-20", waarde="198.4")
    await laboratory.post("/herhaling", monster="M26-00001")
    await eventually(lambda: len(laboratory.files("done")) == 4 and not laboratory.files("results"))
    results = await some(ghent, "LabResultReported", 2)
    assert [(r.result.revision, r.result.value.value) for _, r in results] == [(1, "212.5"), (2, "198.4")]


async def test_a_broken_file_is_put_aside_whole_and_the_status_says_so(ghent: Ghent, laboratory: Laboratory) -> None:
    await opened(ghent, laboratory, "viscosity", "ph", kopregel=True)
    await eventually(lambda: laboratory.files("quarantine") == ["M26-00001.csv", "M26-00001.csv.reason.txt"], within=40)
    await eventually(lambda: "1 files in quarantine" in ghent.connector("lims-ghent").last_error)
    bridge = {"ghent": f"127.0.0.1:{ghent.port}"}
    console = httpx.ASGITransport(
        app=application(connect("127.0.0.1:9", "", {}, bridge, ("ghent",), ""), form_minutes=60)
    )
    async with httpx.AsyncClient(transport=console, base_url="http://127.0.0.1") as client:
        assert "1 files in quarantine, the first is M26-00001.csv" in (await client.get("/exceptions")).text
    assert not await ghent.facts("LabResultReported")
    await laboratory.post("/besturing", afgebroken=True)
    await laboratory.post("/herhaling", monster="M26-00001")
    await eventually(lambda: len(laboratory.files("quarantine")) == 4)
    assert not await ghent.facts("LabResultReported")


async def test_a_row_that_nobody_can_read_parks_its_sample_and_others_flow(
    ghent: Ghent, laboratory: Laboratory
) -> None:
    await opened(ghent, laboratory, "viscosity", formule=True)
    await eventually(lambda: laboratory.files("done") == ["M26-00001.csv"], within=40)
    header = "Monsternr;Bepaling;Revisie;Meetwaarde;Eenheid;Meettijd"
    row = "M26-00001;PH;1;7,1;pH;25-11-2026 14:35\nM26-77777;PH;1;7,0;pH;25-11-2026 14:35"
    (laboratory.folder / "results" / "z.csv").write_text(f"{header}\n{row}\nEINDE;2\n")
    ((_, other),) = await some(ghent, "LabResultReported")
    assert other.sample_number == "M26-77777"
    (lane,) = ghent.call_desk("ListLanes", ListLanesRequest()).lanes
    assert (lane.consumer, lane.order_key, lane.fact_count) == ("lims-ghent", "sample:M26-00001", 2)
    assert lane.reason == "RECORD_FIELD_UNREADABLE"


async def test_a_bridge_killed_between_taking_a_file_and_putting_it_away_takes_it_once(
    ghent: Ghent, laboratory: Laboratory
) -> None:
    await eventually(laboratory.is_up)
    (laboratory.folder / "done").write_text("in the way: nothing can be put away")
    await opened(ghent, laboratory, "viscosity", "ph")
    first = await some(ghent, "LabResultReported", 2)
    assert laboratory.files("results") == ["M26-00001.csv"]
    ghent.bridge.kill()
    (laboratory.folder / "done").unlink()
    ghent.bridge.start()
    await eventually(lambda: laboratory.files("done") == ["M26-00001.csv"], within=40)
    again = await some(ghent, "LabResultReported", 2)
    assert [e.event_id for e, _ in again] == [e.event_id for e, _ in first]


async def test_a_laboratory_that_is_away_is_asked_once_it_is_back(
    tmp_path: Path, broker: Broker, laboratory: Laboratory
) -> None:
    await eventually(laboratory.is_up)
    laboratory.process.kill()
    told = {"LIMS_FOLDER": str(laboratory.folder), "LIMS_MAP_FILE": MAP, "TIME_ZONE": "Europe/Brussels"}
    ghent = Ghent(tmp_path, broker, **told)
    ghent.bridge.start()
    try:
        await ghent.say("quality-ghent", InspectionOpened(inspection=an_inspection(["viscosity"])))
        await eventually(lambda: len(laboratory.files("requests")) == 1, within=40)
        ghent.bridge.kill()
        laboratory.process.start()
        ghent.bridge.start()
        await some(ghent, "SampleTaken")
        await some(ghent, "LabResultReported")
    finally:
        ghent.bridge.kill()


# --- historian


async def test_the_historians_evidence_is_told_once_when_the_window_is_written(tmp_path: Path, broker: Broker) -> None:
    server = influx.started(tmp_path / "influx")
    settings = {"HISTORIAN_URL": server.url, "HISTORIAN_GRACE_SECONDS": "30"}
    ghent = Ghent(tmp_path, broker, **settings)
    try:
        server.kill()  # away when it is asked first
        ghent.bridge.start()
        asked = an_inspection(historian=["reactor1.temperature", "reactor1.silent"], begin=NOW - timedelta(hours=1))
        await ghent.say("quality-ghent", InspectionOpened(inspection=asked))
        await eventually(lambda: not ghent.connector("historian-ghent").is_connected, within=40)
        ghent.bridge.kill()
        server.start()
        begin = NOW - timedelta(hours=1)
        hold = [(begin + timedelta(seconds=s), "85" if s == 30 else "80", 192) for s in range(0, 50, 5)]
        influx.write(server, "reactor1.temperature", hold)
        ghent.bridge.start()
        await eventually(lambda: ghent.connector("historian-ghent").is_connected, within=40)
        assert not await ghent.facts()
        influx.write(server, "reactor1.temperature", [(begin + timedelta(seconds=91), "80", 192)])
        told = {d.evidence.tag_id: d.evidence for _, d in await some(ghent, "HistorianEvidenceReported", 2)}
        seen = told["reactor1.temperature"]
        assert (seen.reading_count, seen.minimum.value, seen.maximum.value) == (10, "80", "85")
        assert seen.dwell_duration.seconds == 35
        assert [(g.start_time.ToDatetime(), g.end_time.ToDatetime()) for g in seen.gaps] == [
            ((begin + timedelta(seconds=45)).replace(tzinfo=None), (begin + timedelta(seconds=60)).replace(tzinfo=None))
        ]
        silent = told["reactor1.silent"]
        assert (silent.reading_count, len(silent.gaps), silent.HasField("minimum")) == (0, 1, False)
        ghent.bridge.kill()
        ghent.bridge.start()
        await eventually(lambda: ghent.connector("historian-ghent").is_connected, within=40)
        assert len(await ghent.facts("HistorianEvidenceReported")) == 2
    finally:
        ghent.bridge.kill()
        server.kill()
