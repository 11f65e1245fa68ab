"""The edge bridge, put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc

from isthmus.edge.v1 import edge_service_pb2
from isthmus.edge.v1.edge_service_pb2_grpc import add_EdgeServiceServicer_to_server
from servicekit.postings import PostingKind
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.edge_bridge import event_handlers, metrics, supervisor, use_cases
from services.edge_bridge.driver import (
    Connectors,
    Health,
    HistorianDriver,
    LaboratoryDriver,
    LineDriver,
    MesDriver,
    SignalDriver,
)
from services.edge_bridge.drivers.batch_mes import BatchMes
from services.edge_bridge.drivers.influx_historian import InfluxHistorian, Place
from services.edge_bridge.drivers.lims_files import LimsFiles
from services.edge_bridge.drivers.modbus_signals import ModbusSignals
from services.edge_bridge.drivers.opc_ua import OpcUaLine
from services.edge_bridge.drivers.opcua_signals import OpcUaSignals
from services.edge_bridge.drivers.rest_mes import RestMes
from services.edge_bridge.drivers.staging_mes import StagingMes
from services.edge_bridge.lims_map import LimsMap, load_map
from services.edge_bridge.rpc import EdgeService
from services.edge_bridge.settings import Settings
from services.edge_bridge.signal_map import SignalMap, load_signal_map
from services.edge_bridge.store import STORE
from services.edge_bridge.tag_map import TAG_MAPS

M = TypeVar("M")
Driver = MesDriver | LineDriver | LaboratoryDriver | HistorianDriver | SignalDriver


def connectors_of(settings: Settings, lims_map: LimsMap | None, signals: SignalMap | None) -> Connectors:
    """What the settings connect this bridge to."""
    mes_id, line_id = f"mes-{settings.plant_id}", f"line-{settings.plant_id}"
    mes = mes_of(settings, mes_id)
    line: LineDriver | None = None
    if settings.line_url:
        line = OpcUaLine(line_id, settings.line_url, TAG_MAPS[settings.line_tag_map], settings.line_stations)
    laboratory, historian = evidence_sources_of(settings, lims_map)
    machines = machines_of(settings, signals)
    named: list[tuple[str, Driver | None]] = [(mes_id, mes), (line_id, line), (settings.laboratory_id, laboratory)]
    named += [(historian_id(settings), historian), (machines_id(settings), machines)]
    health = {name: Health(name, driver.name) for name, driver in named if driver is not None}
    return Connectors(mes, line, laboratory, historian, machines, signals, health)


def mes_of(settings: Settings, mes_id: str) -> MesDriver:
    if settings.mes_driver == "staging_mes":
        return StagingMes(mes_id, Path(settings.mes_address))
    if settings.mes_driver == "batch_mes":
        return BatchMes(mes_id, settings.mes_address)
    return RestMes(mes_id, settings.mes_address)


def machines_id(settings: Settings) -> str:
    return f"machines-{settings.plant_id}"


def machines_of(settings: Settings, signals: SignalMap | None) -> SignalDriver | None:
    """The machines' signals, where the plant has them."""
    if not settings.signal_address or signals is None:
        return None
    if settings.signal_driver == "opc_ua":
        return OpcUaSignals(machines_id(settings), settings.signal_address, signals)
    host, _, port = settings.signal_address.rpartition(":")
    return ModbusSignals(machines_id(settings), host, int(port), signals)


def historian_id(settings: Settings) -> str:
    return f"historian-{settings.plant_id}"


def evidence_sources_of(
    settings: Settings, lims_map: LimsMap | None
) -> tuple[LaboratoryDriver | None, HistorianDriver | None]:
    """Laboratory and historian, where the plant has them."""
    laboratory = historian = None
    if settings.lims_folder is not None and lims_map is not None:
        laboratory = LimsFiles(settings.laboratory_id, settings.lims_folder, lims_map, settings.lims_quiet_seconds)
    if settings.historian_url:
        database, measurement = settings.historian_database, settings.historian_measurement
        place = Place(settings.historian_url, database, measurement, settings.historian_grace)
        historian = InfluxHistorian(historian_id(settings), place)
    return laboratory, historian


def read_map(path: Path | None, setting: str, load_it: Callable[[Path], M]) -> M | None:
    """A map of the plant's words or places; a file that can't be used stops the start, with every problem of it."""
    if path is None:
        return None
    try:
        return load_it(path)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"EDGE_BRIDGE_{setting}: {error}\n")
        raise SystemExit(2) from None


def servicers(connectors: Connectors, kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_EdgeServiceServicer_to_server(EdgeService(kit, connectors), server)
    return [edge_service_pb2.DESCRIPTOR.services_by_name["EdgeService"].full_name]


def posting_kinds(connectors: Connectors, kit: Kit) -> Mapping[tuple[str, str], PostingKind]:
    asked: list[MesDriver | LaboratoryDriver] = [connectors.mes]
    if connectors.laboratory is not None:
        asked.append(connectors.laboratory)
    return {(one.connector_id, kind): maker for one in asked for kind, maker in one.posting_kinds().items()}


def main() -> None:
    settings = load(Settings)
    lims_map = read_map(settings.lims_map_file, "LIMS_MAP_FILE", load_map)
    signals = read_map(settings.signal_map_file, "SIGNAL_MAP_FILE", load_signal_map)
    connectors = connectors_of(settings, lims_map, signals)
    laboratory = [connectors.laboratory.connector_id] if connectors.laboratory is not None else []
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=partial(servicers, connectors),
        handlers=event_handlers.handlers(settings, lims_map),
        own_inboxes=[connectors.mes.connector_id, *laboratory],
        posting_kinds=partial(posting_kinds, connectors),
        posting_outcome=use_cases.posting_outcome,
        says_group=False,
        loops=lambda kit: supervisor.loops(kit, connectors),
        looks=lambda kit: partial(metrics.look, kit, connectors),
    )
    run_service(service, settings)


if __name__ == "__main__":
    main()
