"""What the harness runs: two real ERPs, three plants, the broker, the warehouse, our services, and a wire before each of them.

Lines are left out: they are evidence beside the books, and their machine time is the load's here. Spans are too.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local import ports as places
from deploy.local import processes
from deploy.local.processes import Running, Spec, Supervisor
from deploy.local.tryton import install
from tests.chaos.plants import PLANTS, ZONES, seed_of

ROOT = places.ROOT
PYTHON = sys.executable
BASES = range(11000, 18000, 1000)  # below those of the local system, the demo and the tests
HUB = ("master_data", "production", "inventory", "operations", "gateway")
BRIDGES = tuple(f"edge_bridge-{plant}" for plant in PLANTS)
OURS = (*HUB, *BRIDGES)
ERPS = tuple(f"erp-{plant}" for plant, shape in PLANTS.items() if shape.has_erp)
PARTNERS = (*ERPS, "wms")
FOREIGN, SERVICES = 0, 1  # layers
NATS_LIMIT = "1T"


def table(base: int) -> dict[str, int]:
    """Every port of a run."""
    found = {"nats": base, "erp-aachen": base + 60, "erp-brno": base + 80, "mes-aachen": base + 101}
    found |= {"mes-graz": base + 103, "wms": base + 201, "webhooks": base + 421, "wires": base + 300}
    found |= {f"link-{name}": base + 301 + number for number, name in enumerate((*OURS, *PARTNERS))}
    return found | {name: base + 401 + number for number, name in enumerate(OURS)}


def free_base() -> int:
    for base in BASES:
        try:
            places.require_free(table(base))
        except places.PortTaken:
            continue
        return base
    raise SystemExit(f"no port base of {BASES} is free")


@dataclass
class Place:
    """Where a run lives. `parts`: the processes of it that are wanted; empty: all."""

    home: Path
    ports: dict[str, int]
    parts: frozenset[str] = frozenset()
    patches: dict[str, str] = field(default_factory=dict)  # by service: planted bugs, for launch.py
    sync: str = "always"  # of the broker

    def has(self, name: str) -> bool:
        return not self.parts or name in self.parts

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    @property
    def control(self) -> Path:
        """Files by which running services are told to have a full disk, or to crash at a point."""
        return self.home / "control"

    def database(self, name: str) -> Path:
        return self.home / "data" / f"{name}.db"


def prepare(place: Place, progress: Callable[[str], None]) -> None:
    """A fresh home."""
    shutil.rmtree(place.home, ignore_errors=True)
    for folder in ("control", "data", "logs", "secrets"):
        (place.home / folder).mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(
                install.prepare,
                plant,
                place.home / "erp" / plant,
                place.ports[f"erp-{plant}"],
                progress,
                seed=seed_of(plant),
            )
            for plant, shape in PLANTS.items()
            if shape.has_erp and place.has(f"erp-{plant}")
        ]
        for job in jobs:
            job.result()
    made = {
        "wms_api_key": secrets.token_urlsafe(24),
        "webhook_secret": f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}",
    }
    for path in (place.home / "erp").glob("*/seed.json"):
        made[f"erp_{path.parent.name}"] = json.loads(path.read_text())["users"]["gateway"]
    for name, value in made.items():
        (place.home / "secrets" / name).touch(mode=0o600)
        (place.home / "secrets" / name).write_text(value)
    configure_broker(place)


def configure_broker(place: Place, most: str = NATS_LIMIT) -> None:
    store = place.home / "jetstream"
    (place.home / "nats.conf").write_text(
        f'listen: "{place.address("nats")}"\nmax_payload: 1MB\n'
        f'jetstream {{ store_dir: "{store}", max_mem: 256M, max_file: {most}, sync_interval: {place.sync} }}\n'
    )


def specs(place: Place) -> list[Spec]:
    found = [_nats(place), _wires(place), *_plants(place), _wms(place), *_services(place)]
    return [spec for spec in found if place.has(spec.name)]


def _nats(place: Place) -> Spec:
    command = [str(Path(PYTHON).parent / "nats-server"), "-c", str(place.home / "nats.conf")]
    port = place.ports["nats"]
    return Spec("nats", command, {}, processes.tcp(port), FOREIGN, port, is_ours=False)


def _wires(place: Place) -> Spec:
    told = []
    for name in (*OURS, *PARTNERS):
        target = place.address(name if name in PARTNERS else "nats")
        told += ["--link", f"{name}={place.ports[f'link-{name}']}={target}"]
    port = place.ports["wires"]
    command = [PYTHON, "-m", "tests.chaos.proxy", "--control", str(port), *told]
    return Spec("wires", command, {}, processes.http(f"http://127.0.0.1:{port}/"), FOREIGN, port, is_ours=False)


def _plants(place: Place) -> list[Spec]:
    found = []
    for plant, shape in PLANTS.items():
        if shape.has_erp:
            found.append(_erp(plant, place))
        name = f"mes-{plant}"
        state = ["--state", str(place.home / name)]
        if shape.driver == "rest_mes":
            port = place.ports[name]
            command = [PYTHON, "-m", "simulators.mes_rest", "--port", str(port), *state, "--hold"]
            ready = processes.http(f"http://127.0.0.1:{port}/health")
            found.append(Spec(name, command, {}, ready, FOREIGN, port, is_ours=False))
        else:
            command = [PYTHON, "-m", "simulators.mes_staging", "--port", "0", *state]
            ready = processes.file(staging_database(place))
            found.append(Spec(name, command, {}, ready, FOREIGN, 0, is_ours=False))
    return found


def staging_database(place: Place) -> Path:
    return place.home / "mes-brno" / "staging.db"


def _erp(plant: str, place: Place) -> Spec:
    name, home = f"erp-{plant}", place.home / "erp" / plant
    port, series = place.ports[name], seed_of(plant).series
    command = install.command(home) if place.has(name) else []

    def ready() -> bool:
        return install.is_ready(port, series)

    return Spec(name, command, {"PYTHONPATH": ""}, ready, FOREIGN, port, is_ours=False)


def _wms(place: Place) -> Spec:
    port, folder = place.ports["wms"], place.home / "secrets"
    command = [PYTHON, "-m", "simulators.wms", "--port", str(port), "--state", str(place.home / "wms")]
    command += ["--api-key-file", str(folder / "wms_api_key"), "--webhook-secret-file", str(folder / "webhook_secret")]
    command += ["--webhook-url", f"http://{place.address('webhooks')}/webhooks/wms"]
    return Spec("wms", command, {}, processes.http(f"http://127.0.0.1:{port}/health"), FOREIGN, port, is_ours=False)


def _services(place: Place) -> Sequence[Spec]:
    folder = place.home / "secrets"
    erps = {
        plant: {
            "url": f"http://localhost:{place.ports[f'link-erp-{plant}']}",
            "password_file": str(folder / f"erp_{plant}"),
        }
        for plant, shape in PLANTS.items()
        if shape.has_erp and place.has(f"erp-{plant}")
    }
    own: dict[str, dict[str, str]] = {
        "master_data": {},
        "production": {"PLANT_TIME_ZONES": json.dumps(ZONES)},
        "inventory": {},
        "operations": {},
        "gateway": {
            "MASTER_DATA": place.address("master_data"),
            "PRODUCTION": place.address("production"),
            "INVENTORY": place.address("inventory"),
            "ERPS": json.dumps(erps),
            "WMS_URL": f"http://{place.address('link-wms')}",
            "WMS_API_KEY_FILE": str(folder / "wms_api_key"),
            "WEBHOOK_LISTEN": place.address("webhooks"),
            "WEBHOOK_SECRET_FILE": str(folder / "webhook_secret"),
        },
    }
    found = [_service(place, name, name, ",".join(PLANTS), more) for name, more in own.items()]
    return [*found, *(_bridge(place, plant) for plant in PLANTS)]


def _bridge(place: Place, plant: str) -> Spec:
    driver = PLANTS[plant].driver
    is_rest = driver == "rest_mes"
    mes = f"http://{place.address(f'mes-{plant}')}" if is_rest else str(staging_database(place))
    more = {"PLANT_ID": plant, "MES_DRIVER": driver, "MES_ADDRESS": mes}
    return _service(place, "edge_bridge", f"edge_bridge-{plant}", plant, more)


def _service(place: Place, package: str, name: str, plants: str, more: dict[str, str]) -> Spec:
    settings = {
        "DATABASE_URL": f"sqlite:///{place.database(name)}",
        "NATS_URL": f"nats://{place.address(f'link-{name}')}",
        "LISTEN": place.address(name),
        "PLANTS": plants,
        "STREAMS_FILE": str(ROOT / "deploy" / "nats" / "streams.yaml"),
        **more,
    }
    environment = {f"{package.upper()}_{key}": value for key, value in settings.items()}
    environment |= {
        "CHAOS_SERVICE": name,
        "CHAOS_CONTROL": str(place.control),
        "CHAOS_PATCHES": place.patches.get(name, ""),
    }
    command = [PYTHON, "-m", "tests.chaos.launch", f"services.{package}"]
    port = place.ports[name]
    return Spec(name, command, environment, processes.health(port), SERVICES, port, is_ours=True)


class Crew(Supervisor):
    """The processes of a run. What ends without being asked to is started again and counted, as an init system would."""

    def __init__(self, place: Place) -> None:
        super().__init__(specs(place), place.home)
        self.place = place
        self.ended: list[str] = []  # by itself
        self.away: set[str] = set()  # taken away by a fault just now
        self._lock = threading.RLock()
        self._over = threading.Event()

    def watch(self) -> threading.Thread:
        watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        watcher.start()
        return watcher

    def _watch(self) -> None:
        while not self._over.wait(0.3):
            for name in list(self.running):
                with self._lock:
                    running = self.running[name]  # looked up under the lock: a fault may have put another one there
                    if name not in self.away and running.process.poll() is not None:
                        self.ended.append(f"{name}: {running.process.returncode}")
                        self._launch(running.spec, running.restarts + 1)

    def pid(self, name: str) -> int:
        return self.running[name].process.pid

    def take(self, name: str) -> bool:
        """Claim a process for a fault; False if another fault has it."""
        with self._lock:
            if name in self.away or self.running[name].process.poll() is not None:
                return False
            self.away.add(name)
            return True

    def give_back(self, name: str) -> None:
        with self._lock:
            self.away.discard(name)

    def kill(self, name: str) -> None:
        """Of what was taken only: else the watch starts it again in the middle of the fault, and there are two."""
        if name not in self.away:
            raise LookupError(f"{name} is to be killed, and was not taken")
        super().kill(name)

    def signal(self, name: str, number: int) -> None:
        os.kill(self.pid(name), number)

    def start_again(self, name: str) -> None:
        """Not waiting for it."""
        with self._lock:
            self._launch(self.running[name].spec, self.running[name].restarts + 1)

    def wait_ready(self, name: str) -> None:
        self._wait_ready(self.running[name].spec)

    def end(self) -> None:
        self._over.set()
        for running in self.running.values():
            if running.process.poll() is None:
                running.process.send_signal(signal.SIGCONT)
        self.stop()

    def one(self, name: str) -> Running:
        return self.running[name]


def uses(crew: Crew) -> dict[str, float]:
    """CPU seconds so far, by process."""
    found = {}
    for name, running in crew.running.items():
        try:
            spent = psutil.Process(running.process.pid).cpu_times()
            found[name] = round(spent.user + spent.system, 1)
        except psutil.Error:
            continue
    return found


def monotonic() -> float:
    return time.monotonic()
