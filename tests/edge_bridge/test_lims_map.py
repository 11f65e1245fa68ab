"""A laboratory's words are checked before the bridge starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.edge_bridge.lims_map import load_map

GHENT = Path("services/edge_bridge/lims_maps/ghent.json")


def test_the_map_of_ghent_is_sound() -> None:
    found = load_map(GHENT)
    assert found.test_code_of("viscosity") == "VISC-20"
    assert found.test_code_of("colour") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"units": {"mPa.s": "XX"}}, r"\['XX'\] are no unit codes"),
        ({"tests": {"A": "ph", "B": "ph"}}, "two test codes measure one characteristic"),
        ({"tests": {}}, "at least 1"),
        ({"tests": {"A": "p h"}}, "tests.A"),
        ({"result": {"sample_number": "Monsternr"}}, "must name"),
        ({"answer": dict.fromkeys(("request_key", "sample_number", "status", "remark"), "X")}, "two columns"),
        ({"time_format": "%d-%m %H:%M"}, "time_format"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_map_that_can_not_be_right_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({**json.loads(GHENT.read_text()), **changes}))
    with pytest.raises(ValueError, match=said):
        load_map(path)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(GHENT.read_text().replace('"PH": "ph"', '"PH": "ph", "PH": "colour"'))
    with pytest.raises(ValueError, match="stands twice"):
        load_map(path)


def test_a_map_of_any_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(GHENT.read_text() + " " * 300_000)
    with pytest.raises(ValueError, match="larger than"):
        load_map(path)
