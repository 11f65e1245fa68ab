"""Compares the books of plants that were asked for: reads all of them twice, and keeps what both looks show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import grpc
import structlog

from isthmus.gateway.v1 import gateway_service_pb2 as gateway
from isthmus.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from isthmus.inventory.v1 import inventory_service_pb2 as inventory
from isthmus.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from isthmus.operations.v1 import lane_service_pb2 as lanes
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from isthmus.production.v1 import production_service_pb2 as production
from isthmus.production.v1 import work_order_pb2
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from servicekit import clock
from servicekit.channel import channel
from servicekit.database import Again
from servicekit.domain import BusinessKey, DomainError
from servicekit.errors import from_rpc_error
from servicekit.run import Kit
from services.operations import use_cases, wire
from services.operations.domain import order_comparison
from services.operations.domain import reconciliation as domain
from services.operations.domain.reconciliation import Booking, Reconciliation, ReconciliationUnderWay, State, Variance
from services.operations.mes_books import NOTHING, MesBooks, OrderLook
from services.operations.pages import pages
from services.operations.store import RECONCILIATIONS

log = structlog.get_logger()
POLL_SECONDS = 1.0
SCHEDULE_SECONDS = 60.0
BETWEEN_LOOKS = 3.0  # seconds in which what is under way moves on
CLOSED = {work_order_pb2.WORK_ORDER_STATE_COMPLETED, work_order_pb2.WORK_ORDER_STATE_CANCELLED}
VIEWS: dict[str, Callable[[Any], Booking | None]] = {"erp": wire.erp_view, "wms": wire.wms_view}


@dataclass(frozen=True, slots=True)
class Sides:
    """The services whose books are asked for."""

    inventory: Any
    production: Any
    gateway: Any
    gateway_lanes: Any
    mes: Mapping[str, MesBooks]  # by plant

    @classmethod
    def connect(cls, inventory_at: str, production_at: str, gateway_at: str, mes: Mapping[str, MesBooks]) -> Sides:
        """Channels connect when they are first used, and again by themselves."""
        at_gateway = channel(gateway_at)
        return cls(
            InventoryServiceStub(channel(inventory_at)),
            ProductionServiceStub(channel(production_at)),
            GatewayServiceStub(at_gateway),
            LaneServiceStub(at_gateway),
            mes,
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at all books showed."""

    variances: list[Variance]
    read: dict[str, int]  # lines by system
    compared: int
    orders: OrderLook = NOTHING

    @property
    def is_open(self) -> bool:
        """Something here would need a person."""
        return any(v.is_open for v in self.variances) or any(v.is_open for v in self.orders.variances)


