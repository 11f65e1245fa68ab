"""The local system, as data: two real ERPs, the plants' systems, the links, the broker and our services."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import ports as places
from deploy.local import processes
from deploy.local.processes import Spec, write_json
from deploy.local.tryton import install
from deploy.local.tryton.plants import PLANTS, PlantSeed

ROOT = places.ROOT
ZONES = {"aachen": "Europe/Berlin", "brno": "Europe/Prague"}
FOREIGN, HUB, SERVICES = 0, 0, 1  # layers
PYTHON = sys.executable


def prepare(home: Path, ports: dict[str, int], progress: Callable[[str], None]) -> None:
    """Fresh ERPs in their seeded state, secrets, and the broker's configuration."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(install.prepare, plant, home / "erp" / plant, ports[f"erp-{plant}"], progress)
            for plant in PLANTS
        ]
        for job in jobs:
            job.result()
    _secrets(home)
    (home / "nats.conf").write_text(
        f'listen: "127.0.0.1:{ports["nats"]}"\nmax_payload: 1MB\n'
        f'jetstream {{ store_dir: "{home / "jetstream"}", max_mem: 256M, max_file: 100G, sync_interval: always }}\n'
    )


def prepare_once(home: Path, ports: dict[str, int], progress: Callable[[str], None]) -> None:
    """Prepare a home that is kept: the first time only, and for good on the ports it was made for."""
    mark = home / "port_base"
    if not mark.exists():
        prepare(home, ports, progress)
        mark.write_text(str(ports["nats"]))
    elif (made_for := mark.read_text()) != str(ports["nats"]):
        raise places.SettingWrong(
            f"{home} was made for ISTHMUS_PORT_BASE={made_for}. Set that, or another ISTHMUS_HOME, or remove the folder."
        )


def _secrets(home: Path) -> None:
    folder = home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = {
        "wms_api_key": secrets.token_urlsafe(24),
        "qms_api_key": secrets.token_urlsafe(24),
        "cmms_api_key": secrets.token_urlsafe(24),
        "webhook_secret": f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}",
    }
    for plant in PLANTS:
        users = json.loads((home / "erp" / plant / "seed.json").read_text())["users"]
        made[f"erp_{plant}"] = users["gateway"]
    for name, value in made.items():
        path = folder / name
        if name.startswith("erp_") or not path.exists():
            path.touch(mode=0o600)
            path.write_text(value)


def specs(home: Path, ports: dict[str, int], *, with_machines: bool = False) -> list[Spec]:
    """Every process of the local system; machines whose signals the bridges read are there where a story needs them."""
    found = [_nats(home, ports)]
    for plant in PLANTS.values():
        found += [_erp(plant, home, ports), _line(plant, home, ports), _mes(plant, home, ports)]
        found += [_link(plant.plant_id, home, ports)]
    found += [_wms(home, ports), _qms(home, ports), _cmms(home, ports)]
    found += [_machine(plant, home, ports) for plant in PLANTS] if with_machines else []
    found += _services(home, ports, with_machines=with_machines)
    return found


def _nats(home: Path, ports: dict[str, int]) -> Spec:
    command = [str(Path(PYTHON).parent / "nats-server"), "-c", str(home / "nats.conf")]
    return Spec("nats", command, {}, processes.tcp(ports["nats"]), HUB, ports["nats"], is_ours=False)


def _erp(plant: PlantSeed, home: Path, ports: dict[str, int]) -> Spec:
    port = ports[f"erp-{plant.plant_id}"]
    command = install.command(home / "erp" / plant.plant_id)

    def ready() -> bool:
        return install.is_ready(port, plant.series)

    return Spec(f"erp-{plant.plant_id}", command, {"PYTHONPATH": ""}, ready, FOREIGN, port, is_ours=False)


def _simulator(name: str, module: str, home: Path, port: int, *arguments: str) -> list[str]:
    return [PYTHON, "-m", f"simulators.{module}", "--port", str(port), "--state", str(home / name), *arguments]


EQUIPMENT = ("EQ-100", "EQ-200")  # what the CMMS knows
LAYOUTS = {"aachen": "stations", "brno": "cells"}


def _line(plant: PlantSeed, home: Path, ports: dict[str, int]) -> Spec:
    name = f"line-{plant.plant_id}"
    more = ["--layout", LAYOUTS[plant.plant_id], "--stations", str(len(plant.operations)), "--cycle-ms", "50"]
    command = _simulator(name, "opcua_line", home, ports[name], *more)
    return Spec(name, command, {}, processes.tcp(ports[name]), FOREIGN, ports[name], is_ours=False)


