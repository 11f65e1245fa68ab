"""The legacy MES's tables, made by its real process: its book is all rows, those that were read among them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from servicekit.postings import Refused
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers.staging_mes import StagingMes
from tests.support.eventually import eventually
from tests.support.ghent import Process
from tests.support.requests import a_material

pytestmark = pytest.mark.connected
ROW = "INSERT INTO CONFIRM_OUT (MES_NO, OP_NO, GOOD, UOM, CANCELS) VALUES ('Z40001', '10', ?, 'KS', ?)"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    process = Process(tmp_path / "mes.log", "simulators.mes_staging", "--port", "0", "--state", str(tmp_path))
    process.start()
    yield tmp_path / "staging.db"
    process.kill()


def write(database: Path, good: str, cancels: str | None = None) -> None:
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute(ROW, (good, cancels))


def has_tables(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(database, timeout=10)) as connection:
            connection.execute("SELECT 1 FROM CONFIRM_OUT")
    except sqlite3.OperationalError:
        return False
    return True


async def test_rows_that_were_read_stay_in_its_book_and_a_cancellation_names_the_row(database: Path) -> None:
    await eventually(lambda: has_tables(database))
    mes = StagingMes("mes-brno", database)
    write(database, "4")
    ((first, position),) = await mes.records("")
    await mes.mark_read(first)
    write(database, "0", "1")
    assert [record.record_id for record, _ in await mes.booked("", 1)] == [first.record_id]
    ((cancelled, _),) = await mes.booked(position, 100)
    said = {field.name: field.value for field in cancelled.fields}
    assert said["CANCELS_RECORD"] == first.record_id
    assert [record.record_id for record, _ in await mes.records("")] == [cancelled.record_id]


async def test_tables_that_are_not_there_are_said_to_be_away(tmp_path: Path) -> None:
    with pytest.raises(DriverAway):
        await StagingMes("mes-brno", tmp_path / "none.db").booked("", 100)


async def test_a_material_s_last_row_counts_and_a_late_older_one_changes_nothing(database: Path) -> None:
    await eventually(lambda: has_tables(database))
    tell = StagingMes("mes-brno", database).posting_kinds()["tell_material"]
    newer, older = a_material("BALL-20", 2, "270", "280"), a_material("BALL-20", 1, "300")
    assert await tell.find(newer) is None
    for posting in (newer, older, newer):
        await tell.draft(posting)
        await tell.book(posting, posting.key)
        assert (await tell.read(posting, posting.key)).is_booked
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        kept = connection.execute("SELECT ITEM, SEQ, AVAILABLE, SAFETY, REORDER, UOM FROM MES_MATERIALS").fetchall()
        rows = connection.execute("SELECT COUNT(*) FROM MATERIAL_IN").fetchone()
    assert (kept, rows) == ([("BALL-20", 2, "270", None, "280", "KS")], (2,))


async def test_a_material_that_the_mes_can_t_read_is_refused_with_its_words(database: Path) -> None:
    await eventually(lambda: has_tables(database))
    tell = StagingMes("mes-brno", database).posting_kinds()["tell_material"]
    posting = a_material("BALL-20", 1, "much")
    await tell.draft(posting)
    await tell.book(posting, posting.key)
    with pytest.raises(Refused, match="CISLO"):
        await tell.read(posting, posting.key)
