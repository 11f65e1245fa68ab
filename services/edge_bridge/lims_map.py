"""What a laboratory's words mean: its columns, test codes and units, as a data file that is checked at start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from servicekit.domain import UNIT_CODES

FILE_BYTES_MOST = 256_000
REQUEST = ("request_key", "item_id", "lot_id", "test_code")
ANSWER = ("request_key", "sample_number", "status", "remark")
RESULT = ("sample_number", "test_code", "revision", "value", "unit", "time")
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
CharacteristicId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=64)]


def _columns(*wanted: str) -> AfterValidator:
    """Exactly these columns, each under a name of its own."""

    def check(columns: dict[str, str]) -> dict[str, str]:
        if set(columns) != set(wanted):
            raise ValueError(f"names the columns {sorted(columns)}, and must name {sorted(wanted)}")
        if len(set(columns.values())) != len(columns):
            raise ValueError("two columns have one name")
        return columns

    return AfterValidator(check)


def _known_units(units: dict[str, str]) -> dict[str, str]:
    unknown = sorted(set(units.values()) - UNIT_CODES)
    if unknown:
        raise ValueError(f"{unknown} are no unit codes of ours")
    return units


def _each_once(tests: dict[str, str]) -> dict[str, str]:
    if len(set(tests.values())) != len(tests):
        raise ValueError("two test codes measure one characteristic")
    return tests


def _readable(time_format: str) -> str:
    """A format that loses nothing of an instant to the minute, and says no zone: that is the plant's."""
    instant = datetime(2026, 11, 25, 14, 35, tzinfo=UTC)
    if datetime.strptime(instant.strftime(time_format), time_format).replace(tzinfo=UTC) != instant:
        raise ValueError("must hold day, month, year, hour and minute, and no zone")
    return time_format


class LimsMap(BaseModel):
    """`tests`: our characteristic by the laboratory's test code. `units`: our unit code by its unit word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    end_mark: Word
    accepted_status: Word
    request: Annotated[dict[str, Word], _columns(*REQUEST)]
    answer: Annotated[dict[str, Word], _columns(*ANSWER)]
    result: Annotated[dict[str, Word], _columns(*RESULT)]
    time_format: Annotated[Word, AfterValidator(_readable)]
    tests: Annotated[dict[Word, CharacteristicId], Field(min_length=1, max_length=2000), AfterValidator(_each_once)]
    units: Annotated[dict[Word, str], Field(min_length=1, max_length=200), AfterValidator(_known_units)]

    def test_code_of(self, characteristic_id: str) -> str | None:
        return next((code for code, known in self.tests.items() if known == characteristic_id), None)


def load_map(path: Path) -> LimsMap:
    """The file's map. Raises ValueError, with every problem of it, or OSError."""
    if path.stat().st_size > FILE_BYTES_MOST:
        raise ValueError(f"{path} is larger than {FILE_BYTES_MOST} bytes")
    return LimsMap.model_validate(json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique))


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a name stands twice among {sorted(name for name, _ in pairs)}")
    return found
