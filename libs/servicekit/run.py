"""Runs a service: database, broker, door, relay, reader, postings, gRPC server, health, and an orderly end."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from isthmus.operations.v1 import lane_service_pb2, lane_service_pb2_grpc
from servicekit import claims, clock, outbox, telemetry
from servicekit.bounds import Bounds
from servicekit.broker import Broker, StreamRules
from servicekit.database import Again, Database
from servicekit.desk import Desk
from servicekit.domain import GROUP, DomainError
from servicekit.door import Door
from servicekit.errors import Refusals
from servicekit.facts import PACKAGE_OF, SERVICE_OF, Handler, slot_of
from servicekit.inbox import Inbox
from servicekit.metrics import Looks, Metrics
from servicekit.migrate import migrate
from servicekit.owners import Fence, Owners, Work
from servicekit.poster import Poster
from servicekit.postings import PostingKind, PostingOutcome
from servicekit.reader import Reader
from servicekit.relay import Relay
from servicekit.restate import Restater, Restates
from servicekit.settings import ServiceSettings
from servicekit.use_case import Store, UseCase

log = structlog.get_logger()
SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
CALLS_MOST = 4000
OUTBOX_KEPT = timedelta(days=35)  # after the stream had them: a lost stream is filled again from these rows
CLAIMS_KEPT = timedelta(days=400)  # within it a document that comes again gets its first answer
HOUSEKEEPING_SECONDS = 60.0
CANCEL_SECONDS = 1.0
COLLECTED_AFTER = 20_000  # new objects that still live: more than a batch of 256 facts has at once
WHOLE, LOOPS = "slots", "service"  # places that are no plants


@dataclass(slots=True)
class Kit:
    """What the kit made for a service while it runs."""

    settings: Any
    database: Database
    broker: Broker
    door: Door
    relay: Relay
    inboxes: dict[str, Inbox]


@dataclass(frozen=True, slots=True)
class Service:
    """What a service is made of; `__main__.py` says it and nothing else.

    `servicers` adds the service's servicers to the server. `loops` are tasks of its own. `posting_kinds` are made when
    the service starts, by (partner id, kind); `posting_outcome` says what follows from a posting's end.
    """

    store: Store
    migrations: Path
    servicers: Callable[[Kit, grpc.aio.Server], Sequence[str]]
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    hears_all: Handler | None = None
    hears_group: bool = False
    loops: Callable[[Kit], Iterable[Awaitable[None]]] | None = None
    posting_kinds: Callable[[Kit], Mapping[tuple[str, str], PostingKind]] | None = None
    posting_outcome: UseCase[PostingOutcome] | None = None
    own_inboxes: Sequence[str] = ()  # consumers of local records, beside the reader
    streams_of_all: bool = False  # hears every service
    says_group: bool = True  # has facts of no plant
    restates: Sequence[Restates] = ()  # nouns that a reader needs which is added later, in this order
    looks: Callable[[Kit], Looks] | None = None  # metrics of its own
    shares_plants: bool = False  # replicas on PostgreSQL divide the plants among them; else one works, others wait
    before_serving: Callable[[Kit], Awaitable[None]] | None = None  # what must stand before the first call


def run_service(service: Service, settings: ServiceSettings) -> None:
    """Run until SIGTERM or SIGINT; exit code 1 if a part of it failed."""
    plant_id = str(getattr(settings, "plant_id", ""))
    telemetry.start(service.store.service, plant_id, settings.otlp_endpoint, settings.log_level)
    uvloop.run(_run(service, settings))


async def _run(service: Service, settings: ServiceSettings) -> None:
    name = service.store.service
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.callback(database.close)
        lock = _own(database)
        if lock is not None:
            stack.callback(lock.close)
        await asyncio.to_thread(migrate, database.engines[0], name, service.migrations)
        telemetry.instrument()
        rules = StreamRules.load(settings.streams_file, settings.stream_replicas)
        broker = Broker(settings.nats_url, rules, name)
        stack.push_async_callback(broker.close)
        relay = Relay(database, broker, settings.catch_up_rate)
        bounds = Bounds()
        door = Door(database, service.store, relay.told, bounds)
        consumers = [name, *service.own_inboxes]
        inboxes = {
            consumer: Inbox(
                database,
                service.store,
                service.handlers,
                relay.told,
                consumer=consumer,
                hears_all=service.hears_all,
                bounds=bounds,
            )
            for consumer in consumers
        }
        kit = Kit(settings, database, broker, door, relay, inboxes)
        await _serve(service, kit)
    telemetry.stop()


async def _serve(service: Service, kit: Kit) -> None:
    server = grpc.aio.server(interceptors=[Refusals()], options=SERVER_OPTIONS, maximum_concurrent_rpcs=CALLS_MOST)
    names = list(service.servicers(kit, server))
    lane_service_pb2_grpc.add_LaneServiceServicer_to_server(Desk(kit.database, kit.inboxes), server)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names += [lane_service_pb2.DESCRIPTOR.services_by_name["LaneService"].full_name, "grpc.health.v1.Health"]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    server.add_insecure_port(kit.settings.listen)
    await server.start()
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    tasks = [asyncio.ensure_future(part) for part in _parts(service, kit)]
    if service.before_serving is not None:
        await service.before_serving(kit)
    calm_collector()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    log.info("ready", listen=kit.settings.listen, plants=list(kit.settings.plants))
    stop = asyncio.ensure_future(stopping.wait())
    done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    await server.stop(kit.settings.drain_seconds)
    ended = await end_of(tasks)
    failed = [end for end in ended if isinstance(end, Exception)]
    if stop not in done:
        for error in failed:
            log.error("part of the service failed", error=repr(error), exc_info=error)
        raise SystemExit(1)
    log.info("stopped")


def calm_collector() -> None:
    """Let the garbage collector pass over what stands once a service is ready, and look at new objects less often.

    A fact makes dozens of objects and no cycles. At the usual 700 the collector took a seventh of a reader's time, and its
    walks through all that the libraries hold were an edge bridge's slowest hundredth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, *gc.get_threshold()[1:])


