"""Plays the legacy MES of plant brno: reachable only through staging tables in a local database, with clocks not to trust."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from simulators import floor
from simulators.stage import arguments, open_store, run

DDL = """
CREATE TABLE IF NOT EXISTS ORDERS_IN (ROW_ID INTEGER PRIMARY KEY AUTOINCREMENT, EXT_REF TEXT UNIQUE NOT NULL,
  ACTION TEXT NOT NULL, EXT_ORDER TEXT NOT NULL, ITEM TEXT, QTY TEXT, UOM TEXT, DUE TEXT,
  STATUS TEXT NOT NULL DEFAULT 'N', MES_NO TEXT, ERR_TEXT TEXT, TS TEXT);
CREATE TABLE IF NOT EXISTS ORDER_OPS_IN (EXT_REF TEXT, OP_NO INTEGER, OP_NAME TEXT, WORKPLACE TEXT,
  PRIMARY KEY (EXT_REF, OP_NO));
CREATE TABLE IF NOT EXISTS ORDER_PARTS_IN (EXT_REF TEXT, POS INTEGER, ITEM TEXT, QTY TEXT, UOM TEXT, LOT TEXT,
  PRIMARY KEY (EXT_REF, POS));
CREATE TABLE IF NOT EXISTS CONFIRM_OUT (ROW_ID INTEGER PRIMARY KEY AUTOINCREMENT, MES_NO TEXT, OP_NO TEXT, GOOD TEXT, SCRAP TEXT,
  SCRAP_CODE TEXT, UOM TEXT, MINUTES TEXT, LOT_OUT TEXT, LAST TEXT, OPERATOR TEXT, CANCELS TEXT,
  STATUS TEXT NOT NULL DEFAULT 'N', TS TEXT);
CREATE TABLE IF NOT EXISTS CONFIRM_PARTS_OUT (ROW_ID INTEGER PRIMARY KEY AUTOINCREMENT, CONFIRM_ROW INTEGER,
  ITEM TEXT, LOT TEXT, QTY TEXT, UOM TEXT);
