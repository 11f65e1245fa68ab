"""The local system, as data: the broker and our services, beside the systems that are not ours."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deploy.local import calls, foreign, processes
from deploy.local import ports as places
from deploy.local.foreign import FOREIGN, LAYOUTS, MACHINES, PYTHON, Place
from deploy.local.processes import Spec, write_json
from deploy.local.tryton import install

ROOT = places.ROOT
ZONES = {"aachen": "Europe/Berlin", "brno": "Europe/Prague", "ghent": "Europe/Brussels"}
HUB, SERVICES = FOREIGN, 1  # layers
MES = {"aachen": "rest_mes", "brno": "staging_mes", "ghent": "batch_mes"}
PARTNERS = ("wms", "qms", "cmms")


def prepare(place: Place, progress: Callable[[str], None]) -> None:
    """Fresh ERPs in their seeded state, secrets, and the broker's configuration."""
    with ThreadPoolExecutor(len(place.plants)) as pool:
        jobs = [
            pool.submit(install.prepare, plant, place.home / "erp" / plant, place.ports[f"erp-{plant}"], progress)
            for plant in place.plants
        ]
        for job in jobs:
            job.result()
    _secrets(place)
    _configure_broker(place)


def prepare_once(place: Place, progress: Callable[[str], None]) -> None:
    """Prepare a home that is kept: the first time only, and for good on the ports and plants it was made for."""
    made = place.home / "made_for.json"
    if (place.home / "port_base").exists():
        raise places.SettingWrong(
            f"{place.home} was made by an earlier version, with fewer plants. Move it away or remove it."
        )
    wanted = {"ISTHMUS_PORT_BASE": str(place.ports["nats"]), "ISTHMUS_PLANTS": ",".join(place.plants)}
    if not made.exists():
        prepare(place, progress)
        write_json(made, wanted)
        return
    known = json.loads(made.read_text())
    for name, value in wanted.items():
        if known[name] != value:
            raise places.SettingWrong(
                f"{place.home} was made for {name}={known[name]}. Set that, or another ISTHMUS_HOME, or remove the folder."
            )
    _configure_broker(place)


def _configure_broker(place: Place) -> None:
    """At every start: what a release changes here reaches the homes that were made before it."""
    (place.home / "nats.conf").write_text(
        f'listen: "{place.address("nats")}"\nmax_payload: 1MB\n'
        f'jetstream {{ store_dir: "{place.home / "jetstream"}", max_mem: 256M, max_file: 1T, sync_interval: always }}\n'
    )


def _secrets(place: Place) -> None:
    folder = place.home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = {f"{name}_api_key": secrets.token_urlsafe(24) for name in PARTNERS}
    made["webhook_secret"] = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    for plant in place.plants:
        users = json.loads((place.home / "erp" / plant / "seed.json").read_text())["users"]
        made[f"erp_{plant}"] = users["gateway"]
    for name, value in made.items():
        path = folder / name
        if name.startswith("erp_") or not path.exists():
            path.touch(mode=0o600)
            path.write_text(value)


def specs(place: Place) -> list[Spec]:
    """Every process of the local system. Raises PackageAbsent where a plant's historian can't be had."""
    hub = [_service(name, name, place, more) for name, more in _hub(place).items()]
    return [_nats(place), *foreign.specs(place), *hub, *(_bridge(plant, place) for plant in place.plants)]


def _nats(place: Place) -> Spec:
    command = [str(Path(PYTHON).parent / "nats-server"), "-c", str(place.home / "nats.conf")]
    port = place.ports["nats"]
    return Spec("nats", command, {}, processes.tcp(port), HUB, port, is_ours=False)


# --- our services


def _hub(place: Place) -> Mapping[str, dict[str, str]]:
    """What each service is told beside what all are told."""
    zones = {plant: ZONES[plant] for plant in place.plants}
    known = {name.upper(): place.address(name) for name in ("master_data", "production", "inventory", "gateway")}
    asked = {name.upper(): place.address(name) for name in ("quality", "maintenance")}
    return {
        "master_data": {},
        "production": {"PLANT_TIME_ZONES": json.dumps(zones)},
        "inventory": {},
        "quality": {},
        "maintenance": {},
        "operations": {
            **{name: known[name] for name in ("INVENTORY", "PRODUCTION", "GATEWAY")},
            "EDGE_BRIDGES": json.dumps({plant: place.address(f"edge_bridge-{plant}") for plant in place.plants}),
            "DESKS": json.dumps({name: place.address(name) for name in calls.services(place.plants)}),
            "CONSOLE_LISTEN": place.address("console"),
        },
        "gateway": {
            **{name: known[name] for name in ("MASTER_DATA", "PRODUCTION", "INVENTORY")},
            **asked,
            "ERPS": json.dumps({plant: _erp(plant, place) for plant in place.plants}),
            **{f"{name.upper()}_URL": f"http://{place.address(name)}" for name in PARTNERS},
            **{f"{name.upper()}_API_KEY_FILE": place.secret(f"{name}_api_key") for name in PARTNERS},
            "WEBHOOK_LISTEN": place.address("webhooks"),
            "WEBHOOK_SECRET_FILE": place.secret("webhook_secret"),
        },
    }


