"""Real Tryton servers, unmodified: installed from hash-pinned locks, seeded once, copied from a cache afterwards.

Each series lives in an environment of its own, as two ERP releases in two plants do.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import string
import subprocess
import sys
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deploy.local.tryton.plants import SEEDS, PlantSeed

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
CACHE = ROOT / "var" / "cache" / "tryton"
MODULES = (
    "production_routing",
    "production_work",
    "production_split",
    "stock_lot",
    "stock_lot_sled",
    "stock_package",
    "stock_supply",
    "sale_supply_production",
)
SEED_SOURCES = ("install.py", "seed.py")  # a change in one of them, or in its data, makes a seeded database anew
Progress = Callable[[str], None]


class SetupFailed(Exception):
    """A step of the ERP's set-up failed; the text says which and where its log is."""


def prepare(
    plant_id: str, home: Path, port: int, progress: Progress, series: str = "", seed: PlantSeed | None = None
) -> None:
    """A seeded, stopped ERP in `home`: environment, database, configuration, seed.json (mode 600).

    `series` puts the plant on another release than its own, as a rehearsal of an upgrade does. `seed` fills the ERP with
    something else than the demo's data, as a load test needs.
    """
    base = seed or SEEDS[plant_id]
    seed = replace(base, series=series or base.series)
    lock = ROOT / "requirements" / f"tryton-{seed.series}.lock"
    if not lock.exists():
        raise SetupFailed(f"Tryton {seed.series} has no lock; there are {', '.join(known_series())}")
    environment = CACHE / f"{seed.series}-{_digest(lock.read_bytes())}"
    with _alone(environment):
        _environment(environment, lock, seed.series, progress)
    sources = b"".join((HERE / name).read_bytes() for name in SEED_SOURCES) + repr(seed).encode()
    template = CACHE / f"{plant_id}-{seed.series}-{_digest(lock.read_bytes() + sources)}"
    with _alone(template):
        if not (template / "seed.json").exists():
            _seed_template(template, environment, seed, progress)
    facts = reset(template, home, port)
    (home / "environment").write_text(str(environment))
    progress(f"ERP of {plant_id}: Tryton {seed.series}, {len(facts['orders'])} released orders")


def reset(template: Path, home: Path, port: int) -> dict[str, Any]:
    """Put the seeded database, its facts and a configuration for `port` into `home`."""
    home.mkdir(parents=True, exist_ok=True)
    for stale in home.glob("erp.sqlite*"):
        stale.unlink()
    shutil.copyfile(template / "erp.sqlite", home / "erp.sqlite")
    facts: dict[str, Any] = {**json.loads((template / "seed.json").read_text()), "port": port}
    _write_private(home / "seed.json", json.dumps(facts, indent=1))
    _configure(home, port)
    return facts


def known_series() -> list[str]:
    """The releases that can be installed."""
    return sorted(lock.stem.removeprefix("tryton-") for lock in (ROOT / "requirements").glob("tryton-*.lock"))


def command(home: Path) -> list[str]:
    """What runs the server of this home in the foreground."""
    environment = Path((home / "environment").read_text())
    return [str(environment / "bin" / "trytond"), "-c", str(home / "trytond.conf"), "-d", "erp"]


def is_ready(port: int, series: str) -> bool:
    """Whether the server answers its version."""
    path = "/rpc/" if int(series.split(".", maxsplit=1)[0]) >= 8 else "/"
    request = urllib.request.Request(
        f"http://localhost:{port}{path}",
        json.dumps({"id": 1, "method": "common.server.version", "params": []}).encode(),
        {"Content-Type": "application/json", "Accept-Encoding": "gzip"},
    )
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def password() -> str:
    """One that the ERP takes: it refuses those in which too many characters come again, so here none does."""
    return "".join(secrets.SystemRandom().sample(string.ascii_letters + string.digits, 24))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One maker at a time: a demo and a test run may begin together."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.making").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _environment(folder: Path, lock: Path, series: str, progress: Progress) -> None:
    if (folder / "installed").exists():
        return
    progress(f"installing Tryton {series}")
    shutil.rmtree(folder, ignore_errors=True)
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    uv = Path(sys.executable).parent / "uv"
    _run(folder / "install.log", str(uv), "pip", "install", "-q", "--compile-bytecode", "-p", str(folder / "bin" / "python"),
         "--require-hashes", "-r", str(lock))  # fmt: skip
    (folder / "installed").touch()


def _seed_template(template: Path, environment: Path, seed: PlantSeed, progress: Progress) -> None:
    shutil.rmtree(template, ignore_errors=True)
    template.mkdir(parents=True)
    _configure(template, 0)
    (template / "erp.sqlite").touch()
    passwords = {"admin": password(), "gateway": password()}
    _write_private(template / "admin.password", passwords["admin"] + "\n")
    progress(f"making the ERP database of {seed.plant_id} (Tryton {seed.series})")
    _run(
        template / "admin.log",
        str(environment / "bin" / "trytond-admin"),
        *("-c", str(template / "trytond.conf"), "-d", "erp", "--email", "erp@example.com"),
        *("--activate-dependencies", "-u", *MODULES, *seed.modules),
        environment={"TRYTONPASSFILE": str(template / "admin.password")},
    )
    progress(f"seeding the ERP of {seed.plant_id}")
    _write_private(template / "plan.json", json.dumps({"seed": asdict(seed), "passwords": passwords}))
    _run(
        template / "seed.log", str(environment / "bin" / "python"), "-W", "ignore", str(HERE / "seed.py"), str(template)
    )
    (template / "plan.json").unlink()


def _configure(home: Path, port: int) -> None:
    (home / "trytond.conf").write_text(
        f"[database]\nuri = sqlite://\npath = {home.resolve()}\n"
        f"[web]\nlisten = localhost:{port}\n[session]\ntimeout = 86400\n"
    )


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _run(log: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
    with log.open("w") as out:
        inherited = {**os.environ, "PYTHONPATH": "", **(environment or {})}
        done = subprocess.run(arguments, stdout=out, stderr=out, check=False, env=inherited)
    if done.returncode:
        raise SetupFailed(f"{Path(arguments[0]).name} failed; its log: {log}\n{log.read_text()[-1200:]}")