async def end_of(tasks: Sequence[asyncio.Future[None]]) -> list[BaseException | None]:
    """Cancel, and again whatever did not hear it.

    A cancellation that meets an answer is lost in `wait_for` before Python 3.12, and the broker's client puts an error of its
    own in its place when its connection goes at the same moment; the loop it was meant for would then run for ever.
    """
    for task in tasks:
        task.cancel()
    while tasks and (await asyncio.wait(tasks, timeout=CANCEL_SECONDS))[1]:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:  # a group does not pass a second one on to its own
            task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


def _parts(service: Service, kit: Kit) -> Iterable[Awaitable[None]]:
    """What runs in every process: calls and their commits. The rest belongs to the owner of a place."""
    yield housekeeping(kit.database)
    if kit.database.is_sqlite:
        yield kit.door.serve()
    yield Owners(kit.database, service.store.service, _works(service, kit)).serve()


def _works(service: Service, kit: Kit) -> dict[str, Work]:
    """By place: telling and hearing of one plant each where replicas share them, else of all in one."""
    plants = kit.settings.plants
    is_shared = service.shares_plants and not kit.database.is_sqlite
    shares = {plant: [plant] for plant in plants} | {GROUP: [GROUP]} if is_shared else {WHOLE: [*plants, GROUP]}
    works: dict[str, Work] = {place: partial(_tell_and_hear, service, kit, own) for place, own in shares.items()}
    return works | {LOOPS: partial(_loop, service, kit)}


async def _tell_and_hear(service: Service, kit: Kit, places: Sequence[str], fence: Fence) -> None:
    name = service.store.service
    async with asyncio.TaskGroup() as group:
        said = [place for place in places if place != GROUP or service.says_group]
        slots = [slot_of(name, place) for place in said]
        group.create_task(kit.relay.serve(slots))
        group.create_task(Restater(kit.database, kit.broker, service.restates, kit.relay.told, fence).serve(slots))
        heard = _slots_heard(service, places)
        if heard:
            inbox = kit.inboxes[name].of_owner(fence)
            lanes_of = None if fence.place == WHOLE else places
            group.create_task(Reader(kit.database, kit.broker, inbox, heard, lanes_of).serve())


async def _loop(service: Service, kit: Kit, fence: Fence) -> None:
    async with asyncio.TaskGroup() as group:
        if service.posting_kinds is not None and service.posting_outcome is not None:
            kinds = service.posting_kinds(kit)
            poster = Poster(kit.database, service.store, kinds, service.posting_outcome, kit.relay.told, fence)
            group.create_task(poster.serve())
        for part in service.loops(kit) if service.loops is not None else ():
            group.create_task(_of(part))
        if kit.settings.metrics_endpoint:
            name, plants = service.store.service, kit.settings.plants
            slots = {place: slot_of(name, place) for place in (*plants, *([GROUP] if service.says_group else []))}
            own = service.looks(kit) if service.looks is not None else None
            metrics = Metrics(kit.database, slots, own)
            group.create_task(metrics.serve(kit.settings.metrics_endpoint, kit.settings.metrics_seconds))


async def _of(part: Awaitable[None]) -> None:
    await part


async def housekeeping(database: Database) -> None:
    """Forget what its time has passed, in small steps, for ever."""
    while True:
        now = clock.now()
        try:
            told = await database.write(partial(outbox.prune, before=now - OUTBOX_KEPT))
            known = await database.write(partial(claims.prune, before=now - CLAIMS_KEPT))
        except (DomainError, Again) as fault:
            log.warning("housekeeping pauses", fault=str(fault))
            told = known = 0
        await asyncio.sleep(1.0 if told or known else HOUSEKEEPING_SECONDS)


def _slots_heard(service: Service, places: Sequence[str]) -> list[str]:
    if service.streams_of_all:
        others = sorted(set(PACKAGE_OF) - {service.store.service})
    else:
        others = sorted(
            {SERVICE_OF[fact_type.split(".")[1]] for fact_type in service.handlers} - {service.store.service}
        )
    hears_group = service.hears_group or service.streams_of_all
    heard = [place for place in places if place != GROUP or hears_group]
    return [slot_of(other, place) for other in others for place in heard if (other, place) != ("edge_bridge", GROUP)]


def _own(database: Database) -> TextIO | None:
    """SQLite: one process a file, held by a file lock for as long as it lives."""
    if not database.is_sqlite:
        return None
    path = Path(str(database.url.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = Path(f"{path}.owner").open("w")  # noqa: SIM115 - held open until the process ends
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"{path} is in use by another process. Stop it first.") from None
    return handle
