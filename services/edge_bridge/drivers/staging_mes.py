"""The legacy MES of plant brno: staging tables in a local SQL database, status flags, clocks not to be trusted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

from isthmus.edge.v1.mes_postings_pb2 import TellMaterial
from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit import clock, foreign
from servicekit.postings import Away, Found, NoAnswer, Posting, PostingKind, Refused
from services.edge_bridge.driver import DriverAway

T = TypeVar("T")
UNITS = {"C62": "KS", "KGM": "KG"}
SETTLE = timedelta(seconds=15)
TAKEN_WITHIN = 5.0  # seconds in which the MES usually takes a row
FEED = "CONFIRM_OUT"
PAGE = 100
FIELDS = (
    "MES_NO",
    "OP_NO",
    "GOOD",
    "SCRAP",
    "SCRAP_CODE",
    "UOM",
    "MINUTES",
    "LOT_OUT",
    "LAST",
    "OPERATOR",
    "CANCELS",
    "TS",
)


class Tables:
    """The staging database; every access is short, on a thread, and its own transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._transaction, work)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._path.exists():
            raise sqlite3.OperationalError(f"{self._path} is not there")
        with closing(sqlite3.connect(self._path, timeout=4, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            return result


class StagingMes:
    """Reads confirmations whose status is N, and asks for orders by rows."""

    name = "staging_mes"

    def __init__(self, connector_id: str, path: Path) -> None:
        self.connector_id = connector_id
        self._tables = Tables(path)

    async def records(self, position: str) -> Sequence[tuple[PlantRecord, str]]:
        return await self._rows("STATUS = 'N' ORDER BY ROW_ID LIMIT ?", (PAGE,))

    async def booked(self, position: str, most: int) -> Sequence[tuple[PlantRecord, str]]:
        """All rows of its table, whatever their status."""
        return await self._rows("ROW_ID > ? ORDER BY ROW_ID LIMIT ?", (int(position or 0), most))

    async def _rows(self, which: str, values: tuple[int, ...]) -> list[tuple[PlantRecord, str]]:
        def read(connection: sqlite3.Connection) -> list[tuple[PlantRecord, str]]:
            rows = connection.execute(f"SELECT * FROM CONFIRM_OUT WHERE {which}", values).fetchall()
            return [(self._record(connection, row), str(row["ROW_ID"])) for row in rows]

        try:
            return await self._tables.run(read)
        except sqlite3.Error as error:
            raise DriverAway(str(error)) from error

    def _record(self, connection: sqlite3.Connection, row: sqlite3.Row) -> PlantRecord:
        parts = self._parts(connection, row["ROW_ID"])
        values = {name: "" if row[name] is None else str(row[name]) for name in FIELDS}
        number = record_id(row["ROW_ID"], values, parts)
        if values["CANCELS"]:
            values["CANCELS_RECORD"] = self._cancelled(connection, values["CANCELS"])
        return foreign.record_of(self.connector_id, FEED, number, {**values, "PARTS": parts})

    def _parts(self, connection: sqlite3.Connection, row_id: int) -> list[dict[str, str]]:
        sql = "SELECT ITEM, LOT, QTY, UOM FROM CONFIRM_PARTS_OUT WHERE CONFIRM_ROW = ? ORDER BY ROW_ID"
        rows = connection.execute(sql, (row_id,)).fetchall()
        return [{key: row[key] or "" for key in ("ITEM", "LOT", "QTY", "UOM")} for row in rows]

    def _cancelled(self, connection: sqlite3.Connection, row_id: str) -> str:
        """The record id of the row that is taken back."""
        row = connection.execute("SELECT * FROM CONFIRM_OUT WHERE ROW_ID = ?", (row_id,)).fetchone()
        if row is None:
            return ""
        values = {name: "" if row[name] is None else str(row[name]) for name in FIELDS}
        return record_id(row["ROW_ID"], values, self._parts(connection, row["ROW_ID"]))

    async def mark_read(self, record: PlantRecord) -> None:
        """Only after our commit: a crash in between reads the row again, and its key is known then."""
        row_id = record.record_id.split("-")[0]
        try:
            await self._tables.run(
                lambda c: c.execute("UPDATE CONFIRM_OUT SET STATUS = 'R' WHERE ROW_ID = ? AND STATUS = 'N'", (row_id,))
            )
        except sqlite3.Error as error:
            raise DriverAway(str(error)) from error

    def posting_kinds(self) -> Mapping[str, PostingKind]:
        return {
            "dispatch_work_order": StagingStep(self._tables, "N"),
            "change_work_order": StagingStep(self._tables, "C"),
            "cancel_work_order": StagingStep(self._tables, "X"),
            "tell_material": MaterialStep(self._tables),
        }


def record_id(row_id: int, values: Mapping[str, str], parts: Sequence[Mapping[str, str]]) -> str:
    """Row id and content: these tables have no document numbers, and rows have been overwritten before."""
    content = json.dumps([{n: v for n, v in values.items() if n != "TS"}, list(parts)], sort_keys=True)
    return f"{row_id}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def insert(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> None:
    foreign.note(sql, values)
    connection.execute(sql, values)


class StagingStep:
    """One row of ORDERS_IN. EXT_REF keeps our key; the row is the draft, and the MES books it by taking it."""

    settle_time = SETTLE
    table = "ORDERS_IN"

    def __init__(self, tables: Tables, action: str = "") -> None:
        self._tables, self._action = tables, action

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._tables.run(work)
        except sqlite3.Error as error:  # nothing was committed
            raise Away(str(error)) from error

    async def _row(self, key: str) -> dict[str, Any] | None:
        def read(connection: sqlite3.Connection) -> Any:
            return connection.execute(f"SELECT * FROM {self.table} WHERE EXT_REF = ?", (key,)).fetchone()

        row = await self._run(read)
        return dict(row) if row is not None else None

    async def find(self, posting: Posting) -> Found | None:
        row = await self._row(posting.key)
        return self._found(posting, row) if row is not None else None

    def _found(self, posting: Posting, row: dict[str, Any]) -> Found:
        if row["STATUS"] == "E":
            raise Refused("MES_REFUSED", row["ERR_TEXT"] or "no text")
        return Found(posting.key, is_booked=row["STATUS"] == "P", answer=self._answer(row))

    def _answer(self, row: dict[str, Any]) -> dict[str, str]:
        return {"mes_order_number": row["MES_NO"] or ""}

    async def draft(self, posting: Posting) -> str:
        def write(connection: sqlite3.Connection) -> None:
            sql = f"SELECT 1 FROM {self.table} WHERE EXT_REF = ?"
            if not connection.execute(sql, (posting.key,)).fetchone():
                self._write(connection, posting.key, posting.payload)

        await self._run(write)
        return posting.key

    def _write(self, connection: sqlite3.Connection, key: str, payload: Any) -> None:
        order: WorkOrder = payload.work_order
        due = order.due_date
        day = date(due.year, due.month, due.day).strftime("%d.%m.%Y") if order.HasField("due_date") else ""
        for operation in order.operations:
            values = (key, operation.sequence, operation.description, operation.work_centre_id)
            insert(connection, "INSERT INTO ORDER_OPS_IN VALUES (?, ?, ?, ?)", values)
        for number, part in enumerate(order.components, 1):
            parts = (key, number, part.item_id, part.quantity.value, UNITS[part.quantity.unit_code], part.lot_id)
            insert(connection, "INSERT INTO ORDER_PARTS_IN VALUES (?, ?, ?, ?, ?, ?)", parts)
        planned = order.planned_quantity
        insert(
            connection,
            "INSERT INTO ORDERS_IN (EXT_REF, ACTION, EXT_ORDER, ITEM, QTY, UOM, DUE) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, self._action, order.work_order_id, order.item_id, planned.value, UNITS[planned.unit_code], day),
        )

    async def book(self, posting: Posting, foreign_id: str) -> None:
        """Nothing to send: the MES takes the row in its own time."""
        deadline = clock.monotonic() + TAKEN_WITHIN
        while (row := await self._row(posting.key)) is not None and row["STATUS"] == "N":
            if clock.monotonic() > deadline:
                raise NoAnswer("the MES did not take the row yet")
            await asyncio.sleep(0.1)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        found = await self.find(posting)
        return found if found is not None else Found(posting.key, is_booked=False)


class MaterialStep(StagingStep):
    """One row of MATERIAL_IN; a row of a lower SEQ than the MES has of the item is taken and changes nothing."""

    table = "MATERIAL_IN"

    def _answer(self, row: dict[str, Any]) -> dict[str, str]:
        return {}

    def _write(self, connection: sqlite3.Connection, key: str, payload: Any) -> None:
        told: TellMaterial = payload
        amounts = (told.on_hand, told.available, told.safety_stock, told.reorder_point)
        units = [UNITS[amount.unit_code] for amount in amounts if amount.value]
        values = [amount.value or None for amount in amounts]
        insert(
            connection,
            "INSERT INTO MATERIAL_IN (EXT_REF, ITEM, SEQ, ON_HAND, AVAILABLE, SAFETY, REORDER, UOM) VALUES (?,?,?,?,?,?,?,?)",
            (key, told.item_id, told.version, *values, units[0] if units else ""),
        )
