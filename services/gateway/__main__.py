"""The gateway, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import grpc

from isthmus.gateway.v1 import gateway_service_pb2
from isthmus.gateway.v1.gateway_service_pb2_grpc import add_GatewayServiceServicer_to_server
from isthmus.maintenance.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub
from servicekit.facts import handlers_of
from servicekit.postings import PostingKind
from servicekit.run import Kit, Service, run_service
from servicekit.settings import load
from services.gateway import clients, cmms, event_handlers, metrics, qms, routes, use_cases, wire, wms
from services.gateway.books import PartnerBooks
from services.gateway.erp import tryton_postings
from services.gateway.erp.canonical import ErpSettings
from services.gateway.erp.tryton import TrytonReader
from services.gateway.erp.tryton_books import TrytonBooks
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.follower import Binding, Follower
from services.gateway.rpc import GatewayService
from services.gateway.settings import Settings
from services.gateway.store import STORE
from services.gateway.synchroniser import Synchroniser
from services.gateway.wms_books import WmsBooks


def client_of(settings: Settings, plant_id: str) -> TrytonClient:
    erp = settings.erps[plant_id]
    return TrytonClient(ErpSettings(plant_id, erp.family, erp.url, erp.database, erp.user, _read(erp.password_file)))


def servicers(
    bindings: dict[str, Binding], erps: Mapping[str, TrytonClient], kit: Kit, server: grpc.aio.Server
) -> Sequence[str]:
    partners: dict[str, PartnerBooks] = {wire.erp_of(plant_id): TrytonBooks(erp) for plant_id, erp in erps.items()}
    settings = kit.settings
    if settings.wms_url and settings.wms_api_key_file:
        partners[wire.WMS] = WmsBooks(settings.wms_url, _read(settings.wms_api_key_file))
    add_GatewayServiceServicer_to_server(GatewayService(bindings, partners), server)
    return [gateway_service_pb2.DESCRIPTOR.services_by_name["GatewayService"].full_name]


def posting_kinds(erps: Mapping[str, TrytonClient], kit: Kit) -> Mapping[tuple[str, str], PostingKind]:
    kinds = {
        (wire.erp_of(plant_id), kind): maker
        for plant_id, client in erps.items()
        for kind, maker in tryton_postings.posting_kinds(client).items()
    }
    settings = kit.settings
    if settings.wms_url and settings.wms_api_key_file:
        made = wms.posting_kinds(settings.wms_url, _read(settings.wms_api_key_file))
        kinds |= {(wire.WMS, kind): maker for kind, maker in made.items()}
    if settings.qms_url and settings.qms_api_key_file:
        made = qms.posting_kinds(settings.qms_url, _read(settings.qms_api_key_file))
        kinds |= {(wire.QMS, kind): maker for kind, maker in made.items()}
    if settings.cmms_url and settings.cmms_api_key_file:
        made = cmms.posting_kinds(cmms.client_of(settings.cmms_url, _read(settings.cmms_api_key_file)))
        kinds |= {(wire.CMMS, kind): maker for kind, maker in made.items()}
    if settings.maintenance:
        stub = MaintenanceServiceStub(clients.channel(settings.maintenance))
        kinds[wire.MAINTENANCE, wire.COMPLETE_WORK_REQUEST] = cmms.CompletesWorkRequest(stub)
    return kinds


def _read(secret: Path) -> str:
    return secret.read_text(encoding="utf-8").strip()


def loops(erps: Mapping[str, TrytonClient], bindings: Mapping[str, Binding], kit: Kit) -> Iterable[Awaitable[None]]:
    settings: Settings = kit.settings
    called = clients.connect(settings.master_data, settings.production, settings.inventory, settings.quality)
    for plant_id, client in erps.items():
        reader = TrytonReader(plant_id, client)
        synchroniser = Synchroniser(kit, called.master_data, reader, plant_id, settings.full_sync_hours)
        yield Follower(kit, called, client, reader, synchroniser, bindings[plant_id]).serve()
    if settings.webhook_listen and settings.webhook_secret_file:
        yield routes.serve(called, settings.webhook_listen, _read(settings.webhook_secret_file))
    if settings.cmms_url and settings.cmms_api_key_file and settings.maintenance:
        http = cmms.client_of(settings.cmms_url, _read(settings.cmms_api_key_file))
        yield cmms.CmmsFollower(kit, http).serve()


def main() -> None:
    settings = load(Settings)
    bindings = {plant_id: Binding(plant_id, erp.family) for plant_id, erp in settings.erps.items()}
    erps = {plant_id: client_of(settings, plant_id) for plant_id in settings.erps}
    service = Service(
        store=STORE,
        migrations=Path(__file__).parent / "migrations",
        servicers=partial(servicers, bindings, erps),
        handlers=handlers_of(event_handlers),
        posting_kinds=partial(posting_kinds, erps),
        posting_outcome=use_cases.posting_outcome,
        loops=partial(loops, erps, bindings),
        looks=lambda _kit: partial(metrics.look, bindings),
    )
    run_service(service, settings)


if __name__ == "__main__":
    main()
