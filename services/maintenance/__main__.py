"""Maintenance, put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from isthmus.maintenance.v1 import maintenance_service_pb2
from isthmus.maintenance.v1.maintenance_service_pb2_grpc import add_MaintenanceServiceServicer_to_server
from servicekit.facts import handlers_of
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.maintenance import event_handlers
from services.maintenance.restates import RESTATES
from services.maintenance.rpc import MaintenanceService
from services.maintenance.settings import Settings
from services.maintenance.store import STORE


def servicers(kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_MaintenanceServiceServicer_to_server(MaintenanceService(kit), server)
    return [maintenance_service_pb2.DESCRIPTOR.services_by_name["MaintenanceService"].full_name]


def main() -> None:
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=servicers,
        handlers=handlers_of(event_handlers),
        shares_plants=True,
        restates=RESTATES,
    )
    run_service(service, load(Settings))


if __name__ == "__main__":
    main()
