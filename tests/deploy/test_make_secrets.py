"""Secrets are made once, for one reader, and never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deploy.compose.make_secrets import write


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_every_secret_is_a_file_of_the_containers_user_that_nobody_else_can_read(tmp_path: Path) -> None:
    write(tmp_path / "secrets", 10001)
    for path in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_uid == (10001 if os.getuid() == 0 else os.getuid())


def test_no_two_secrets_are_the_same(tmp_path: Path) -> None:
    write(tmp_path / "one", 10001)
    write(tmp_path / "two", 10001)
    values = [*contents(tmp_path / "one").values(), *contents(tmp_path / "two").values()]
    assert len(values) == len(set(values))


def test_secrets_that_are_there_are_not_overwritten_and_none_is_added(tmp_path: Path) -> None:
    (tmp_path / "wms_api_key").write_text("agreed with the warehouse")
    with pytest.raises(FileExistsError, match="wms_api_key"):
        write(tmp_path, 10001)
    assert contents(tmp_path) == {"wms_api_key": "agreed with the warehouse"}
