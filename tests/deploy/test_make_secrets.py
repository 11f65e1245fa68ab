"""Secrets are made once, for one reader, and never overwritten."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.compose.make_secrets import write

ROOT = Path(__file__).resolve().parents[2]


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


def test_the_command_makes_them_beside_itself_once_and_says_with_whom_to_agree(tmp_path: Path) -> None:
    for name in (".env", "deploy/compose/make_secrets.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "deploy/compose/make_secrets.py"]
    first, again = (
        subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True) for _ in range(2)
    )
    assert (first.returncode, again.returncode) == (0, 1)
    assert "Agree with the other side: erp_aachen" in first.stdout
    assert "Nothing was changed" in again.stderr
    declared = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["secrets"])
    assert set(contents(tmp_path / "deploy/compose/secrets")) == declared
