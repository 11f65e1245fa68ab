"""The edge bridge, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import grpc

from isthmus.edge.v1 import edge_service_pb2
from isthmus.edge.v1.edge_service_pb2_grpc import add_EdgeServiceServicer_to_server
from servicekit.postings import PostingKind
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.edge_bridge import event_handlers, supervisor, use_cases
from services.edge_bridge.driver import Connectors, Health, LineDriver, MesDriver
from services.edge_bridge.drivers.opc_ua import OpcUaLine
from services.edge_bridge.drivers.rest_mes import RestMes
from services.edge_bridge.drivers.staging_mes import StagingMes
from services.edge_bridge.rpc import EdgeService
from services.edge_bridge.settings import Settings
from services.edge_bridge.store import STORE
from services.edge_bridge.tag_map import TAG_MAPS


def connectors_of(settings: Settings) -> Connectors:
    """What the settings connect this bridge to."""
    mes_id, line_id = f"mes-{settings.plant_id}", f"line-{settings.plant_id}"
    mes: MesDriver
    if settings.mes_driver == "rest_mes":
        mes = RestMes(mes_id, settings.mes_address)
    else:
        mes = StagingMes(mes_id, Path(settings.mes_address))
    line: LineDriver | None = None
    if settings.line_url:
        line = OpcUaLine(line_id, settings.line_url, TAG_MAPS[settings.line_tag_map], settings.line_stations)
    health = {mes_id: Health(mes_id, mes.name)}
    if line is not None:
        health[line_id] = Health(line_id, line.name)
    return Connectors(mes, line, health)


def servicers(connectors: Connectors, kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_EdgeServiceServicer_to_server(EdgeService(kit, connectors), server)
    return [edge_service_pb2.DESCRIPTOR.services_by_name["EdgeService"].full_name]


def posting_kinds(connectors: Connectors, kit: Kit) -> Mapping[tuple[str, str], PostingKind]:
    mes = connectors.mes
    return {(mes.connector_id, kind): maker for kind, maker in mes.posting_kinds().items()}


def main() -> None:
    settings = load(Settings)
    connectors = connectors_of(settings)
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=partial(servicers, connectors),
        handlers=event_handlers.handlers(settings.mes_driver),
        own_inboxes=[connectors.mes.connector_id],
        posting_kinds=partial(posting_kinds, connectors),
        posting_outcome=use_cases.mes_outcome,
        says_group=False,
        loops=lambda kit: supervisor.loops(kit, connectors),
    )
    run_service(service, settings)


if __name__ == "__main__":
    main()
