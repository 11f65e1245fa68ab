"""What tests need of the distribution and no Python package brings: installed where it is missing, if we may."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path


class PackageAbsent(Exception):
    """It is not here, and could not be installed."""


def program(name: str, package: str, skip: str) -> Path:
    """Where a program is that this package brings. PackageAbsent."""
    return found(lambda: Path(path) if (path := shutil.which(name)) else None, package, skip)


def found(look: Callable[[], Path | None], package: str, skip: str) -> Path:
    """What `look` finds, after an installation if that is needed. `skip` names what ALLOW_SKIP leaves out without it."""
    place = look()
    if place is None and os.getuid() == 0:
        _install(package)
        place = look()
    if place is None:
        text = f"Install {package} (apt-get install {package}), or leave its tests out with ALLOW_SKIP={skip}."
        raise PackageAbsent(text)
    return place


def _install(package: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", package]):
        subprocess.run(
            ["apt-get", *command],
            check=False,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