def _mes(plant: PlantSeed, home: Path, ports: dict[str, int]) -> Spec:
    name = f"mes-{plant.plant_id}"
    lots = [
        f"{component.code}={','.join(lot for lot, _ in component.opening)}"
        for component, _ in plant.components
        if component.is_lot_tracked
    ]
    line = f"opc.tcp://127.0.0.1:{ports[f'line-{plant.plant_id}']}"
    if plant.plant_id == "aachen":
        command = _simulator(name, "mes_rest", home, ports[name], "--line", line, "--lots", *lots)
        ready = processes.http(f"http://127.0.0.1:{ports[name]}/health")
        return Spec(name, command, {}, ready, FOREIGN, ports[name], is_ours=False)
    command = _simulator(name, "mes_staging", home, 0, "--line", line, "--lots", *lots)
    return Spec(name, command, {}, processes.file(staging_database(home)), FOREIGN, 0, is_ours=False)


def staging_database(home: Path) -> Path:
    return home / "mes-brno" / "staging.db"


def _wms(home: Path, ports: dict[str, int]) -> Spec:
    return _partner("wms", home, ports, *_webhooks("wms", home, ports))


def _qms(home: Path, ports: dict[str, int]) -> Spec:
    return _partner("qms", home, ports, *_webhooks("qms", home, ports))


def _cmms(home: Path, ports: dict[str, int]) -> Spec:
    return _partner("cmms", home, ports, "--equipment", *EQUIPMENT)


def _partner(name: str, home: Path, ports: dict[str, int], *more: str) -> Spec:
    port = ports[name]
    key = str(home / "secrets" / f"{name}_api_key")
    command = _simulator(name, name, home, port, "--api-key-file", key, *more)
    return Spec(name, command, {}, processes.http(f"http://127.0.0.1:{port}/health"), FOREIGN, port, is_ours=False)


def _webhooks(name: str, home: Path, ports: dict[str, int]) -> Sequence[str]:
    url = f"http://127.0.0.1:{ports['webhooks']}/webhooks/{name}"
    return "--webhook-url", url, "--webhook-secret-file", str(home / "secrets" / "webhook_secret")


def _link(plant: str, home: Path, ports: dict[str, int]) -> Spec:
    name = f"link-{plant}"
    control = ports[f"{name}-control"]
    more = ["--to", f"127.0.0.1:{ports['nats']}", "--control", str(control)]
    command = _simulator(name, "link", home, ports[name], *more)
    ready = processes.http(f"http://127.0.0.1:{control}/health")
    return Spec(name, command, {}, ready, FOREIGN, ports[name], is_ours=False)


MACHINE_NAMES = ("state", "fault", "runtime", "cycles", "vibration", "temperature")
MACHINES = {  # by plant: protocol, asset, where its signals live
    "aachen": ("modbus", "CNC-01-A", [str(register) for register in range(6)]),
    "brno": ("opc_ua", "LAT-03-A", [f"ns=2;s=Machine.{name}" for name in MACHINE_NAMES]),
}


def _machine(plant: str, home: Path, ports: dict[str, int]) -> Spec:
    name = f"machine-{plant}"
    protocol = "modbus" if MACHINES[plant][0] == "modbus" else "opcua"
    control = ports[f"{name}-control"]
    command = _simulator(
        name, "machine", home, ports[name], "--control", str(control), "--protocol", protocol, "--speed", "60"
    )
    ready = processes.http(f"http://127.0.0.1:{control}/health")
    return Spec(name, command, {}, ready, FOREIGN, ports[name], is_ours=False)


def _signals(plant: str, home: Path, ports: dict[str, int]) -> dict[str, str]:
    """What the bridge is told of the plant's machine; calm measurements are said once in a while."""
    driver, asset_id, places = MACHINES[plant]
    scale = "0.01" if driver == "modbus" else "1"
    calm = {"deadband": "0.5", "window_seconds": 2, "silent_windows": 30, "scale": scale, "bad": 32768}
    asset = {
        "asset_id": asset_id,
        **dict(zip(("state", "fault", "runtime_seconds", "cycles"), places, strict=False)),
        "states": {"0": "idle", "1": "running", "2": "down"},
        "measures": [
            {"measure_id": "vibration", "place": places[4], "unit_code": "C16", **calm},
            {"measure_id": "temperature", "place": places[5], "unit_code": "CEL", **calm},
        ],
    }
    path = home / f"signals-{plant}.json"
    write_json(path, {"counter_seconds": 10, "fault_seconds": 5, "assets": [asset]})
    scheme = "" if driver == "modbus" else "opc.tcp://"
    return {
        "SIGNAL_DRIVER": driver,
        "SIGNAL_ADDRESS": f"{scheme}127.0.0.1:{ports[f'machine-{plant}']}",
        "SIGNAL_MAP_FILE": str(path),
        "SIGNAL_POLL_SECONDS": "0.05",
    }


