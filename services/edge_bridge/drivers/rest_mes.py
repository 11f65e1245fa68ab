"""The assembly MES of plant aachen: REST with German words, decimal commas, and its own order numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit import clock
from servicekit.postings import Away, Found, NoAnswer, Posting, PostingKind, Refused
from services.edge_bridge.driver import DriverAway

UNITS = {"C62": "ST", "KGM": "KG", "GRM": "G", "LTR": "L", "MTR": "M"}
SETTLE = timedelta(seconds=12)
TIMEOUT = 4.0
PAGE = 100
FEED = "meldungen"


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


class RestMes:
    """Reads reports by polling, asks for orders by POST and PUT."""

    name = "rest_mes"

    def __init__(self, connector_id: str, url: str) -> None:
        self.connector_id = connector_id
        self.http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT)

    async def records(self, position: str) -> Sequence[tuple[PlantRecord, str]]:
        try:
            answer = await self.http.get("/api/meldungen", params={"nach": position or "0", "max": str(PAGE)})
            answer.raise_for_status()
            reports = answer.json(parse_float=Decimal)["meldungen"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise DriverAway(f"{type(error).__name__}: {error}") from error
        return [(self._record(report), str(report["lfd"])) for report in reports]

    def _record(self, report: dict[str, Any]) -> PlantRecord:
        record = PlantRecord(connector_id=self.connector_id, feed=FEED, record_id=str(report["lfd"]))
        for name, value in report.items():
            if name in ("lfd", "wiederholung"):  # of the feed, not of the document
                continue
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
            record.fields.add(name=name, value="" if value is None else text)
        record.read_time.FromDatetime(clock.now())
        return record

    async def mark_read(self, record: PlantRecord) -> None:
        """The feed is never emptied: our position is enough."""

    def posting_kinds(self) -> Mapping[str, PostingKind]:
        return {
            "dispatch_work_order": DispatchesWorkOrder(self.http),
            "change_work_order": ChangesWorkOrder(self.http),
            "cancel_work_order": CancelsWorkOrder(self.http),
        }


class MesStep:
    """One change at this MES. It keeps our reference in a journal, so there is no draft: look, then ask."""

    settle_time = SETTLE

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, **more)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Away(str(error)) from error
        except httpx.HTTPError as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        if answer.is_server_error:
            raise NoAnswer(f"HTTP {answer.status_code}")
        body: dict[str, Any] = answer.json()
        if answer.is_client_error:
            raise Refused("MES_REFUSED", str(body.get("fehler") or body.get("error") or answer.status_code))
        return body

    async def find(self, posting: Posting) -> Found | None:
        noted = (await self.call("GET", "/api/journal", params={"fremdreferenz": posting.key}))["vorgaenge"]
        if not noted:
            return None
        number = noted[0]["auftragsnummer"]
        return Found(number, is_booked=True, answer={"mes_order_number": number})

    async def draft(self, posting: Posting) -> str:
        return ""

    async def book(self, posting: Posting, foreign_id: str) -> None:
        raise NotImplementedError

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        return await self.find(posting) or Found("", is_booked=False)

    async def number_of(self, posting: Posting) -> str:
        """The MES's number of the order; it was dispatched under the order's id."""
        order: WorkOrder = posting.payload.work_order
        if order.mes_order_number:
            return order.mes_order_number
        found = await self.call("GET", "/api/auftraege", params={"fremdreferenz": order.work_order_id})
        if not found["auftraege"]:
            raise Refused("MES_ORDER_MISSING", f"the MES has no order for {order.work_order_id}")
        return str(found["auftraege"][0]["auftragsnummer"])


class DispatchesWorkOrder(MesStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        await self.call("POST", "/api/auftraege", json=order_body(posting.payload.work_order, posting.key))


class ChangesWorkOrder(MesStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        body = order_body(posting.payload.work_order, posting.key)
        wanted = {name: body[name] for name in ("fremdreferenz", "sollmenge", "starttermin", "endtermin")}
        await self.call("PUT", f"/api/auftraege/{await self.number_of(posting)}", json=wanted)


class CancelsWorkOrder(MesStep):
    async def book(self, posting: Posting, foreign_id: str) -> None:
        body = {"fremdreferenz": posting.key, "grund": posting.payload.cancel_reason}
        await self.call("POST", f"/api/auftraege/{await self.number_of(posting)}/storno", json=body)
