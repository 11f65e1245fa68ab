"""Quality, put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from isthmus.quality.v1 import quality_service_pb2
from isthmus.quality.v1.quality_service_pb2_grpc import add_QualityServiceServicer_to_server
from servicekit.facts import handlers_of
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.quality import event_handlers
from services.quality.restates import RESTATES
from services.quality.rpc import QualityService
from services.quality.settings import Settings
from services.quality.store import STORE


def servicers(kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_QualityServiceServicer_to_server(QualityService(kit), server)
    return [quality_service_pb2.DESCRIPTOR.services_by_name["QualityService"].full_name]


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
