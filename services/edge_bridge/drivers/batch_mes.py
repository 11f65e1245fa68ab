"""The batch executive of plant ghent: REST with ISA-88 words, exact decimals, and its own batch numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from isthmus.common.v1.quantity_pb2 import Quantity
from isthmus.edge.v1.mes_postings_pb2 import TellMaterial
from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit import foreign
from servicekit.postings import Posting, PostingKind, Refused
from services.edge_bridge.drivers.http_mes import FeedMes, MaterialStep, MesStep, page_of

UNITS = {"KGM": "kg", "GRM": "g", "LTR": "l", "C62": "pcs", "MTR": "m"}
FEED = "records"


def batch_body(order: WorkOrder, reference: str) -> dict[str, Any]:
    """A canonical work order as a batch: its operations are the phases."""
    return {
        "externalId": reference,
        "recipe": order.item_id,
        "size": _amount(order.planned_quantity),
        "startDate": _day(order, "planned_start_date"),
        "dueDate": _day(order, "due_date"),
        "phases": [{"seq": o.sequence, "name": o.description, "unit": o.work_centre_id} for o in order.operations],
        "materials": [{"material": c.item_id, "amount": _amount(c.quantity)} for c in order.components],
    }


def _amount(quantity: Quantity) -> dict[str, str]:
    return {"value": f"{Decimal(quantity.value):f}", "uom": UNITS[quantity.unit_code]}


def _day(order: WorkOrder, field: str) -> str | None:
    if not order.HasField(field):  # type: ignore[arg-type]
        return None
    value = getattr(order, field)
    return date(value.year, value.month, value.day).isoformat()


class BatchMes(FeedMes):
    """Reads the batch record by polling, asks for batches by POST."""

    name = "batch_mes"

    async def booked(self, position: str, most: int) -> Sequence[tuple[PlantRecord, str]]:
        found = await page_of(self.http, "/records", "records", after=position or "0", limit=str(most))
        numbered = [(str(record["seq"]), record) for record in found]
        return [(foreign.record_of(self.connector_id, FEED, at, record, ("seq",)), at) for at, record in numbered]

    def posting_kinds(self) -> Mapping[str, PostingKind]:
        return {
            "dispatch_work_order": CreatesBatch(self.http),
            "change_work_order": ResizesBatch(self.http),
            "cancel_work_order": AbortsBatch(self.http),
            "tell_material": TellsMaterial(self.http),
        }


class BatchStep(MesStep):
    async def asked_for(self, posting: Posting) -> str | None:
        noted = (await self.call("GET", "/requests", params={"externalId": posting.key}))["requests"]
        return str(noted[0]["batch"]) if noted else None

    async def number_of(self, posting: Posting) -> str:
        """The batch's number; it was created under the order's id."""
        order: WorkOrder = posting.payload.work_order
        if order.mes_order_number:
            return order.mes_order_number
        found = (await self.call("GET", "/batches", params={"externalId": order.work_order_id}))["batches"]
        if not found:
            raise Refused("MES_ORDER_MISSING", f"the batch executive has no batch for {order.work_order_id}")
        return str(found[0]["batch"])


class CreatesBatch(BatchStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        await self.call("POST", "/batches", json=batch_body(posting.payload.work_order, posting.key))


class ResizesBatch(BatchStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        body = batch_body(posting.payload.work_order, posting.key)
        wanted = {name: body[name] for name in ("externalId", "size", "startDate", "dueDate")}
        await self.call("POST", f"/batches/{await self.number_of(posting)}/resize", json=wanted)


class AbortsBatch(BatchStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        body = {"externalId": posting.key, "reason": posting.payload.cancel_reason}
        await self.call("POST", f"/batches/{await self.number_of(posting)}/abort", json=body)


class TellsMaterial(MaterialStep):
    """Stock of a material beside what is wanted of it."""

    path, items, item, number = "/materials", "materials", "material", "revision"

    def body(self, told: TellMaterial) -> dict[str, Any]:
        amounts = {
            "onHand": told.on_hand,
            "available": told.available,
            "safetyStock": told.safety_stock,
            "reorderPoint": told.reorder_point,
        }
        said = {name: _amount(amount) if amount.value else None for name, amount in amounts.items()}
        return {"material": told.item_id, "revision": told.version, **said}
