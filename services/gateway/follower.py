"""Follows one plant's ERP: notices released orders, tells the plant side, and goes on where it stopped."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

import grpc
import structlog
from google.protobuf.message import Message
from opentelemetry import trace

from isthmus.inventory.v1.inventory_service_pb2 import AdviseShipmentRequest, OpenStockRequest
from isthmus.inventory.v1.shipment_pb2 import Shipment
from isthmus.masterdata.v1.masterdata_service_pb2 import (
    RecordBillOfMaterialsRequest,
    RecordItemRequest,
    RecordRoutingRequest,
)
from isthmus.production.v1.production_service_pb2 import (
    CancelWorkOrderRequest,
    ChangeWorkOrderRequest,
    ReleaseWorkOrderRequest,
)
from servicekit import clock, telemetry
from servicekit.domain import BusinessKey, DomainError
from servicekit.errors import from_rpc_error
from servicekit.postings import Away, NoAnswer, Refused
from servicekit.run import Kit
from servicekit.wire import key_message, quantity_message
from services.gateway import use_cases, wire
from services.gateway.clients import DEADLINE, REFUSALS, Clients
from services.gateway.domain.erp_order import ErpOrder, Step
from services.gateway.erp.canonical import ErpOrder as SeenOrder
from services.gateway.erp.canonical import ErpState
from services.gateway.erp.tryton import TrytonReader
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.store import ERP_FEEDS, ERP_ORDERS
from services.gateway.synchroniser import Synchroniser

log = structlog.get_logger()
POLL_SECONDS = 1.0
WAITS = 10  # attempts after which an order that waits for what is on its way is said to wait
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)


@dataclass(slots=True)
class Binding:
    """How a plant's ERP does, for the status page."""

    plant_id: str
    family: str
    release: str = ""
    is_connected: bool = False
    last_poll_time: datetime | None = None
    begin_time: datetime = field(default_factory=clock.now)
    last_error: str = ""


