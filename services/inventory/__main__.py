"""Inventory, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from pathlib import Path

import grpc

from isthmus.inventory.v1 import inventory_service_pb2
from isthmus.inventory.v1.inventory_service_pb2_grpc import add_InventoryServiceServicer_to_server
from servicekit.facts import handlers_of
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.inventory import allocator, availability_teller, event_handlers
from services.inventory.rpc import InventoryService
from services.inventory.settings import Settings
from services.inventory.store import STORE


def servicers(kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_InventoryServiceServicer_to_server(InventoryService(kit), server)
    return [inventory_service_pb2.DESCRIPTOR.services_by_name["InventoryService"].full_name]


def loops(kit: Kit) -> Iterable[Awaitable[None]]:
    yield allocator.serve(kit)
    yield availability_teller.serve(kit)


def main() -> None:
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=servicers,
        handlers=handlers_of(event_handlers),
        shares_plants=True,
        loops=loops,
    )
    run_service(service, load(Settings))


if __name__ == "__main__":
    main()
