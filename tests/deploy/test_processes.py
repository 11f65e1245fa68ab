"""The supervisor's files."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.processes import write_json


def test_two_who_write_one_file_at_once_both_write_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    def write(number: int) -> None:
        write_json(path, {"number": number})

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(write, range(400)))) == 400
    assert json.loads(path.read_text()).keys() == {"number"}
    assert list(tmp_path.iterdir()) == [path]
