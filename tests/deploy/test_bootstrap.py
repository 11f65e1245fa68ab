"""What stops set-up stops it with one line that says what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

import pytest

from deploy.local import bootstrap


def an_old_python(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    patch.setattr(sys, "version", "3.9.2 (default)")


def no_venv_module(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "venv", None)


def no_pip_for_new_environments(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "ensurepip", None)


def a_full_disk(patch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=300 * 1024**2)
    patch.setattr(shutil, "disk_usage", lambda _: usage)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (an_old_python, "Python 3.11 or newer; this is 3.9.2"),
        (no_venv_module, "apt-get install python3-venv"),
        (no_pip_for_new_environments, "apt-get install python3-venv"),
        (a_full_disk, "2 GiB of free disk"),
    ],
)
def test_what_the_machine_lacks_is_said_in_one_line(
    machine: Callable[[pytest.MonkeyPatch], None],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        machine(patch)
        with pytest.raises(SystemExit) as stopped:
            bootstrap.check_machine()
    said = capsys.readouterr().err.strip()
    assert stopped.value.code == 1
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_machine_that_has_everything_is_not_stopped() -> None:
    bootstrap.check_machine()
