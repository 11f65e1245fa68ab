"""Production, put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from isthmus.production.v1 import production_service_pb2
from isthmus.production.v1.production_service_pb2_grpc import add_ProductionServiceServicer_to_server
from servicekit.facts import handlers_of
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.production import event_handlers, use_cases
from services.production.domain.plant import Plant
from services.production.rpc import ProductionService
from services.production.settings import Settings
from services.production.store import STORE


def servicers(kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_ProductionServiceServicer_to_server(ProductionService(kit), server)
    return [production_service_pb2.DESCRIPTOR.services_by_name["ProductionService"].full_name]


async def record_plants(kit: Kit) -> None:
    """Plants are told by settings until master data owns them."""
    for plant_id in kit.settings.plants:
        zone = kit.settings.plant_time_zones.get(plant_id, "UTC")
        await kit.door.run(use_cases.record_plant, Plant(plant_id, zone, kit.settings.over_delivery_percent))


def main() -> None:
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=servicers,
        handlers=handlers_of(event_handlers),
        before_serving=record_plants,
    )
    run_service(service, load(Settings))


if __name__ == "__main__":
    main()
