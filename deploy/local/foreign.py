"""The systems that are not ours, as data: real ERPs and historian, the plants' systems, partners, links."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local import processes
from deploy.local.influx import Influx
from deploy.local.processes import Probe, Spec
from deploy.local.tryton import install
from deploy.local.tryton.plants import PlantSeed

FOREIGN = 0  # layer
PYTHON = sys.executable
LAYOUTS = {"aachen": "stations", "brno": "cells"}  # of the plants that have a line
EQUIPMENT = ("EQ-100", "EQ-200", "EQ-300")  # what the CMMS knows
MACHINE_NAMES = ("state", "fault", "runtime", "cycles", "vibration", "temperature")
REGISTERS = [str(register) for register in range(6)]
MACHINES = {  # by plant: protocol, asset, where its signals live
    "aachen": ("modbus", "CNC-01-A", REGISTERS),
    "brno": ("opc_ua", "LAT-03-A", [f"ns=2;s=Machine.{name}" for name in MACHINE_NAMES]),
    "ghent": ("modbus", "RX-01-A", REGISTERS),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system lives, and what is in it. `has_machines`: machines whose signals the bridges read."""

    home: Path
    ports: Mapping[str, int]
    plants: Mapping[str, PlantSeed]
    has_machines: bool = False

    def of(self, plants: Sequence[str]) -> Place:
        """The same place, seen from some of its plants."""
        return replace(self, plants={plant: self.plants[plant] for plant in plants})

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    def secret(self, name: str) -> str:
        return str(self.home / "secrets" / name)

    @property
    def staging_database(self) -> Path:
        return self.home / "mes-brno" / "staging.db"

    @property
    def laboratory_folder(self) -> Path:
        return self.home / "lims-ghent" / "share"


def specs(place: Place) -> list[Spec]:
    """Every foreign process."""
    found = [_partner(name, place, *_webhooks(name, place)) for name in ("wms", "qms")]
    found.append(_partner("cmms", place, "--equipment", *EQUIPMENT))
    for plant in place.plants.values():
        found += [_erp(plant, place), _mes(plant, place), _link(plant.plant_id, place)]
        found += [_line(plant, place)] if plant.plant_id in LAYOUTS else []
    if "ghent" in place.plants:
        found += [_laboratory(place), _historian(place)]
    return found + [_machine(plant, place) for plant in MACHINES if place.has_machines and plant in place.plants]


def _erp(plant: PlantSeed, place: Place) -> Spec:
    name = f"erp-{plant.plant_id}"
    port = place.ports[name]
    command = install.command(place.home / "erp" / plant.plant_id)

    def ready() -> bool:
        return install.is_ready(port, plant.series)

    return Spec(name, command, {"PYTHONPATH": ""}, ready, FOREIGN, port, is_ours=False)


def _played(
    place: Place, name: str, module: str, *arguments: str, ready: Probe | None = None, port: int | None = None
) -> Spec:
    """A system that we play ourselves; ready when its health is good, unless said otherwise."""
    port = place.ports[name] if port is None else port
    state = str(place.home / name)
    command = [PYTHON, "-m", f"simulators.{module}", "--port", str(port), "--state", state, *arguments]
    probe = ready or processes.http(f"http://127.0.0.1:{port}/health")
    return Spec(name, command, {}, probe, FOREIGN, port, is_ours=False)


def _health(place: Place, control: str) -> Probe:
    """Of a system whose own port speaks something else."""
    return processes.http(f"http://{place.address(control)}/health")


# --- of a plant


def _line(plant: PlantSeed, place: Place) -> Spec:
    name = f"line-{plant.plant_id}"
    more = ["--layout", LAYOUTS[plant.plant_id], "--stations", str(len(plant.operations)), "--cycle-ms", "50"]
    return _played(place, name, "opcua_line", *more, ready=processes.tcp(place.ports[name]))


def _mes(plant: PlantSeed, place: Place) -> Spec:
    name = f"mes-{plant.plant_id}"
    tracked = [component for component, _ in plant.components if component.is_lot_tracked]
    lots = ["--lots", *(f"{one.code}={','.join(lot for lot, _ in one.opening)}" for one in tracked)]
    if plant.plant_id == "ghent":
        return _played(place, name, "mes_batch", "--historian", historian_url(place), *lots)
    line = ["--line", f"opc.tcp://{place.address(f'line-{plant.plant_id}')}"]
    if plant.plant_id == "aachen":
        return _played(place, name, "mes_rest", *line, *lots)
    return _played(place, name, "mes_staging", *line, *lots, ready=processes.file(place.staging_database), port=0)


def _laboratory(place: Place) -> Spec:
    return _played(place, "lims-ghent", "lims", "--folder", str(place.laboratory_folder))


def historian_url(place: Place) -> str:
    return f"http://{place.address('historian-ghent')}"


def _historian(place: Place) -> Spec:
    """A real InfluxDB. Raises PackageAbsent."""
    port = place.ports["historian-ghent"]
    server = Influx(place.home / "historian-ghent", port, place.ports["historian-ghent-backup"])
    return Spec("historian-ghent", server.command(), {}, server.is_ready, FOREIGN, port, is_ours=False)


def _link(plant: str, place: Place) -> Spec:
    name = f"link-{plant}"
    more = ["--to", place.address("nats"), "--control", str(place.ports[f"{name}-control"])]
    return _played(place, name, "link", *more, ready=_health(place, f"{name}-control"))


def _machine(plant: str, place: Place) -> Spec:
    name = f"machine-{plant}"
    protocol = "modbus" if MACHINES[plant][0] == "modbus" else "opcua"
    more = ["--control", str(place.ports[f"{name}-control"]), "--protocol", protocol, "--speed", "60"]
    return _played(place, name, "machine", *more, ready=_health(place, f"{name}-control"))


# --- partners


def _partner(name: str, place: Place, *more: str) -> Spec:
    return _played(place, name, name, "--api-key-file", place.secret(f"{name}_api_key"), *more)


def _webhooks(name: str, place: Place) -> Sequence[str]:
    url = f"http://{place.address('webhooks')}/webhooks/{name}"
    return "--webhook-url", url, "--webhook-secret-file", place.secret("webhook_secret")
