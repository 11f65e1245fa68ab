"""What of a laboratory's file is whole, what may still come, and what can't be trusted."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge_bridge.drivers import lims_sheet
from services.edge_bridge.drivers.lims_sheet import Broken, Unfinished, read_sheet, write_sheet

WANTED = ["Monsternr", "Meetwaarde"]
WHOLE = "Monsternr;Meetwaarde;Analist\r\nM26-1;12,5;Ren\xe9\r\nM26-2;7,1;jvdb\r\nEINDE;2\r\n"


def read(text: str, encoding: str = "cp1252") -> list[dict[str, str]]:
    return [dict(cells.values) for cells in read_sheet(text.encode(encoding), "EINDE", WANTED)]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig"])
def test_a_whole_file_is_read_in_either_encoding(encoding: str) -> None:
    rows = read(WHOLE, encoding)
    assert rows[0] == {"Monsternr": "M26-1", "Meetwaarde": "12,5", "Analist": "Ren\xe9"}
    assert len(rows) == 2


@pytest.mark.parametrize("length", range(len(WHOLE) - 2))
def test_a_file_that_is_cut_anywhere_is_not_finished(length: int) -> None:
    with pytest.raises(Unfinished):
        read(WHOLE[:length])


def test_a_file_whose_rows_are_not_as_many_as_counted_is_not_finished() -> None:
    with pytest.raises(Unfinished, match="counts 3, the file has 2 rows"):
        read(WHOLE.replace("EINDE;2", "EINDE;3"))


def test_a_file_with_no_row_is_whole() -> None:
    assert read("Monsternr;Meetwaarde\nEINDE;0\n") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WHOLE.replace("Meetwaarde", "Resultaat"), "'Meetwaarde' is missing"),
        (WHOLE.replace("Analist", "Monsternr"), "two columns have one name"),
        (WHOLE.replace(";7,1;", ";7;1;"), "line 3 has 4 cells, the header has 3"),
        (WHOLE.replace("jvdb", "x" * 501), "longer than 500 characters"),
        (WHOLE.replace("7,1", '"7"1'), "no line of cells"),
        (WHOLE.replace("Analist", ";" * 60), "more than 50 columns"),
        (WHOLE.replace("jvdb", "\0"), "no text"),
    ],
)
def test_a_file_of_another_form_is_broken_and_says_where(text: str, said: str) -> None:
    with pytest.raises(Broken, match=said):
        read(text)


def test_bytes_that_are_no_characters_break_a_file() -> None:
    with pytest.raises(Broken, match="byte 5 is no character of cp1252"):
        read_sheet(b"Monst\x81rnr;Meetwaarde\nEINDE;0\n", "EINDE", WANTED)


def test_a_file_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lims_sheet, "ROWS_MOST", 2)
    assert len(read(WHOLE)) == 2
    monkeypatch.setattr(lims_sheet, "ROWS_MOST", 1)
    with pytest.raises(Broken, match="more than 1 rows"):
        read(WHOLE)
    monkeypatch.setattr(lims_sheet, "BYTES_MOST", 10)
    with pytest.raises(Broken, match="larger than 10 bytes"):
        read(WHOLE)


@given(st.lists(st.tuples(st.text('abc;"é\r\n ', max_size=8), st.text("0123,", min_size=1, max_size=5)), max_size=5))
def test_what_we_write_can_be_read(rows: list[tuple[str, str]]) -> None:
    cells = read_sheet(write_sheet("EINDE", WANTED, rows), "EINDE", WANTED)
    assert [tuple(one.values.values()) for one in cells] == rows


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    with contextlib.suppress(Broken, Unfinished):
        assert isinstance(read_sheet(raw, "EINDE", WANTED), list)
