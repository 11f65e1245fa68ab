"""The assembly MES of plant aachen: REST with German words, decimal commas, and its own order numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from isthmus.edge.v1.mes_postings_pb2 import TellMaterial
from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit import foreign
from servicekit.postings import Posting, PostingKind, Refused
from services.edge_bridge.drivers.http_mes import FeedMes, MaterialStep, MesStep, page_of

UNITS = {"C62": "ST", "KGM": "KG", "GRM": "G", "LTR": "L", "MTR": "M"}
FEED = "meldungen"
OF_FEED = ("lfd", "wiederholung")


def comma(value: str) -> str:
    return f"{Decimal(value):f}".replace(".", ",")


def order_body(order: WorkOrder, reference: str) -> dict[str, Any]:
    """A canonical work order as this MES wants it."""
    return {
        "fremdreferenz": reference,
        "artikel": order.item_id,
        "sollmenge": comma(order.planned_quantity.value),
        "mengeneinheit": UNITS[order.planned_quantity.unit_code],
        "starttermin": _day(order, "planned_start_date"),
        "endtermin": _day(order, "due_date"),
        "arbeitsgaenge": [
            {"vorgang": f"{o.sequence:04d}", "bezeichnung": o.description, "arbeitsplatz": o.work_centre_id}
            for o in order.operations
        ],
        "komponenten": [
            {
                "artikel": c.item_id,
                "menge": comma(c.quantity.value),
                "einheit": UNITS[c.quantity.unit_code],
                "charge": c.lot_id,
            }
            for c in order.components
        ],
    }


def _day(order: WorkOrder, field: str) -> str:
    if not order.HasField(field):  # type: ignore[arg-type]
        return ""
    value = getattr(order, field)
    return date(value.year, value.month, value.day).strftime("%d.%m.%Y")


class RestMes(FeedMes):
    """Reads reports by polling, asks for orders by POST and PUT."""

    name = "rest_mes"

    async def booked(self, position: str, most: int) -> Sequence[tuple[PlantRecord, str]]:
        found = await page_of(self.http, "/api/meldungen", "meldungen", nach=position or "0", max=str(most))
        numbered = [(str(report["lfd"]), report) for report in found]
        return [(foreign.record_of(self.connector_id, FEED, at, report, OF_FEED), at) for at, report in numbered]

    def posting_kinds(self) -> Mapping[str, PostingKind]:
        return {
            "dispatch_work_order": DispatchesWorkOrder(self.http),
            "change_work_order": ChangesWorkOrder(self.http),
            "cancel_work_order": CancelsWorkOrder(self.http),
            "tell_material": TellsMaterial(self.http),
        }


class ReportedStep(MesStep):
    fault_names = ("fehler", "error")

    async def asked_for(self, posting: Posting) -> str | None:
        noted = (await self.call("GET", "/api/journal", params={"fremdreferenz": posting.key}))["vorgaenge"]
        return str(noted[0]["auftragsnummer"]) if noted else None

    async def number_of(self, posting: Posting) -> str:
        """The MES's number of the order; it was dispatched under the order's id."""
        order: WorkOrder = posting.payload.work_order
        if order.mes_order_number:
            return order.mes_order_number
        found = await self.call("GET", "/api/auftraege", params={"fremdreferenz": order.work_order_id})
        if not found["auftraege"]:
            raise Refused("MES_ORDER_MISSING", f"the MES has no order for {order.work_order_id}")
        return str(found["auftraege"][0]["auftragsnummer"])


class DispatchesWorkOrder(ReportedStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        await self.call("POST", "/api/auftraege", json=order_body(posting.payload.work_order, posting.key))


class ChangesWorkOrder(ReportedStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        body = order_body(posting.payload.work_order, posting.key)
        wanted = {name: body[name] for name in ("fremdreferenz", "sollmenge", "starttermin", "endtermin")}
        await self.call("PUT", f"/api/auftraege/{await self.number_of(posting)}", json=wanted)


class CancelsWorkOrder(ReportedStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        body = {"fremdreferenz": posting.key, "grund": posting.payload.cancel_reason}
        await self.call("POST", f"/api/auftraege/{await self.number_of(posting)}/storno", json=body)


class TellsMaterial(MaterialStep):
    """Stock of an item beside what is wanted of it."""

    fault_names = ("fehler", "error")
    path, items, item, number = "/api/material", "material", "artikel", "stand"

    def body(self, told: TellMaterial) -> dict[str, Any]:
        amounts = {
            "bestand": told.on_hand,
            "verfuegbar": told.available,
            "sicherheitsbestand": told.safety_stock,
            "meldebestand": told.reorder_point,
        }
        said = {name: comma(amount.value) for name, amount in amounts.items() if amount.value}
        units = [UNITS[amount.unit_code] for amount in amounts.values() if amount.value]
        return {"artikel": told.item_id, "stand": told.version, "einheit": units[0] if units else "", **said}
