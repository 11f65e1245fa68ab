"""Operations, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import add_TraceServiceServicer_to_server

from isthmus.operations.v1 import operations_service_pb2
from isthmus.operations.v1.operations_service_pb2_grpc import add_OperationsServiceServicer_to_server
from servicekit import clock, web
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.operations import event_handlers, kpis, metrics, sla_queries, spans
from services.operations.changes import Changes
from services.operations.console.app import application
from services.operations.console.asked import connect
from services.operations.interfaces import Interfaces, InterfacesWrong
from services.operations.mes_books import MesBooks
from services.operations.reconciler import Reconciler, Sides, begin_by_schedule
from services.operations.rpc import OperationsService
from services.operations.settings import Settings
from services.operations.sla_watch import SlaWatch
from services.operations.store import STORE

PRUNE_SECONDS = 60.0
CLOCKS_KEPT = timedelta(days=7)  # after they stopped: within it a start that comes late finds its end


def servicers(interfaces: Interfaces, changes: Changes, kit: Kit, server: grpc.aio.Server) -> Sequence[str]:
    add_OperationsServiceServicer_to_server(OperationsService(kit, interfaces, changes), server)
    receiver = spans.SpanReceiver(kit.database, timedelta(seconds=kit.settings.slow_span_seconds))
    add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    return [operations_service_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name]


async def prune(interfaces: Interfaces, kit: Kit) -> None:
    """Keep traces and clocks bounded."""
    settings: Settings = kit.settings
    limits = {one.interface_id: one.sla.limit for one in interfaces.all}
    kept, most = timedelta(days=settings.span_days), settings.spans_most
    while True:
        await spans.prune(kit.database, clock.now(), kept, most, limits)
        await kit.database.write(partial(sla_queries.prune, before=clock.now() - CLOCKS_KEPT))
        await kit.database.write(partial(kpis.prune, before=clock.now() - kpis.KEPT))
        await asyncio.sleep(PRUNE_SECONDS)


def loops(interfaces: Interfaces, changes: Changes, kit: Kit) -> Iterable[Awaitable[None]]:
    yield prune(interfaces, kit)
    yield changes.serve(kit.database)
    yield kpis.Sampler(kit.database, kit.settings).serve()
    yield SlaWatch(kit.database, kit.door, interfaces, kit.settings.plants).serve()
    settings: Settings = kit.settings
    if settings.console_listen:
        asked = connect(
            settings.listen,
            settings.gateway,
            settings.desks,
            settings.edge_bridges,
            settings.plants,
            settings.trace_url,
        )
        yield web.serve(application(asked, settings.console_form_minutes), settings.console_listen)
    if settings.inventory and settings.production and settings.gateway:
        mes = {plant: MesBooks.connect(at, settings.production) for plant, at in settings.edge_bridges.items()}
        sides = Sides.connect(settings.inventory, settings.production, settings.gateway, mes)
        yield Reconciler(kit, sides).serve()
        if settings.reconcile_hours:
            yield begin_by_schedule(kit, settings.plants, settings.reconcile_hours)


def main() -> None:
    settings = load(Settings)
    try:
        interfaces = Interfaces.load(settings.interfaces_file)
    except InterfacesWrong as wrong:
        raise SystemExit(str(wrong)) from None
    changes = Changes(settings.plants)
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=partial(servicers, interfaces, changes),
        hears_all=partial(event_handlers.record_entry, interfaces),
        streams_of_all=True,
        loops=partial(loops, interfaces, changes),
        looks=lambda kit: partial(metrics.look, kit.database, interfaces, kit.settings.plants),
    )
    run_service(service, settings)


if __name__ == "__main__":
    main()