class Follower:
    """One plant's ERP."""

    def __init__(
        self,
        kit: Kit,
        clients: Clients,
        client: TrytonClient,
        reader: TrytonReader,
        synchroniser: Synchroniser,
        binding: Binding,
    ) -> None:
        self._kit, self._clients, self._client = kit, clients, client
        self._reader, self._synchroniser = reader, synchroniser
        self._binding, self._plant_id = binding, binding.plant_id
        self._waits: dict[str, int] = {}  # attempts that came to nothing, by order

    async def serve(self) -> None:
        """Run until cancelled."""
        failures = 0
        while True:
            try:
                if not self._binding.is_connected:
                    await self._client.connect()
                    self._binding.release, self._binding.is_connected = self._client.version, True
                await self._poll()
                self._binding.last_poll_time, self._binding.last_error, failures = clock.now(), "", 0
                await asyncio.sleep(POLL_SECONDS)
            except (Away, NoAnswer, Refused, DomainError, grpc.aio.AioRpcError) as fault:
                text = fault.details() if isinstance(fault, grpc.aio.AioRpcError) else str(fault)
                pause = PAUSES[min(failures, len(PAUSES) - 1)]
                log.warning("ERP not followed", plant_id=self._plant_id, fault=text, seconds=pause)
                self._binding.is_connected = self._binding.is_connected and not isinstance(fault, Away)
                self._binding.last_error, failures = str(text), failures + 1
                await asyncio.sleep(pause)

    async def _poll(self) -> None:
        feed = await self._kit.database.read(lambda tx: ERP_FEEDS.select(tx, "plant_id = ?", (self._plant_id,)))
        watermark = feed[0].watermark if feed else ""
        if not watermark:
            await self._open_stock()
        changes = await self._reader.changes(watermark)
        for order in changes.orders:
            await self._notice(order)
        for shipment in changes.shipments:
            await self._advise(shipment)
        if changes.watermark != watermark:
            told = wire.AdvanceErp(self._plant_id, changes.watermark, self._client.version)
            await self._kit.door.run(use_cases.advance_erp, told)
        await self._tell_open([order.work_order.erp_order_number for order in changes.orders])
        await self._synchroniser.look()

    # --- orders

    async def _notice(self, seen: SeenOrder) -> None:
        """First sight of a released order: the trace that stays with it begins."""
        if seen.state is not ErpState.RELEASED or await self._known(seen) is not None:
            return
        name = f"release of {seen.work_order.erp_order_number} seen in the ERP"
        with telemetry.tracer.start_as_current_span(name, context=trace.set_span_in_context(trace.INVALID_SPAN)):
            release = f"{self._binding.family} {self._client.dialect.series}"
            await self._kit.door.run(use_cases.notice_order, wire.NoticeOrder(seen, release))

    async def _known(self, seen: SeenOrder) -> ErpOrder | None:
        order_id = wire.work_order_id(self._plant_id, seen.work_order.erp_order_number)
        found = await self._kit.database.read(lambda tx: ERP_ORDERS.select(tx, "work_order_id = ?", (order_id,)))
        return found[0] if found else None

    async def _tell_open(self, changed: list[str]) -> None:
        """Tell the plant side of changed orders, and of those that it could not be told before."""
        noticed = await self._kit.database.read(
            lambda tx: ERP_ORDERS.select(tx, "plant_id = ? AND step = 'noticed'", (self._plant_id,))
        )
        numbers = dict.fromkeys([*(order.erp_order_number for order in noticed), *changed])
        for number in numbers:
            seen = await self._reader.order(number)
            known = await self._known(seen) if seen is not None else None
            if seen is None or known is None:
                continue
            kept = telemetry.context_of(known.traceparent)
            context = trace.set_span_in_context(trace.NonRecordingSpan(kept)) if kept is not None else None
            with telemetry.tracer.start_as_current_span("tell the plant side", context=context):
                await self._tell(seen, known)

    async def _tell(self, seen: SeenOrder, known: ErpOrder) -> None:
        content = wire.content_of(seen)
        if known.step is Step.NOTICED and seen.state is ErpState.RELEASED:
            await self._attempt(known, "release", Step.RELEASED, content, self._release(seen))
        elif known.step is Step.RELEASED and seen.state is ErpState.CANCELLED:
            await self._attempt(known, "cancel", Step.CANCELLED, content, self._cancel(known))
        elif known.step is Step.RELEASED and seen.state is ErpState.RELEASED and content != known.content:
            await self._attempt(known, "change", Step.RELEASED, content, self._change(seen, known, content))

    async def _attempt(self, known: ErpOrder, step: str, to: Step, content: str, call: object) -> None:
        """One call of the plant side. Refused: shown, and not asked again. On the way or away: the next poll."""
        told = wire.RecordTold(known.work_order_id, to, content)
        try:
            await call  # type: ignore[misc]
        except grpc.aio.AioRpcError as error:
            code, reason, _ = from_rpc_error(error)
            if code not in REFUSALS or step == "release":
                await self._wait(known, step, code, reason or code.name, error.details() or "")
                return
            told = wire.RecordTold(known.work_order_id, known.step, content, step, reason, error.details() or "")
        self._waits.pop(known.work_order_id, None)
        await self._kit.door.run(use_cases.record_told, told)

    async def _wait(self, known: ErpOrder, step: str, code: grpc.StatusCode, reason: str, text: str) -> None:
        """It is tried with the next poll. What is only on its way says nothing; a release that stays refused is said."""
        log.info("plant side not told yet", work_order_id=known.work_order_id, step=step, reason=reason)
        waits = self._waits[known.work_order_id] = self._waits.get(known.work_order_id, 0) + 1
        if step == "release" and (code in REFUSALS or waits >= WAITS):
            await self._kit.door.run(use_cases.record_delay, wire.RecordDelay(known.work_order_id, reason, text))

    async def _release(self, seen: SeenOrder) -> None:
        await self._record_master_data(seen)
        order = seen.work_order
        key = wire.order_key(self._plant_id, "work_order", order.erp_order_number)
        request = ReleaseWorkOrderRequest(business_key=key_message(key), work_order=order)
        await self._clients.production.ReleaseWorkOrder(request, timeout=DEADLINE)

    async def _record_master_data(self, seen: SeenOrder) -> None:
        for item in seen.items:
            key = self._version_key("item", item.item_id, item, seen)
            await self._clients.master_data.RecordItem(
                RecordItemRequest(business_key=key_message(key), plant_id=self._plant_id, item=item), timeout=DEADLINE
            )
        if (bill := seen.bill_of_materials) is not None:
            key = self._version_key("bill_of_materials", bill.bill_of_materials_id, bill, seen)
            request = RecordBillOfMaterialsRequest(
                business_key=key_message(key), plant_id=self._plant_id, bill_of_materials=bill
            )
            await self._clients.master_data.RecordBillOfMaterials(request, timeout=DEADLINE)
        if (routing := seen.routing) is not None:
            key = self._version_key("routing", routing.routing_id, routing, seen)
            await self._clients.master_data.RecordRouting(
                RecordRoutingRequest(business_key=key_message(key), plant_id=self._plant_id, routing=routing),
                timeout=DEADLINE,
            )

    def _version_key(self, noun: str, noun_id: str, said: Message, seen: SeenOrder) -> BusinessKey:
        """A document an order and version: what the ERP takes back later must not pass for what it said first."""
        version = f"{seen.work_order.erp_order_number}-{wire.digest_of(said)}"
        return wire.order_key(self._plant_id, noun, noun_id, version)

    async def _change(self, seen: SeenOrder, known: ErpOrder, content: str) -> None:
        order = seen.work_order
        key = wire.order_key(self._plant_id, "work_order_change", known.erp_order_number, content)
        request = ChangeWorkOrderRequest(
            business_key=key_message(key),
            work_order_id=known.work_order_id,
            planned_quantity=order.planned_quantity,
            planned_start_date=order.planned_start_date if order.HasField("planned_start_date") else None,
            due_date=order.due_date if order.HasField("due_date") else None,
        )
        await self._clients.production.ChangeWorkOrder(request, timeout=DEADLINE)

    async def _cancel(self, known: ErpOrder) -> None:
        key = wire.order_key(self._plant_id, "work_order_cancellation", known.erp_order_number)
        request = CancelWorkOrderRequest(
            business_key=key_message(key), work_order_id=known.work_order_id, cancel_reason="cancelled in the ERP"
        )
        await self._clients.production.CancelWorkOrder(request, timeout=DEADLINE)

    # --- stock and deliveries

    async def _open_stock(self) -> None:
        """The ledger begins with what the ERP counts."""
        for line in await self._reader.stock():
            key = wire.order_key(self._plant_id, "opening_stock", line.item_id, line.lot_id)
            request = OpenStockRequest(
                business_key=key_message(key),
                plant_id=self._plant_id,
                item_id=line.item_id,
                lot_id=line.lot_id,
                quantity=quantity_message(line.quantity),
            )
            await self._calm(self._clients.inventory.OpenStock(request, timeout=DEADLINE))

    async def _advise(self, shipment: Shipment) -> None:
        key = wire.order_key(self._plant_id, "delivery", shipment.erp_delivery_number)
        request = AdviseShipmentRequest(business_key=key_message(key), shipment=shipment)
        await self._calm(self._clients.inventory.AdviseShipment(request, timeout=DEADLINE))

    async def _calm(self, call: object) -> None:
        """A refusal is said and passed over: the document stands there from before, or will never be taken."""
        try:
            await call  # type: ignore[misc]
        except grpc.aio.AioRpcError as error:
            code, reason, metadata = from_rpc_error(error)
            if code not in REFUSALS:
                raise
            log.info("refused", reason=reason, **metadata)
