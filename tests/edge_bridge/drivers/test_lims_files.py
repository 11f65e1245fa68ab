"""The laboratory's folder: taken when whole, put away once, nothing written over, nothing lost."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from isthmus.edge.v1.laboratory_postings_pb2 import TakeSample
from servicekit.postings import Away, Found, Posting, Refused
from services.edge_bridge.driver import DriverAway, Sheet
from services.edge_bridge.drivers.lims_files import LimsFiles, TakesSample, file_name
from services.edge_bridge.drivers.lims_sheet import read_sheet
from services.edge_bridge.lims_map import load_map

MAP = load_map(Path("services/edge_bridge/lims_maps/ghent.json"))
HEADER = "Monsternr;Bepaling;Revisie;Meetwaarde;Eenheid;Meettijd"
ROW = "M26-00001;VISC-20;1;212,5;mPa.s;25-11-2026 14:35"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("requests", "accepted", "results"):
        (tmp_path / name).mkdir()
    return tmp_path


def drop(folder: Path, name: str, *rows: str, count: int | None = None, age: int = 0) -> Path:
    path = folder / "results" / name
    count = len(rows) if count is None else count
    path.write_text("\r\n".join([HEADER, *rows, f"EINDE;{count}", ""]), encoding="cp1252")
    os.utime(path, (1_800_000_000 - age, 1_800_000_000 - age))
    return path


def lims(folder: Path, quiet_seconds: float = 30.0) -> LimsFiles:
    return LimsFiles("lims-ghent", folder, MAP, quiet_seconds)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_whole_file_is_one_sheet_and_then_done(folder: Path) -> None:
    drop(folder, "r1.csv", ROW, ROW.replace("VISC-20", "PH"))
    driver = lims(folder)
    sheet = await driver.next_sheet()
    assert sheet is not None
    assert [order_key for order_key, _ in sheet.rows] == ["sample:M26-00001"] * 2
    assert [record.record_id for _, record in sheet.rows] == ["M26-00001/VISC-20/1", "M26-00001/PH/1"]
    await driver.mark_read(sheet)
    assert names(folder / "done") == ["r1.csv"]
    assert await driver.next_sheet() is None


async def test_the_oldest_file_comes_first(folder: Path) -> None:
    drop(folder, "a.csv", ROW, age=5)
    drop(folder, "b.csv", ROW, age=9)
    sheet = await lims(folder).next_sheet()
    assert sheet is not None
    assert sheet.file_name == "b.csv"


async def test_a_file_of_a_known_name_is_not_written_over(folder: Path) -> None:
    driver = lims(folder)
    for _ in range(2):
        drop(folder, "r1.csv", ROW)
        sheet = await driver.next_sheet()
        assert sheet is not None
        await driver.mark_read(sheet)
    assert names(folder / "done") == ["r1.1.csv", "r1.csv"]


async def test_an_unfinished_file_waits_and_keeps_no_other_waiting(folder: Path) -> None:
    drop(folder, "cut.csv", ROW, count=2, age=9)
    drop(folder, "r1.csv", ROW)
    sheet = await lims(folder).next_sheet()
    assert sheet is not None
    assert sheet.file_name == "r1.csv"
    assert (folder / "results" / "cut.csv").exists()


async def test_a_file_that_stays_cut_is_put_aside_with_the_reason(folder: Path) -> None:
    drop(folder, "cut.csv", ROW, count=2)
    driver = lims(folder, quiet_seconds=0.0)
    assert await driver.next_sheet() is None
    assert names(folder / "quarantine") == ["cut.csv", "cut.csv.reason.txt"]
    reason = (folder / "quarantine" / "cut.csv.reason.txt").read_text()
    assert reason.startswith("cut.csv was not taken: it was cut off: the end mark counts 2, the file has 1 rows")
    assert driver.quarantined() == "1 files in quarantine, the first is cut.csv"


async def test_a_file_that_still_grows_is_given_its_time_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("servicekit.clock.monotonic", lambda: now)
    driver = lims(folder, quiet_seconds=30.0)
    drop(folder, "slow.csv", ROW, count=9)
    for now, rows in ((100.0, 1), (125.0, 2), (150.0, 2)):  # noqa: B007 - the clock reads it
        drop(folder, "slow.csv", *[ROW] * rows, count=9)
        assert await driver.next_sheet() is None
    assert (folder / "results" / "slow.csv").exists()
    now = 156.0
    await driver.next_sheet()
    assert names(folder / "quarantine") == ["slow.csv", "slow.csv.reason.txt"]


async def test_a_renamed_header_puts_the_whole_file_aside(folder: Path) -> None:
    path = drop(folder, "r1.csv", ROW)
    path.write_text(path.read_text(encoding="cp1252").replace("Meetwaarde", "Resultaat"), encoding="cp1252")
    assert await lims(folder).next_sheet() is None
    assert "'Meetwaarde' is missing" in (folder / "quarantine" / "r1.csv.reason.txt").read_text()


async def test_a_link_is_no_file_of_the_laboratory(folder: Path) -> None:
    (folder / "results" / "r1.csv").symlink_to("/etc/hostname")
    assert await lims(folder).next_sheet() is None
    assert (folder / "quarantine" / "r1.csv").is_symlink()


async def test_a_file_that_grew_after_it_was_read_is_not_put_away(folder: Path) -> None:
    driver = lims(folder)
    path = drop(folder, "r1.csv", ROW)
    sheet = await driver.next_sheet()
    assert sheet is not None
    path.write_text(path.read_text(encoding="cp1252").replace("EINDE;1", f"{ROW}\nEINDE;2"), encoding="cp1252")
    await driver.mark_read(sheet)
    again = await driver.next_sheet()
    assert again is not None
    assert len(again.rows) == 2


async def test_a_row_without_a_plain_sample_number_has_a_lane_of_its_own(folder: Path) -> None:
    drop(folder, "r1.csv", ROW.replace("M26-00001", "=cmd"), ROW)
    sheet = await lims(folder).next_sheet()
    assert isinstance(sheet, Sheet)
    (odd, record), (plain, _) = sheet.rows
    assert odd == f"sample:{record.record_id}"
    assert len(record.record_id) == 64
    assert plain == "sample:M26-00001"


async def test_a_folder_that_is_not_there_is_a_laboratory_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(DriverAway):
        await lims(tmp_path / "nowhere").next_sheet()
    with pytest.raises(Away):
        await TakesSample(tmp_path / "nowhere", MAP).find(a_posting())


# --- requests


def a_posting(characteristic_id: str = "viscosity", key: str = "ghent-1-30-L/7/sample") -> Posting:
    asked = TakeSample(plant_id="ghent", inspection_id="ghent-1-30-L/7", item_id="RESIN-7", lot_id="L/7")
    asked.characteristics.add(characteristic_id=characteristic_id)
    return Posting("p", "ghent", "lims-ghent", "take_sample", "ghent-1", key, asked)


def answer(folder: Path, *cells: str) -> None:
    text = "\r\n".join(["Aanvraag;Monsternr;Status;Opmerking", ";".join(cells), "EINDE;1", ""])
    (folder / "accepted" / file_name(a_posting())).write_text(text)


async def test_a_request_is_whole_under_its_name_and_written_once(folder: Path) -> None:
    kind, posting = TakesSample(folder, MAP), a_posting()
    assert await kind.find(posting) is None
    await kind.draft(posting)
    (path,) = (folder / "requests").iterdir()
    assert path.name == file_name(posting)
    (cells,) = read_sheet(path.read_bytes(), "EINDE", ["Aanvraag"])
    assert dict(cells.values) == {"Aanvraag": posting.key, "Artikel": "RESIN-7", "Partij": "L/7", "Bepaling": "VISC-20"}
    before = path.stat().st_mtime_ns
    await kind.draft(posting)
    assert path.stat().st_mtime_ns == before
    assert await kind.find(posting) == Found(posting.key, is_booked=False)


async def test_the_laboratorys_number_is_read_from_its_answer(folder: Path) -> None:
    answer(folder, a_posting().key, "M26-00001", "AANVAARD", "")
    found = await TakesSample(folder, MAP).find(a_posting())
    assert found == Found("M26-00001", is_booked=True, answer={"sample_number": "M26-00001"})


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ((a_posting().key, "", "GEWEIGERD", "geen capaciteit"), "LIMS_REFUSED: geen capaciteit"),
        (("another key", "M26-00001", "AANVAARD", ""), "LIMS_ANSWER_UNREADABLE"),
        ((a_posting().key, "=1+1", "AANVAARD", ""), "LIMS_ANSWER_UNREADABLE"),
    ],
)
async def test_another_answer_is_refused(folder: Path, cells: tuple[str, ...], reason: str) -> None:
    answer(folder, *cells)
    with pytest.raises(Refused, match=reason):
        await TakesSample(folder, MAP).find(a_posting())


async def test_an_answer_that_is_cut_is_none_yet(folder: Path) -> None:
    (folder / "accepted" / file_name(a_posting())).write_text("Aanvraag;Monsternr;Status;Opmerking\r\nghent-1")
    assert await TakesSample(folder, MAP).find(a_posting()) is None


async def test_a_characteristic_that_the_laboratory_can_not_measure_is_refused(folder: Path) -> None:
    with pytest.raises(Refused, match=r"LIMS_TEST_UNKNOWN: .* colour"):
        await TakesSample(folder, MAP).draft(a_posting("colour"))
    assert not names(folder / "requests")


def test_keys_that_look_alike_have_files_of_their_own() -> None:
    assert file_name(a_posting(key="L/7")) != file_name(a_posting(key="L-7"))


def test_a_request_settles_in_more_than_twice_the_time_it_waits() -> None:
    assert TakesSample.settle_time > timedelta(seconds=10)