class Reconciler:
    """Works off the comparisons that were begun. Reading only: one that was cut off is simply read again."""

    def __init__(self, kit: Kit, sides: Sides) -> None:
        self._kit, self._sides = kit, sides

    async def serve(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                running = await self._kit.database.read(lambda tx: RECONCILIATIONS.select(tx, "state = 'running'", ()))
                for begun in running:
                    await self._kit.door.run(use_cases.end_reconciliation, await self._reconcile(begun))
            except (DomainError, Again) as fault:
                log.warning("reconciling pauses", fault=str(fault))
            await asyncio.sleep(POLL_SECONDS)

    async def _reconcile(self, begun: Reconciliation) -> wire.EndReconciliation:
        plants = self._kit.settings.plants
        if begun.plant_id not in plants:
            return _failed(begun, f"{begun.plant_id} is none of our plants: {', '.join(plants)}")
        try:
            first = await self._look(begun)
            second = first
            if first.is_open:
                await asyncio.sleep(BETWEEN_LOOKS)
                second = await self._look(begun, first)
        except (grpc.aio.AioRpcError, DomainError) as fault:
            log.warning("reconciliation failed", reconciliation_id=begun.reconciliation_id, fault=_told(fault))
            return _failed(begun, _told(fault))
        return _ended(begun, first, second)

    async def _look(self, begun: Reconciliation, before: Look | None = None) -> Look:
        """Partners first, the ledger last: what a partner has is in the ledger by then, or nobody here said it."""
        plant_id = begun.plant_id
        postings = await pages(self._sides.gateway_lanes.ListPostings, lanes.ListPostingsRequest(), "postings")
        asked = [wire.asked(posting) for posting in postings]
        running = frozenset([order.work_order_id async for order in self._running(plant_id)])
        books = {system: await self._partner(plant_id, system) for system in (f"erp-{plant_id}", "wms")}
        request = inventory.ListInventoryTransactionsRequest(plant_id=plant_id)
        lines = await pages(self._sides.inventory.ListInventoryTransactions, request, "transactions")
        look = Look([], {"inventory": len(lines)}, 0)
        compared = 0
        for system, book in books.items():
            if book is None:
                continue
            bookings, stocks = book
            view = VIEWS[system.partition("-")[0]]
            ledger = [line for line in map(view, lines) if line is not None]
            standings = domain.standings_of(system, asked, ledger, running, clock.now())
            look.variances.extend(domain.compare(ledger, bookings, stocks, standings, begun, system))
            look.read[system] = len(bookings)
            compared += len({(line.item_id, line.lot_id) for line in [*ledger, *bookings]})
        mes = self._sides.mes.get(plant_id)
        orders = await mes.look(begun, before.orders if before is not None else None) if mes is not None else NOTHING
        return replace(look, compared=compared + orders.compared, orders=orders)

    async def _running(self, plant_id: str) -> AsyncIterator[Any]:
        request = production.ListWorkOrdersRequest(plant_id=plant_id)
        for order in await pages(self._sides.production.ListWorkOrders, request, "work_orders"):
            if order.state not in CLOSED:
                yield order

    async def _partner(self, plant_id: str, system: str) -> tuple[list[Booking], dict[domain.Lot, Decimal]] | None:
        """A partner's bookings and stock; None if the plant has no such partner."""
        bookings = gateway.ListPartnerBookingsRequest(plant_id=plant_id, partner_id=system)
        stock = gateway.ListPartnerStocksRequest(plant_id=plant_id, partner_id=system)
        try:
            lines = await pages(self._sides.gateway.ListPartnerBookings, bookings, "bookings")
            held = await pages(self._sides.gateway.ListPartnerStocks, stock, "stocks")
        except grpc.aio.AioRpcError as error:
            if from_rpc_error(error)[1] == "PARTNER_UNKNOWN":
                return None
            raise
        stocks = {(s.item_id, s.lot_id, s.quantity.unit_code): Decimal(s.quantity.value) for s in held}
        return [wire.partner_booking(line) for line in lines], stocks


def _ended(begun: Reconciliation, first: Look, second: Look) -> wire.EndReconciliation:
    found = domain.settle(first.variances, second.variances)
    of_orders = order_comparison.settle(first.orders.variances, second.orders.variances)
    is_open = [*(v.is_open for v in found), *(v.is_open for v in of_orders)]
    ended = replace(
        begun,
        state=State.COMPLETED,
        end_time=clock.now(),
        read_books=" ".join(f"{name}={count}" for name, count in sorted({**second.read, **second.orders.read}.items())),
        compared=second.compared,
        open_variances=sum(is_open),
        explained_variances=len(is_open) - sum(is_open),
    )
    return wire.EndReconciliation(ended, tuple(found), tuple(of_orders))


def _failed(begun: Reconciliation, text: str) -> wire.EndReconciliation:
    return wire.EndReconciliation(replace(begun, state=State.FAILED, end_time=clock.now(), failure_text=text[:1000]))


def _told(fault: grpc.aio.AioRpcError | DomainError) -> str:
    if isinstance(fault, DomainError):
        return str(fault)
    code, reason, _ = from_rpc_error(fault)
    return f"{reason or code.name}: {fault.details()}"


async def begin_by_schedule(kit: Kit, plants: Iterable[str], hours: float) -> None:
    """Begin a comparison of every plant once in so many hours, for ever. The time's own number is the document's."""
    while True:
        number = int(clock.now().timestamp() // (hours * 3600))
        for plant_id in plants:
            key = BusinessKey("operations", "reconciliation", f"{plant_id}-{number}")
            try:
                await kit.door.run(use_cases.reconcile_plant, wire.ReconcilePlant(key, plant_id))
            except ReconciliationUnderWay:
                continue
            except DomainError as fault:
                log.warning("reconciliation not begun", plant_id=plant_id, fault=str(fault))
        await asyncio.sleep(min(SCHEDULE_SECONDS, timedelta(hours=hours).total_seconds()))
