"""What the distribution brings: a program unpacked beside our files, for which nobody needs to be root, or a package installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from deploy.local.ports import ROOT

T = TypeVar("T")
UNPACKED = ROOT / "var" / "tools"


class PackageAbsent(Exception):
    """The program is not here, and the distribution's package could not be fetched; the text says what to do."""


def installed(look: Callable[[], T | None], package: str, otherwise: str) -> T:
    """What `look` finds; as root the package is installed where it finds nothing. `otherwise` says how to do without.
    PackageAbsent.
    """
    found = look()
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", package]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *words], check=False, env=environment, capture_output=True)
        found = look()
    if found is None:
        raise PackageAbsent(f"{package} is not installed. Install it (apt-get install {package}), or {otherwise}.")
    return found


def program(name: str, package: str, otherwise: str) -> Path:
    """The installed program, else the package's own, unpacked once. `otherwise` says how to do without. PackageAbsent."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    unpacked = UNPACKED / package
    if not (unpacked / "usr" / "bin" / name).exists():
        _unpack(package, unpacked, otherwise)
    return unpacked / "usr" / "bin" / name


def _unpack(package: str, target: Path, otherwise: str) -> None:
    """Fetch and unpack aside, then put in place: two processes at once do not meet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        file = _fetch(package, Path(place), otherwise)
        done = _run(["dpkg", "-x", str(file), f"{place}/files"], Path(place))
        if done.returncode:
            raise PackageAbsent(f"{file.name} can't be unpacked: {done.stderr.strip()[-300:]}")
        try:
            (Path(place) / "files").rename(target)
        except OSError:
            if not target.exists():
                raise


def _fetch(package: str, place: Path, otherwise: str) -> Path:
    steps = [["apt-get", "download", "-q", package]]
    if os.getuid() == 0:  # package lists may be absent, and only root may get them
        steps += [["apt-get", "update", "-q"], steps[0]]
    said = ""
    for step in steps:
        said = _run(step, place).stderr.strip() or said
        found = sorted(place.glob(f"{package}_*.deb"))
        if found:
            return found[-1]
    raise PackageAbsent(
        f"{package} is not installed, and `apt-get download {package}` failed. Install it (apt-get install {package}), run "
        f"`apt-get update` as root and try again, or do without: {otherwise}. apt said: {said[-300:]}"
    )


def _run(command: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=place, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
