"""A laboratory's file as rows: whole, not finished yet, or broken for a reason that a plant engineer understands."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BYTES_MOST = 1_000_000
ROWS_MOST = 2_000
COLUMNS_MOST = 50
CELL_MOST = 500
BOM = b"\xef\xbb\xbf"


class Broken(Exception):
    """Nothing of this file can be trusted."""


class Unfinished(Exception):
    """The end mark is not there, or counts other rows: perhaps it is still being written."""


@dataclass(frozen=True, slots=True)
class Cells:
    """One row, each cell by its column's name in the file."""

    line: int
    values: Mapping[str, str]


def read_sheet(raw: bytes, end_mark: str, wanted: Sequence[str]) -> list[Cells]:
    """The rows between header and end mark. Semicolons; UTF-8 with its mark, else Windows-1252. Raises Broken, Unfinished."""
    if len(raw) > BYTES_MOST:
        raise Broken(f"the file is larger than {BYTES_MOST} bytes")
    lines = _lines(raw)
    body = _body(lines, end_mark)
    header = _header(lines[0], wanted)
    for number, cells in enumerate(body, start=2):
        if len(cells) != len(header):
            raise Broken(f"line {number} has {len(cells)} cells, the header has {len(header)}")
        long = next((name for name, cell in zip(header, cells, strict=True) if len(cell) > CELL_MOST), "")
        if long:
            raise Broken(f"line {number}: the cell {long!r} is longer than {CELL_MOST} characters")
    return [Cells(number, dict(zip(header, cells, strict=True))) for number, cells in enumerate(body, start=2)]


def _lines(raw: bytes) -> list[list[str]]:
    """All lines as cells, without empty ones at the end."""
    encoding = "utf-8-sig" if raw.startswith(BOM) else "cp1252"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise Broken(f"byte {error.start} is no character of {encoding}") from error
    if "\0" in text:
        raise Broken("the file holds characters that are no text")
    lines: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=";", strict=True):
            if len(lines) > ROWS_MOST + 1:
                raise Broken(f"the file has more than {ROWS_MOST} rows")
            lines.append(cells)
    except csv.Error as error:
        if "unexpected end of data" in str(error):  # a quoted cell that is cut
            raise Unfinished("the last cell is not closed") from error
        raise Broken(f"line {len(lines) + 1} is no line of cells: {error}") from error
    while lines and not any(lines[-1]):
        lines.pop()
    return lines


def _header(cells: Sequence[str], wanted: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if len(header) > COLUMNS_MOST:
        raise Broken(f"the header has more than {COLUMNS_MOST} columns")
    missing = [name for name in wanted if name not in header]
    if missing:
        raise Broken(
            f"the column {', '.join(map(repr, missing))} is missing; the file has {', '.join(map(repr, header))}"
        )
    if len(set(header)) != len(header):
        raise Broken("two columns have one name")
    return header


def _body(lines: Sequence[list[str]], end_mark: str) -> Sequence[list[str]]:
    last = [cell.strip() for cell in lines[-1]] if lines else []
    count = last[1] if len(last) > 1 else ""
    if len(lines) < 2 or last[0] != end_mark or any(last[2:]):
        raise Unfinished(f"there is no line that begins with {end_mark!r} at the end")
    if not (count.isascii() and count.isdigit()) or int(count) != len(lines) - 2:
        raise Unfinished(f"the end mark counts {count or 'nothing'}, the file has {len(lines) - 2} rows")
    return lines[1:-1]


def write_sheet(end_mark: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """The same, written: UTF-8 with its mark, for what reads it is older than UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerows([list(header), *map(list, rows), [end_mark, str(len(rows))]])
    return BOM + text.getvalue().encode()
