"""The ways by which a confirmation enters: production's call, the assembly MES, the staging tables of the legacy MES."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc

from isthmus.production.v1 import production_service_pb2 as messages
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from servicekit.domain import BusinessKey
from servicekit.wire import key_message
from tests.chaos.plants import Plant

CALL_SECONDS = 5.0
IDLE_SECONDS = 2.0  # the MES hangs up after five
REST_UNITS = {"C62": "ST", "KGM": "KG"}
STAGING_UNITS = {"C62": "KS", "KGM": "KG"}
CHANNEL = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))
WILL_PASS = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.NOT_FOUND,
    }
)


class NotTaken(Exception):
    """The other side gave no acknowledgement; the same may be tried again."""


class Refused(Exception):
    """The other side said no for good."""


@dataclass(frozen=True)
class Document:
    """One confirmation. `number` is unique over all of a run and is its operator id, whichever door it takes."""

    number: str
    plant: Plant
    order: str
    operation: int
    good: int
    lot: str
    used: tuple[tuple[str, str, str, str], ...]  # item, lot, quantity, unit
    is_final: bool


class CallDoor:
    """An API client of production."""

    def __init__(self, address: str) -> None:
        self._stub = ProductionServiceStub(grpc.aio.insecure_channel(address, options=CHANNEL))

    async def send(self, document: Document) -> bool:
        """Whether it was known already."""
        try:
            answer = await self._stub.ConfirmOperation(self._request(document), timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            fault = NotTaken if error.code() in WILL_PASS else Refused
            raise fault(f"{error.code().name}: {error.details()}") from error
        if answer.confirmation.operator_id != document.number:
            raise Refused(f"answered with {answer.confirmation.operator_id}")
        return bool(answer.replayed)

    @staticmethod
    def _request(document: Document) -> messages.ConfirmOperationRequest:
        key = BusinessKey(f"app-{document.plant.plant_id}", "confirmation", document.number)
        request = messages.ConfirmOperationRequest(business_key=key_message(key))
        said = request.confirmation
        said.plant_id, said.work_order_id = document.plant.plant_id, document.order
        said.operation_sequence, said.operator_id = document.operation, document.number
        said.good_quantity.value, said.good_quantity.unit_code = str(document.good), "C62"
        said.labour_duration.FromSeconds(30)
        for item, lot, quantity, unit in document.used:
            line = said.consumptions.add(item_id=item, lot_id=lot)
            line.quantity.value, line.quantity.unit_code = quantity, unit
        said.output_lot_id, said.is_final = document.lot, document.is_final
        said.occur_time.FromDatetime(datetime.now(UTC))
        return request


class Wire:
    """Just enough HTTP to enter a report: a client library costs the load as much machine time as a whole booking."""

    def __init__(self, url: str) -> None:
        self._host, _, self._port = url.removeprefix("http://").partition(":")
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: object) -> Any:
        raw = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: mes\r\nContent-Length: {len(raw)}\r\n\r\n"
        reader, writer = await self._open()
        writer.write(head.encode() + raw)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(answer.split("content-length:")[1].split("\r\n")[0])
        content = await reader.readexactly(size)
        if not answer.startswith("http/1.1 2"):
            raise ConnectionError(f"{path}: {answer.splitlines()[0]} {content[:200]!r}")
        self._idle.append((time.monotonic(), reader, writer))
        return json.loads(content)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, int(self._port))


class RestDoor:
    """An operator at a terminal of the assembly MES."""

    def __init__(self, url: str) -> None:
        self._wire = Wire(url)
        self.orders: dict[str, str] = {}

    async def learn_orders(self) -> None:
        found = (await self._wire.ask("GET", "/api/auftraege", None))["auftraege"]
        self.orders = {order["fremdreferenz"]: order["auftragsnummer"] for order in found}

    async def send(self, document: Document) -> str:
        """The MES's own number of the report."""
        answer = await self._wire.ask("POST", "/api/meldungen", self._report(document))
        return str(answer["meldung"])

    async def again(self, number: str) -> None:
        await self._wire.ask("POST", f"/api/meldungen/{number}/wiederholen", {})

    def _report(self, document: Document) -> dict[str, Any]:
        return {
            "auftrag": self.orders[document.order],
            "vorgang": f"{document.operation:04d}",
            "gut": _comma(document.good),
            "ausschuss": [],
            "einheit": "ST",
            "zeit_min": "0,5",
            "verbrauch": [
                {"artikel": item, "charge": lot, "menge": _comma(quantity), "einheit": REST_UNITS[unit]}
                for item, lot, quantity, unit in document.used
            ],
            "charge_aus": document.lot,
            "werker": document.number,
            "maschine": "ST10",
            "ende": datetime.now(UTC).isoformat(timespec="seconds"),
            "letzte": document.is_final,
            "wiederholung": False,
        }


def _comma(value: object) -> str:
    return f"{Decimal(str(value)):f}".replace(".", ",")


class StagingDoor:
    """An operator at the legacy MES: rows in its tables."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.orders: dict[str, str] = {}

    def _run(self, *work: tuple[str, tuple[Any, ...]]) -> list[Any]:
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            last: list[Any] = []
            for sql, values in work:
                cursor = connection.execute(sql, values)
                last = cursor.fetchall()
            connection.execute("COMMIT")
            return last

    async def learn_orders(self) -> None:
        rows = await asyncio.to_thread(self._run, ("SELECT EXT_ORDER, MES_NO FROM MES_ORDERS", ()))
        self.orders = dict(rows)

    async def send(self, document: Document) -> str:
        return await asyncio.to_thread(self._send, document)

    def _send(self, document: Document) -> str:
        head = (
            "INSERT INTO CONFIRM_OUT (MES_NO, OP_NO, GOOD, UOM, MINUTES, LOT_OUT, LAST, OPERATOR) VALUES (?,?,?,?,?,?,?,?)",
            (
                self.orders[document.order],
                str(document.operation),
                str(document.good),
                "KS",
                "0.5",
                document.lot or None,
                "Y" if document.is_final else "N",
                document.number,
            ),
        )
        part = (
            "INSERT INTO CONFIRM_PARTS_OUT (CONFIRM_ROW, ITEM, LOT, QTY, UOM) "
            "SELECT MAX(ROW_ID), ?, ?, ?, ? FROM CONFIRM_OUT"
        )
        parts = [
            (part, (item, lot or None, quantity, STAGING_UNITS[unit])) for item, lot, quantity, unit in document.used
        ]
        rows = self._run(head, *parts, ("SELECT MAX(ROW_ID) FROM CONFIRM_OUT", ()))
        return str(rows[0][0])

    async def again(self, number: str) -> None:
        """The row stands as unread once more."""
        sql = "UPDATE CONFIRM_OUT SET STATUS = 'N' WHERE ROW_ID = ?"
        await asyncio.to_thread(self._run, (sql, (number,)))


MesDoor = RestDoor | StagingDoor


def known_orders(doors: Mapping[str, MesDoor]) -> int:
    return sum(len(door.orders) for door in doors.values())
