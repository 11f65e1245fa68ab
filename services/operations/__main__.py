"""Operations, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import add_TraceServiceServicer_to_server

from isthmus.operations.v1 import operations_service_pb2
from isthmus.operations.v1.operations_service_pb2_grpc import add_OperationsServiceServicer_to_server
from servicekit import clock
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.operations import event_handlers, spans
from services.operations.mes_books import MesBooks
from services.operations.reconciler import Reconciler, Sides, begin_by_schedule
from services.operations.rpc import OperationsService
from services.operations.settings import Settings
from services.operations.store import STORE

PRUNE_SECONDS = 60.0
DAY_NS = 86_400_000_000_000


def servicers(kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_OperationsServiceServicer_to_server(OperationsService(kit), server)
    add_TraceServiceServicer_to_server(spans.SpanReceiver(kit.database), server)  # type: ignore[no-untyped-call]
    return [operations_service_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name]


async def prune_spans(kit: Kit) -> None:
    """Keep the span store bounded."""
    while True:
        before = clock.micros(clock.now()) * 1000 - int(kit.settings.span_days * DAY_NS)
        await kit.database.write(partial(spans.prune, before_ns=before))
        await asyncio.sleep(PRUNE_SECONDS)


def loops(kit: Kit) -> Iterable[Awaitable[None]]:
    yield prune_spans(kit)
    settings: Settings = kit.settings
    if settings.inventory and settings.production and settings.gateway:
        mes = {plant: MesBooks.connect(at, settings.production) for plant, at in settings.edge_bridges.items()}
        sides = Sides.connect(settings.inventory, settings.production, settings.gateway, mes)
        yield Reconciler(kit, sides).serve()
        if settings.reconcile_hours:
            yield begin_by_schedule(kit, settings.plants, settings.reconcile_hours)


def main() -> None:
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=servicers,
        hears_all=event_handlers.record_entry,
        streams_of_all=True,
        loops=loops,
    )
    run_service(service, load(Settings))


if __name__ == "__main__":
    main()