def _erp(plant: str, place: Place) -> dict[str, str]:
    url = f"http://localhost:{place.ports[f'erp-{plant}']}"
    return {"url": url, "password_file": place.secret(f"erp_{plant}")}


def _bridge(plant: str, place: Place) -> Spec:
    """In the plant: reaches the hub's broker over the link only."""
    mes = str(place.staging_database) if plant == "brno" else f"http://{place.address(f'mes-{plant}')}"
    more = {"PLANT_ID": plant, "MES_DRIVER": MES[plant], "MES_ADDRESS": mes}
    if plant in LAYOUTS:
        stations = str(len(place.plants[plant].operations))
        line = f"opc.tcp://{place.address(f'line-{plant}')}"
        more |= {"LINE_URL": line, "LINE_TAG_MAP": LAYOUTS[plant], "LINE_STATIONS": stations}
    if plant == "ghent":
        more |= _evidence(place)
    if place.has_machines and plant in MACHINES:
        more |= _signals(plant, place)
    more["NATS_URL"] = f"nats://{place.address(f'link-{plant}')}"
    return _service("edge_bridge", f"edge_bridge-{plant}", place, {**more, "PLANTS": plant})


def _evidence(place: Place) -> dict[str, str]:
    """Where ghent's bridge finds the laboratory and the historian."""
    return {
        "LIMS_FOLDER": str(place.laboratory_folder),
        "LIMS_MAP_FILE": str(ROOT / "services" / "edge_bridge" / "lims_maps" / "ghent.json"),
        "TIME_ZONE": ZONES["ghent"],
        "HISTORIAN_URL": foreign.historian_url(place),
        "HISTORIAN_GRACE_SECONDS": "2",
    }


def _signals(plant: str, place: Place) -> dict[str, str]:
    """What the bridge is told of the plant's machine; calm measurements are said once in a while."""
    driver, asset_id, signals = MACHINES[plant]
    scale = "0.01" if driver == "modbus" else "1"
    calm = {"deadband": "0.5", "window_seconds": 2, "silent_windows": 30, "scale": scale, "bad": 32768}
    asset: dict[str, Any] = {
        "asset_id": asset_id,
        **dict(zip(("state", "fault", "runtime_seconds", "cycles"), signals, strict=False)),
        "states": {"0": "idle", "1": "running", "2": "down"},
        "measures": [
            {"measure_id": "vibration", "place": signals[4], "unit_code": "C16", **calm},
            {"measure_id": "temperature", "place": signals[5], "unit_code": "CEL", **calm},
        ],
    }
    path = place.home / f"signals-{plant}.json"
    write_json(path, {"counter_seconds": 10, "fault_seconds": 5, "assets": [asset]})
    scheme = "" if driver == "modbus" else "opc.tcp://"
    return {
        "SIGNAL_DRIVER": driver,
        "SIGNAL_ADDRESS": f"{scheme}{place.address(f'machine-{plant}')}",
        "SIGNAL_MAP_FILE": str(path),
        "SIGNAL_POLL_SECONDS": "0.05",
    }


def _service(package: str, name: str, place: Place, more: dict[str, str]) -> Spec:
    settings = {
        "DATABASE_URL": f"sqlite:///{place.home / 'data' / f'{name}.db'}",
        "NATS_URL": f"nats://{place.address('nats')}",
        "LISTEN": place.address(name),
        "PLANTS": ",".join(place.plants),
        "OTLP_ENDPOINT": place.address("operations"),
        "STREAMS_FILE": str(ROOT / "deploy" / "nats" / "streams.yaml"),
        **more,
    }
    environment = {f"{package.upper()}_{key}": value for key, value in settings.items()}
    command = [PYTHON, "-m", f"services.{package}"]
    port = place.ports[name]
    return Spec(name, command, environment, processes.health(port), SERVICES, port, is_ours=True)
