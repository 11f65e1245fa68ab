"""Production, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from pathlib import Path

import grpc
import structlog

from isthmus.production.v1 import production_service_pb2
from isthmus.production.v1.production_service_pb2_grpc import add_ProductionServiceServicer_to_server
from servicekit import clock
from servicekit.domain import DomainError
from servicekit.facts import handlers_of
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.production import event_handlers, line_teller, queries, use_cases
from services.production.domain.plant import Plant
from services.production.restates import RESTATES
from services.production.rpc import ProductionService
from services.production.settings import Settings
from services.production.store import STORE
from services.production.wire import CompareCounts

log = structlog.get_logger()
COMPARE_SECONDS = 1.0


def servicers(kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_ProductionServiceServicer_to_server(ProductionService(kit), server)
    return [production_service_pb2.DESCRIPTOR.services_by_name["ProductionService"].full_name]


async def record_plants(kit: Kit) -> None:
    """Plants are told by settings until master data owns them."""
    for plant_id in kit.settings.plants:
        zone = kit.settings.plant_time_zones.get(plant_id, "UTC")
        await kit.door.run(use_cases.record_plant, Plant(plant_id, zone, kit.settings.over_delivery_percent))


async def compare_counts(kit: Kit) -> None:
    """Find differences between lines and MES for ever."""
    while True:
        await asyncio.sleep(COMPARE_SECONDS)
        try:
            for order_id in await kit.database.read(partial(queries.orders_to_compare, now=clock.now())):
                await kit.door.run(use_cases.compare_counts, CompareCounts(order_id))
        except DomainError as fault:
            log.warning("counts not compared", fault=str(fault))


def loops(kit: Kit) -> Iterable[Awaitable[None]]:
    yield compare_counts(kit)
    yield line_teller.serve(kit)


def main() -> None:
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=servicers,
        handlers=handlers_of(event_handlers),
        shares_plants=True,
        restates=RESTATES,
        before_serving=record_plants,
        loops=loops,
    )
    run_service(service, load(Settings))


if __name__ == "__main__":
    main()