def _services(home: Path, ports: dict[str, int], *, with_machines: bool) -> Sequence[Spec]:
    def address(name: str) -> str:
        return f"127.0.0.1:{ports[name]}"

    erps = {
        plant: {
            "url": f"http://localhost:{ports[f'erp-{plant}']}",
            "password_file": str(home / "secrets" / f"erp_{plant}"),
        }
        for plant in PLANTS
    }
    own = {
        "master_data": {},
        "production": {"PLANT_TIME_ZONES": json.dumps(ZONES)},
        "inventory": {},
        "quality": {},
        "maintenance": {},
        "operations": {
            "INVENTORY": address("inventory"),
            "PRODUCTION": address("production"),
            "GATEWAY": address("gateway"),
        },
        "gateway": {
            "MASTER_DATA": address("master_data"),
            "PRODUCTION": address("production"),
            "INVENTORY": address("inventory"),
            "ERPS": json.dumps(erps),
            "WMS_URL": f"http://127.0.0.1:{ports['wms']}",
            "WMS_API_KEY_FILE": str(home / "secrets" / "wms_api_key"),
            "QUALITY": address("quality"),
            "MAINTENANCE": address("maintenance"),
            "QMS_URL": f"http://127.0.0.1:{ports['qms']}",
            "QMS_API_KEY_FILE": str(home / "secrets" / "qms_api_key"),
            "CMMS_URL": f"http://127.0.0.1:{ports['cmms']}",
            "CMMS_API_KEY_FILE": str(home / "secrets" / "cmms_api_key"),
            "WEBHOOK_LISTEN": address("webhooks"),
            "WEBHOOK_SECRET_FILE": str(home / "secrets" / "webhook_secret"),
        },
    }
    nats = f"nats://127.0.0.1:{ports['nats']}"
    found = [_service(name, name, home, ports, nats, ",".join(PLANTS), more) for name, more in own.items()]
    return [*found, *(_bridge(plant, home, ports, with_machines=with_machines) for plant in PLANTS)]


def _bridge(plant: str, home: Path, ports: dict[str, int], *, with_machines: bool) -> Spec:
    """In the plant: reaches the hub's broker over the link only."""
    mes = {
        "aachen": ("rest_mes", f"http://127.0.0.1:{ports['mes-aachen']}"),
        "brno": ("staging_mes", str(staging_database(home))),
    }[plant]
    more = {
        "PLANT_ID": plant,
        "MES_DRIVER": mes[0],
        "MES_ADDRESS": mes[1],
        "LINE_URL": f"opc.tcp://127.0.0.1:{ports[f'line-{plant}']}",
        "LINE_TAG_MAP": LAYOUTS[plant],
        "LINE_STATIONS": str(len(PLANTS[plant].operations)),
        **(_signals(plant, home, ports) if with_machines else {}),
    }
    nats = f"nats://127.0.0.1:{ports[f'link-{plant}']}"
    return _service("edge_bridge", f"edge_bridge-{plant}", home, ports, nats, plant, more)


def _service(
    package: str, name: str, home: Path, ports: dict[str, int], nats: str, plants: str, more: dict[str, str]
) -> Spec:
    settings = {
        "DATABASE_URL": f"sqlite:///{home / 'data' / f'{name}.db'}",
        "NATS_URL": nats,
        "LISTEN": f"127.0.0.1:{ports[name]}",
        "PLANTS": plants,
        "OTLP_ENDPOINT": f"127.0.0.1:{ports['operations']}",
        "STREAMS_FILE": str(ROOT / "deploy" / "nats" / "streams.yaml"),
        **more,
    }
    environment = {f"{package.upper()}_{key}": value for key, value in settings.items()}
    command = [PYTHON, "-m", f"services.{package}"]
    return Spec(name, command, environment, processes.health(ports[name]), SERVICES, ports[name], is_ours=True)