CREATE TABLE IF NOT EXISTS MES_ORDERS (MES_NO TEXT PRIMARY KEY, EXT_ORDER TEXT UNIQUE, EXT_REF TEXT, ITEM TEXT, QTY TEXT, UOM TEXT,
  STATE TEXT, NEXT_OP INTEGER DEFAULT 0, SCRAPPED INTEGER DEFAULT 0, MADE INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS MATERIAL_IN (ROW_ID INTEGER PRIMARY KEY AUTOINCREMENT, EXT_REF TEXT UNIQUE NOT NULL, ITEM TEXT NOT NULL,
  SEQ INTEGER NOT NULL, ON_HAND TEXT, AVAILABLE TEXT, SAFETY TEXT, REORDER TEXT, UOM TEXT, STATUS TEXT NOT NULL DEFAULT 'N',
  ERR_TEXT TEXT, TS TEXT);
CREATE TABLE IF NOT EXISTS MES_MATERIALS (ITEM TEXT PRIMARY KEY, SEQ INTEGER, ON_HAND TEXT, AVAILABLE TEXT, SAFETY TEXT,
  REORDER TEXT, UOM TEXT);
CREATE TABLE IF NOT EXISTS MES_SWITCH (NAME TEXT PRIMARY KEY, VALUE TEXT);
"""


class Refusal(Exception):
    """Why the MES does not take a row, in its words."""


class Mes:
    def __init__(self, store: sqlite3.Connection, station: floor.Station, told: Any) -> None:
        self.store, self.station, self.lots, self.prefix = store, station, floor.lots_of(told.lots), told.lot_prefix
        self.clock_wrong = timedelta(minutes=told.clock_minutes)

    async def take_orders(self) -> None:
        """Rows with status N become P (taken) or E (with a text)."""
        while True:
            for row in self.store.execute("SELECT * FROM ORDERS_IN WHERE STATUS = 'N' ORDER BY ROW_ID").fetchall():
                self._take(row)
            for row in self.store.execute("SELECT * FROM MATERIAL_IN WHERE STATUS = 'N' ORDER BY ROW_ID").fetchall():
                self._take_material(row)
            await asyncio.sleep(0.1)

    def _take_material(self, row: sqlite3.Row) -> None:
        """The highest SEQ of an item counts; a row with a lower one is taken and changes nothing."""
        names = ("ON_HAND", "AVAILABLE", "SAFETY", "REORDER")
        try:
            for name in names:
                Decimal(row[name] or 0)
            done = ("P", None) if row["UOM"] in ("KS", "KG", "") else ("E", "UOM NEPLATNE")
        except InvalidOperation:
            done = ("E", "MNOZSTVI NENI CISLO")
        self.store.execute("BEGIN IMMEDIATE")
        if done[0] == "P":
            self.store.execute(
                "INSERT INTO MES_MATERIALS VALUES (?,?,?,?,?,?,?) ON CONFLICT (ITEM) DO UPDATE SET SEQ = excluded.SEQ, "
                "ON_HAND = excluded.ON_HAND, AVAILABLE = excluded.AVAILABLE, SAFETY = excluded.SAFETY, "
                "REORDER = excluded.REORDER, UOM = excluded.UOM WHERE excluded.SEQ > MES_MATERIALS.SEQ",
                (row["ITEM"], row["SEQ"], *(row[name] for name in names), row["UOM"]),
            )
        sql = "UPDATE MATERIAL_IN SET STATUS = ?, ERR_TEXT = ?, TS = ? WHERE ROW_ID = ?"
        self.store.execute(sql, (*done, self._stamp(), row["ROW_ID"]))
        self.store.execute("COMMIT")

    def _take(self, row: sqlite3.Row) -> None:
        self.store.execute("BEGIN IMMEDIATE")
        try:
            number = {"N": self._new, "C": self._change, "X": self._cancel}[row["ACTION"]](row)
            done: tuple[Any, ...] = ("P", number, None)
        except (Refusal, KeyError) as refusal:
            done = ("E", None, str(refusal))
        sql = "UPDATE ORDERS_IN SET STATUS = ?, MES_NO = ?, ERR_TEXT = ?, TS = ? WHERE ROW_ID = ?"
        self.store.execute(sql, (*done, self._stamp(), row["ROW_ID"]))
        self.store.execute("COMMIT")

    def _new(self, row: sqlite3.Row) -> str:
        try:
            quantity = Decimal(row["QTY"])
        except (InvalidOperation, TypeError) as error:
            raise Refusal(f"QTY {row['QTY']!r} NENI CISLO") from error
        if quantity <= 0 or row["UOM"] not in ("KS", "KG"):
            raise Refusal("QTY/UOM NEPLATNE")
        if not self._one("SELECT 1 FROM ORDER_OPS_IN WHERE EXT_REF = ?", row["EXT_REF"]):
            raise Refusal("CHYBI OPERACE")
        known = self._order(row["EXT_ORDER"])
        if known is not None:
            raise Refusal(f"ZAKAZKA UZ EXISTUJE {known['MES_NO']}")
        number = f"Z{40000 + row['ROW_ID']}"
        self.store.execute(
            "INSERT INTO MES_ORDERS (MES_NO, EXT_ORDER, EXT_REF, ITEM, QTY, UOM, STATE) VALUES (?,?,?,?,?,?,'NOVA')",
            (number, row["EXT_ORDER"], row["EXT_REF"], row["ITEM"], row["QTY"], row["UOM"]),
        )
        return number

    def _change(self, row: sqlite3.Row) -> str:
        order = self._open_order(row)
        if row["QTY"] and Decimal(row["QTY"]) != Decimal(order["QTY"]):
            if order["NEXT_OP"] > 0:
                raise Refusal("ZAKAZKA BEZI, MNOZSTVI NELZE ZMENIT")
            self.store.execute("UPDATE MES_ORDERS SET QTY = ? WHERE MES_NO = ?", (row["QTY"], order["MES_NO"]))
        return str(order["MES_NO"])

    def _cancel(self, row: sqlite3.Row) -> str:
        order = self._open_order(row)
        if order["STATE"] != "NOVA":
            raise Refusal("ZAKAZKA BEZI")
        self.store.execute("UPDATE MES_ORDERS SET STATE = 'STORNO' WHERE MES_NO = ?", (order["MES_NO"],))
        return str(order["MES_NO"])

    def _open_order(self, row: sqlite3.Row) -> sqlite3.Row:
        order = self._order(row["EXT_ORDER"])
        if order is None or order["STATE"] in ("HOTOVO", "STORNO"):
            raise Refusal("ZAKAZKA NENI OTEVRENA")
        return order

    def _order(self, external: str) -> Any:
        return self._one("SELECT * FROM MES_ORDERS WHERE EXT_ORDER = ?", external)

    def _one(self, sql: str, value: Any) -> Any:
        return self.store.execute(sql, (value,)).fetchone()

    def _stamp(self) -> str:
        """Local time without zone, and wrong."""
        return (datetime.now().astimezone() + self.clock_wrong).strftime("%d.%m.%Y %H:%M")

    async def work(self) -> None:
        while True:
            held = self.store.execute("SELECT VALUE FROM MES_SWITCH WHERE NAME = 'HOLD'").fetchone()
            row = self.store.execute(
                "SELECT * FROM MES_ORDERS WHERE STATE IN ('NOVA', 'BEZI') ORDER BY STATE, MES_NO LIMIT 1"
            ).fetchone()
            if row is None or (held is not None and held["VALUE"] == "1"):
                await asyncio.sleep(0.05)
                continue
            await self._operation(row)

    async def _operation(self, order: sqlite3.Row) -> None:
        self.store.execute("UPDATE MES_ORDERS SET STATE = 'BEZI' WHERE MES_NO = ?", (order["MES_NO"],))
        sql = "SELECT * FROM ORDER_OPS_IN WHERE EXT_REF = ? ORDER BY OP_NO"
        steps = self.store.execute(sql, (order["EXT_REF"],)).fetchall()
        index, planned = order["NEXT_OP"], Decimal(order["QTY"])
        pieces = int(planned) - order["SCRAPPED"]
        made = await self.station.make(order["MES_NO"], steps[index]["OP_NO"], index + 1, pieces)
        is_last = index + 1 == len(steps)
        number = int(order["MES_NO"][1:])
        lot = f"{self.prefix}{number}" if is_last else None
        minutes = f"{Decimal(pieces) * Decimal('1.75'):.2f}"
        stamp = "" if number % 4 == 0 else self._stamp()
        self.store.execute("BEGIN IMMEDIATE")
        confirm = self.store.execute(
            "INSERT INTO CONFIRM_OUT (MES_NO, OP_NO, GOOD, SCRAP, SCRAP_CODE, UOM, MINUTES, LOT_OUT, LAST, OPERATOR, TS) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (order["MES_NO"], str(steps[index]["OP_NO"]), str(made.good), str(made.scrap) if made.scrap else None,
             "VADA" if made.scrap else None, order["UOM"], minutes, lot, "Y" if is_last else "N", "NOVAK", stamp),
        ).lastrowid  # fmt: skip
        if index == 0:
            self._consume(order, confirm, planned, pieces, number)
        self.store.execute(
            "UPDATE MES_ORDERS SET NEXT_OP = ?, SCRAPPED = SCRAPPED + ?, MADE = ?, STATE = ? WHERE MES_NO = ?",
            (index + 1, made.scrap, made.good, "HOTOVO" if is_last else "BEZI", order["MES_NO"]),
        )
        self.store.execute("COMMIT")

    def _consume(self, order: sqlite3.Row, confirm: int | None, planned: Decimal, pieces: int, number: int) -> None:
        sql = "SELECT * FROM ORDER_PARTS_IN WHERE EXT_REF = ? ORDER BY POS"
        for part in self.store.execute(sql, (order["EXT_REF"],)).fetchall():
            quantity = floor.share(Decimal(part["QTY"]), planned, pieces)
            lots = [part["LOT"]] if part["LOT"] else self.lots.get(part["ITEM"], [])
            for lot, amount in floor.split_by_lot(quantity, lots, number):
                self.store.execute(
                    "INSERT INTO CONFIRM_PARTS_OUT (CONFIRM_ROW, ITEM, LOT, QTY, UOM) VALUES (?,?,?,?,?)",
                    (confirm, part["ITEM"], lot or None, f"{amount:f}", part["UOM"]),
                )


def main() -> None:
    parser = arguments(
        __doc__ or "", "python -m simulators.mes_staging --port 0 --state /tmp/mes --lots BODY-20=B-7001,B-7002"
    )
    parser.add_argument("--database", type=Path, help="the staging database; default <state>/staging.db")
    parser.add_argument("--line", default="", help="OPC UA endpoint of the line; empty: pieces are made by the clock")
    parser.add_argument("--piece-seconds", type=float, default=0.1, help="without a line: time for a piece")
    parser.add_argument("--lot-prefix", default="V-", help="output lots are <prefix><number>")
    parser.add_argument("--lots", nargs="*", default=[], help="component lots that the MES takes from: ITEM=LOT,LOT")
    parser.add_argument("--clock-minutes", type=int, default=-47, help="how wrong its clock is")
    told = parser.parse_args()
    store = open_store(told.database or told.state / "staging.db", DDL)
    mes = Mes(store, floor.line_of(told, "cells"), told)
    asyncio.run(run(None, 0, mes.take_orders(), mes.work()))


if __name__ == "__main__":
    main()
