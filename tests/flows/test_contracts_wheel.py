"""An app of somebody else's: the contracts' wheel in an empty environment, the README's example, and the running plant."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import calls
from isthmus.production.v1 import production_service_pb2 as production
from tests.flows.conftest import LocalSystem
from tests.support.eventually import eventually
from tests.support.readme import ROOT, blocks

pytestmark = [pytest.mark.flow, pytest.mark.timeout(240)]
TOOLS = Path(sys.executable).parent
CLEAN = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH", "VIRTUAL_ENV")}


@dataclass(frozen=True)
class Stranger:
    """A folder and an environment that know nothing of this repository but the wheel."""

    folder: Path
    python: Path
    wheel: Path
    script: Path

    def run(self, *arguments: str) -> str:
        command = [str(self.python), str(self.script), *arguments]
        return done(*command, folder=self.folder).strip()


def done(*command: str, folder: Path) -> str:
    """What a command printed; it must succeed."""
    ended = subprocess.run(command, cwd=folder, env=CLEAN, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    folder = tmp_path_factory.mktemp("stranger")
    source = folder / "source"
    shutil.copytree(ROOT / "libs" / "contracts", source, ignore=shutil.ignore_patterns("build", "dist", "*.egg-info"))
    done(str(TOOLS / "python"), "-m", "build", "--wheel", "--no-isolation", str(source), folder=folder)
    (wheel,) = (source / "dist").glob("isthmus_contracts-*.whl")
    (wheel,) = [wheel.rename(folder / wheel.name)]
    shutil.rmtree(source)
    python = folder / "venv" / "bin" / "python"
    done(sys.executable, "-m", "venv", "--without-pip", str(python.parents[1]), folder=folder)
    done(str(TOOLS / "uv"), "pip", "install", "-q", "-p", str(python), f"{wheel}[types]", folder=folder)
    script = folder / "confirm.py"
    (example,) = blocks(ROOT / "libs" / "contracts" / "README.md", "python")
    script.write_text(example)
    return Stranger(folder, python, wheel, script)


def test_the_wheel_holds_typed_stubs_of_every_package(stranger: Stranger) -> None:
    names = zipfile.ZipFile(stranger.wheel).namelist()
    sources = {path.parent.name for path in (ROOT / "protos" / "isthmus").glob("*/v1")}
    packages = {name.split("/")[0] for name in names if name.endswith(".py")}
    assert packages == {"isthmus", "buf"}
    assert all(f"{package}/py.typed" in names for package in packages)
    assert {name.split("/")[1] for name in names if name.startswith("isthmus/") and name.endswith(".py")} == sources
    untyped = [name for name in names if name.endswith(".py") and f"{name}i" not in names]
    assert untyped == []


def test_the_example_passes_strict_type_checks_against_the_wheel(stranger: Stranger) -> None:
    mypy = [str(TOOLS / "mypy"), "--strict", "--python-executable", str(stranger.python)]
    done(*mypy, "--cache-dir", str(stranger.folder / "mypy"), stranger.script.name, folder=stranger.folder)


async def test_a_strangers_app_confirms_in_the_plant_once_however_often_it_says_so(
    stranger: Stranger, local_system: LocalSystem
) -> None:
    where = [f"127.0.0.1:{local_system.ports[name]}" for name in ("production", "edge_bridge-aachen")]
    async with local_system.order_in_flight() as order:
        assert stranger.run(*where, order) == "taken"
        assert stranger.run(*where, order) == "replayed"

        def booked() -> list[int]:
            request = production.ListConfirmationsRequest(work_order_id=order)
            with calls.stub(local_system.ports, "production") as stub:
                found = stub.ListConfirmations(request, timeout=calls.DEADLINE).confirmations
            return [confirmation.labour_duration.seconds for confirmation in found]

        assert await eventually(booked, within=30) == [360]
