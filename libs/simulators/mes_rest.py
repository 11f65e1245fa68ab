"""Plays the assembly MES of plant aachen: REST, German words, decimal commas, its own order numbers, reports to poll."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators import floor
from simulators.stage import BadRequest, application, arguments, body, open_store, run

DDL = """
CREATE TABLE IF NOT EXISTS auftrag (nr INTEGER PRIMARY KEY AUTOINCREMENT, fremdreferenz TEXT UNIQUE, inhalt TEXT,
  status TEXT, naechster INTEGER DEFAULT 0, gut INTEGER DEFAULT 0, ausschuss INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS journal (fremdreferenz TEXT PRIMARY KEY, auftrag INTEGER, vorgang TEXT, inhalt TEXT);
CREATE TABLE IF NOT EXISTS material (artikel TEXT PRIMARY KEY, stand INTEGER, inhalt TEXT);
CREATE TABLE IF NOT EXISTS meldung (lfd INTEGER PRIMARY KEY AUTOINCREMENT, nummer TEXT, inhalt TEXT);
"""
UNITS = {"ST", "KG", "G", "L", "M"}


def number_of(text: Any) -> Decimal:
    """A decimal with a comma, as this MES writes them."""
    try:
        return Decimal(str(text).replace(".", "").replace(",", "."))
    except InvalidOperation as error:
        raise BadRequest(f"{text!r} is no number") from error


def comma(value: Decimal | int) -> str:
    return f"{Decimal(value):.3f}".replace(".", ",")


class Mes:
    def __init__(self, store: sqlite3.Connection, station: floor.Station, told: Any) -> None:
        self.store, self.station, self.lots = store, station, floor.lots_of(told.lots)
        self.prefix, self.hold = told.lot_prefix, told.hold

    # --- orders

    async def post_order(self, request: Request) -> Response:
        content = await body(request)
        for name in ("fremdreferenz", "artikel", "sollmenge", "mengeneinheit", "arbeitsgaenge"):
            if not content.get(name):
                raise BadRequest(f"{name} fehlt")
        if content["mengeneinheit"] not in UNITS or number_of(content["sollmenge"]) <= 0:
            raise BadRequest("Menge oder Einheit unbekannt")
        text = json.dumps(content, sort_keys=True)
        known = self._one("SELECT * FROM auftrag WHERE fremdreferenz = ?", content["fremdreferenz"])
        if known is not None:
            same = known["inhalt"] == text or known["status"] != "ANGENOMMEN"
            answer = self._order(known) if same else {"fehler": "Fremdreferenz mit anderem Inhalt"}
            return JSONResponse(answer, status_code=200 if same else 409)
        self.store.execute("BEGIN IMMEDIATE")
        made = self.store.execute(
            "INSERT INTO auftrag (fremdreferenz, inhalt, status) VALUES (?, ?, 'ANGENOMMEN')",
            (content["fremdreferenz"], text),
        ).lastrowid
        self._note(content["fremdreferenz"], made, "anlegen", text)
        self.store.execute("COMMIT")
        return JSONResponse(self._order(self._by_number(made)), status_code=201)

    async def get_order(self, request: Request) -> Response:
        return JSONResponse(self._order(self._asked(request)))

    async def list_orders(self, request: Request) -> Response:
        reference = request.query_params.get("fremdreferenz")
        rows = self.store.execute(
            "SELECT * FROM auftrag WHERE ? IS NULL OR fremdreferenz = ? ORDER BY nr", (reference, reference)
        ).fetchall()
        return JSONResponse({"auftraege": [self._order(row) for row in rows]})

    async def change_order(self, request: Request) -> Response:
        order, content = self._asked(request), await body(request)
        if self._noted(content):
            return JSONResponse(self._order(order))
        wanted = json.loads(order["inhalt"])
        if order["status"] in ("FERTIG", "STORNIERT"):
            return JSONResponse({"fehler": f"Auftrag ist {order['status']}"}, status_code=409)
        is_new = "sollmenge" in content and number_of(content["sollmenge"]) != number_of(wanted["sollmenge"])
        if is_new and order["status"] != "ANGENOMMEN":
            return JSONResponse({"fehler": "Auftrag laeuft, Menge ist fest"}, status_code=409)
        wanted |= {
            name: content[name] for name in ("sollmenge", "starttermin", "endtermin", "komponenten") if name in content
        }
        return self._apply(
            order, content, "aendern", "UPDATE auftrag SET inhalt = ? WHERE nr = ?", json.dumps(wanted, sort_keys=True)
        )

    async def cancel_order(self, request: Request) -> Response:
        order, content = self._asked(request), await body(request)
        if self._noted(content):
            return JSONResponse(self._order(order))
        if order["naechster"] > 0 or order["status"] != "ANGENOMMEN":
            return JSONResponse({"fehler": f"Auftrag ist {order['status']}"}, status_code=409)
        return self._apply(order, content, "stornieren", "UPDATE auftrag SET status = ? WHERE nr = ?", "STORNIERT")

    def _apply(self, order: sqlite3.Row, content: dict[str, Any], step: str, sql: str, value: str) -> Response:
        self.store.execute("BEGIN IMMEDIATE")
        self.store.execute(sql, (value, order["nr"]))
        self._note(content["fremdreferenz"], order["nr"], step, json.dumps(content, sort_keys=True))
        self.store.execute("COMMIT")
        return JSONResponse(self._order(self._by_number(order["nr"])))

    async def journal(self, request: Request) -> Response:
        """What was asked under a reference, so that a caller who got no answer can look."""
        rows = self.store.execute(
            "SELECT * FROM journal WHERE fremdreferenz = ?", (request.query_params.get("fremdreferenz", ""),)
        ).fetchall()
        return JSONResponse(
            {"vorgaenge": [{"vorgang": r["vorgang"], "auftragsnummer": _fa(r["auftrag"])} for r in rows]}
        )

    def _note(self, reference: str, number: int | None, step: str, content: str) -> None:
        self.store.execute("INSERT INTO journal VALUES (?, ?, ?, ?)", (reference, number, step, content))

    def _noted(self, content: dict[str, Any]) -> bool:
        if not content.get("fremdreferenz"):
            raise BadRequest("fremdreferenz fehlt")
        return self._one("SELECT 1 FROM journal WHERE fremdreferenz = ?", content["fremdreferenz"]) is not None

    def _order(self, row: sqlite3.Row) -> dict[str, Any]:
        content = json.loads(row["inhalt"])
        return {**content, "auftragsnummer": _fa(row["nr"]), "status": row["status"], "gut": comma(row["gut"]),
                "ausschuss": comma(row["ausschuss"])}  # fmt: skip

    def _asked(self, request: Request) -> sqlite3.Row:
        text = request.path_params["nr"].removeprefix("FA-")
        row = self._by_number(int(text)) if text.isdigit() else None
        if row is None:
            raise BadRequest("Auftrag unbekannt")
        return row

    def _by_number(self, number: int | None) -> Any:
        return self._one("SELECT * FROM auftrag WHERE nr = ?", number)

    def _one(self, sql: str, value: Any) -> Any:
        return self.store.execute(sql, (value,)).fetchone()

    # --- material

    async def put_material(self, request: Request) -> Response:
        """The last state of an item counts; an older one is passed over."""
        content = await body(request)
        item = str(content.get("artikel") or "")
        if not item or not isinstance(content.get("stand"), int) or content.get("einheit") not in (*UNITS, ""):
            raise BadRequest("artikel, stand oder einheit fehlt")
        for name in ("bestand", "verfuegbar", "sicherheitsbestand", "meldebestand"):
            number_of(content.get(name, "0"))
        self.store.execute(
            "INSERT INTO material VALUES (?, ?, ?) ON CONFLICT (artikel) DO UPDATE SET stand = excluded.stand, "
            "inhalt = excluded.inhalt WHERE excluded.stand > material.stand",
            (item, content["stand"], json.dumps(content)),
        )
        return JSONResponse(self._material(self._one("SELECT * FROM material WHERE artikel = ?", item)))

    async def list_material(self, request: Request) -> Response:
        item = request.query_params.get("artikel")
        rows = self.store.execute(
            "SELECT * FROM material WHERE ? IS NULL OR artikel = ? ORDER BY artikel", (item, item)
        )
        return JSONResponse({"material": [self._material(row) for row in rows]})

    def _material(self, row: sqlite3.Row) -> dict[str, Any]:
        """With a light for the shop floor: stock below what is to be kept."""
        content = json.loads(row["inhalt"])
        have = number_of(content.get("verfuegbar", "0"))
        low = [n for n in ("sicherheitsbestand", "meldebestand") if n in content and have < number_of(content[n])]
        return {**content, "ampel": "ROT" if low[:1] == ["sicherheitsbestand"] else
                "GELB" if low else "GRUEN"}  # fmt: skip

    # --- reports

    async def reports(self, request: Request) -> Response:
        after, most = int(request.query_params.get("nach", 0)), int(request.query_params.get("max", 100))
        rows = self.store.execute("SELECT * FROM meldung WHERE lfd > ? ORDER BY lfd LIMIT ?", (after, min(most, 500)))
        return JSONResponse(
            {"meldungen": [{**json.loads(r["inhalt"]), "lfd": r["lfd"], "meldung": r["nummer"]} for r in rows]}
        )

    async def post_report(self, request: Request) -> Response:
        """An operator enters a report by hand, as it comes: this MES does not check it."""
        return JSONResponse({"meldung": self._report(await body(request))}, status_code=201)

    async def resend_report(self, request: Request) -> Response:
        """The same report once more, at the end of the feed."""
        row = self._one("SELECT * FROM meldung WHERE nummer = ? ORDER BY lfd", request.path_params["nummer"])
        if row is None:
            raise BadRequest("Meldung unbekannt")
        content = {**json.loads(row["inhalt"]), "wiederholung": True}
        self.store.execute("INSERT INTO meldung (nummer, inhalt) VALUES (?, ?)", (row["nummer"], json.dumps(content)))
        return JSONResponse({"meldung": row["nummer"]}, status_code=201)

    async def cancel_report(self, request: Request) -> Response:
        """A report was wrong: a cancellation that names it."""
        row = self._one("SELECT * FROM meldung WHERE nummer = ? ORDER BY lfd", request.path_params["nummer"])
        if row is None:
            raise BadRequest("Meldung unbekannt")
        content = {"auftrag": json.loads(row["inhalt"]).get("auftrag"), "storno_von": row["nummer"],
                   "grund": str((await body(request)).get("grund", ""))}  # fmt: skip
        return JSONResponse({"meldung": self._report(content)}, status_code=201)

    def _report(self, content: dict[str, Any]) -> str:
        number = self.store.execute("SELECT COALESCE(MAX(lfd), 0) + 1 FROM meldung").fetchone()[0]
        name = f"M-{number:06d}"
        self.store.execute("INSERT INTO meldung (nummer, inhalt) VALUES (?, ?)", (name, json.dumps(content)))
        return name

    # --- work

    async def work(self) -> None:
        """Order after order, operation after operation."""
        while True:
            row = self.store.execute(
                "SELECT * FROM auftrag WHERE status IN ('ANGENOMMEN', 'IN_ARBEIT') ORDER BY status DESC, nr LIMIT 1"
            ).fetchone()
            if row is None or self.hold:
                await asyncio.sleep(0.05)
                continue
            await self._operation(row)

    async def _operation(self, row: sqlite3.Row) -> None:
        order, index = json.loads(row["inhalt"]), row["naechster"]
        steps = order["arbeitsgaenge"]
        self.store.execute("UPDATE auftrag SET status = 'IN_ARBEIT' WHERE nr = ?", (row["nr"],))
        planned = number_of(order["sollmenge"])
        pieces = int(planned) - row["ausschuss"]
        operation = int(steps[index]["vorgang"])
        made = await self.station.make(_fa(row["nr"]), operation, index + 1, pieces)
        is_last = index + 1 == len(steps)
        report = {
            "auftrag": _fa(row["nr"]),
            "vorgang": steps[index]["vorgang"],
            "gut": comma(made.good),
            "ausschuss": [{"menge": comma(made.scrap), "grund": "GRAT"}] if made.scrap else [],
            "einheit": order["mengeneinheit"],
            "zeit_min": comma(Decimal(pieces) * Decimal("2.5")),
            "verbrauch": self._consumed(order, planned, pieces, row["nr"]) if index == 0 else [],
            "charge_aus": f"{self.prefix}{row['nr']:04d}" if is_last else "",
            "werker": "4711",
            "maschine": f"ST{(index + 1) * 10}",
            "ende": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
            "letzte": is_last,
            "wiederholung": False,
        }
        self.store.execute("BEGIN IMMEDIATE")
        self._report(report)
        self.store.execute(
            "UPDATE auftrag SET naechster = ?, ausschuss = ausschuss + ?, gut = ?, status = ? WHERE nr = ?",
            (index + 1, made.scrap, made.good, "FERTIG" if is_last else "IN_ARBEIT", row["nr"]),
        )
        self.store.execute("COMMIT")

    def _consumed(self, order: dict[str, Any], planned: Decimal, pieces: int, number: int) -> list[dict[str, str]]:
        used = []
        for part in order.get("komponenten", []):
            quantity = floor.share(number_of(part["menge"]), planned, pieces)
            lots = [part["charge"]] if part.get("charge") else self.lots.get(part["artikel"], [])
            for lot, amount in floor.split_by_lot(quantity, lots, number):
                used.append(
                    {"artikel": part["artikel"], "charge": lot, "menge": comma(amount), "einheit": part["einheit"]}
                )
        return used

    async def set_hold(self, request: Request) -> Response:
        """The shift supervisor stops or starts the line."""
        self.hold = bool((await body(request)).get("halt"))
        return JSONResponse({"halt": self.hold})

    def routes(self) -> list[Route]:
        return [
            Route("/api/auftraege", self.post_order, methods=["POST"]),
            Route("/api/auftraege", self.list_orders),
            Route("/api/auftraege/{nr}", self.get_order),
            Route("/api/auftraege/{nr}", self.change_order, methods=["PUT"]),
            Route("/api/auftraege/{nr}/storno", self.cancel_order, methods=["POST"]),
            Route("/api/journal", self.journal),
            Route("/api/material", self.list_material),
            Route("/api/material", self.put_material, methods=["PUT"]),
            Route("/api/meldungen", self.reports),
            Route("/api/meldungen", self.post_report, methods=["POST"]),
            Route("/api/meldungen/{nummer}/wiederholen", self.resend_report, methods=["POST"]),
            Route("/api/meldungen/{nummer}/storno", self.cancel_report, methods=["POST"]),
            Route("/api/halt", self.set_hold, methods=["POST"]),
        ]


def _fa(number: int) -> str:
    return f"FA-{number:06d}"


def main() -> None:
    parser = arguments(
        __doc__ or "", "python -m simulators.mes_rest --port 18101 --state /tmp/mes --lots HSG-10=H-2401,H-2402"
    )
    parser.add_argument("--line", default="", help="OPC UA endpoint of the line; empty: pieces are made by the clock")
    parser.add_argument("--piece-seconds", type=float, default=0.1, help="without a line: time for a piece")
    parser.add_argument("--lot-prefix", default="P-", help="output lots are <prefix><order>")
    parser.add_argument("--lots", nargs="*", default=[], help="component lots that the MES takes from: ITEM=LOT,LOT")
    parser.add_argument("--hold", action="store_true", help="start with the line on hold")
    told = parser.parse_args()
    mes = Mes(open_store(told.state / "mes.db", DDL), floor.line_of(told, "stations"), told)
    asyncio.run(run(application(mes.routes()), told.port, mes.work()))


if __name__ == "__main__":
    main()
