"""Plays the batch executive of plant ghent: batches that run in phases (ISA-88), a journal of records, a reactor.

English words, exact decimals, lower-case units, its own batch numbers. What the reactor's sensors show goes to a historian.
"""

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
from simulators.reactor import Reactor
from simulators.stage import BadRequest, application, arguments, body, open_store, run

DDL = """
CREATE TABLE IF NOT EXISTS batch (nr INTEGER PRIMARY KEY AUTOINCREMENT, external_id TEXT UNIQUE, content TEXT,
  state TEXT, next_phase INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS request (external_id TEXT PRIMARY KEY, batch INTEGER, verb TEXT);
CREATE TABLE IF NOT EXISTS material (name TEXT PRIMARY KEY, revision INTEGER, content TEXT);
CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT, content TEXT);
"""
UNITS = {"kg", "g", "l", "pcs", "m"}
LOSS = Decimal("0.0125")  # of a batch stays in the reactor
GRAM = Decimal("0.001")
RECORDS_MOST = 500


def amount_of(said: Any) -> Decimal:
    """The value of {"value": "1200.0", "uom": "kg"}."""
    try:
        value = Decimal(str(said["value"]))
    except (InvalidOperation, KeyError, TypeError) as error:
        raise BadRequest("size has no value") from error
    if said.get("uom") not in UNITS or value <= 0:
        raise BadRequest("size is not above zero, or of an unknown uom")
    return value


class Executive:
    def __init__(self, store: sqlite3.Connection, reactor: Reactor, told: Any) -> None:
        self.store, self.reactor, self.lots = store, reactor, floor.lots_of(told.lots)
        self.prefix, self.is_held = told.lot_prefix, told.hold

    # --- batches

    async def create(self, request: Request) -> Response:
        content = await body(request)
        for name in ("externalId", "recipe", "size", "phases"):
            if not content.get(name):
                raise BadRequest(f"{name} is missing")
        amount_of(content["size"])
        known = self._one("SELECT * FROM batch WHERE external_id = ?", content["externalId"])
        if known is not None:
            is_same = known["content"] == json.dumps(content, sort_keys=True) or known["state"] != "READY"
            answer = self._batch(known) if is_same else {"error": "externalId has other content"}
            return JSONResponse(answer, status_code=200 if is_same else 409)
        self.store.execute("BEGIN IMMEDIATE")
        made = self.store.execute(
            "INSERT INTO batch (external_id, content, state) VALUES (?, ?, 'READY')",
            (content["externalId"], json.dumps(content, sort_keys=True)),
        ).lastrowid
        self._note(content["externalId"], made, "create")
        self.store.execute("COMMIT")
        return JSONResponse(self._batch(self._by_number(made)), status_code=201)

    async def batches(self, request: Request) -> Response:
        reference = request.query_params.get("externalId")
        rows = self.store.execute(
            "SELECT * FROM batch WHERE ? IS NULL OR external_id = ? ORDER BY nr", (reference, reference)
        ).fetchall()
        return JSONResponse({"batches": [self._batch(row) for row in rows]})

    async def resize(self, request: Request) -> Response:
        """Size and days of a batch that has not begun."""
        batch, content = self._asked(request), await body(request)
        amount_of(content.get("size"))
        wanted = json.loads(batch["content"])
        wanted |= {name: content[name] for name in ("size", "startDate", "dueDate") if name in content}
        return self._apply(batch, content, "resize", "content", json.dumps(wanted, sort_keys=True))

    async def abort(self, request: Request) -> Response:
        return self._apply(self._asked(request), await body(request), "abort", "state", "ABORTED")

    def _apply(self, batch: sqlite3.Row, content: dict[str, Any], verb: str, column: str, value: str) -> Response:
        if not content.get("externalId"):
            raise BadRequest("externalId is missing")
        if self._one("SELECT 1 FROM request WHERE external_id = ?", content["externalId"]) is None:
            if batch["state"] != "READY":
                return JSONResponse({"error": f"batch is {batch['state']}"}, status_code=409)
            self.store.execute("BEGIN IMMEDIATE")
            self.store.execute(f"UPDATE batch SET {column} = ? WHERE nr = ?", (value, batch["nr"]))
            self._note(content["externalId"], batch["nr"], verb)
            self.store.execute("COMMIT")
        return JSONResponse(self._batch(self._by_number(batch["nr"])))

    async def requests(self, request: Request) -> Response:
        """What was asked under an externalId, so that a caller who got no answer can look."""
        rows = self.store.execute(
            "SELECT * FROM request WHERE external_id = ?", (request.query_params.get("externalId", ""),)
        ).fetchall()
        return JSONResponse({"requests": [{"verb": row["verb"], "batch": _name(row["batch"])} for row in rows]})

    async def put_material(self, request: Request) -> Response:
        """The last revision of a material counts; an older one is passed over."""
        content = await body(request)
        name = str(content.get("material") or "")
        if not name or not isinstance(content.get("revision"), int):
            raise BadRequest("material or revision is missing")
        self.store.execute(
            "INSERT INTO material VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, "
            "content = excluded.content WHERE excluded.revision > material.revision",
            (name, content["revision"], json.dumps(content)),
        )
        return JSONResponse({"material": name})

    async def materials(self, request: Request) -> Response:
        name = request.query_params.get("material")
        rows = self.store.execute("SELECT * FROM material WHERE ? IS NULL OR name = ? ORDER BY name", (name, name))
        return JSONResponse({"materials": [json.loads(row["content"]) for row in rows]})

    def _note(self, reference: str, number: int | None, verb: str) -> None:
        self.store.execute("INSERT INTO request VALUES (?, ?, ?)", (reference, number, verb))

    def _batch(self, row: sqlite3.Row) -> dict[str, Any]:
        return {**json.loads(row["content"]), "batch": _name(row["nr"]), "state": row["state"]}

    def _asked(self, request: Request) -> sqlite3.Row:
        text = request.path_params["batch"].removeprefix("B26-")
        row: sqlite3.Row | None = self._by_number(int(text)) if text.isdigit() else None
        if row is None:
            raise BadRequest("there is no such batch")
        return row

    def _by_number(self, number: int | None) -> Any:
        return self._one("SELECT * FROM batch WHERE nr = ?", number)

    def _one(self, sql: str, value: Any) -> Any:
        return self.store.execute(sql, (value,)).fetchone()

    # --- the batch record

    async def records(self, request: Request) -> Response:
        after, most = int(request.query_params.get("after", 0)), int(request.query_params.get("limit", 100))
        rows = self.store.execute(
            "SELECT * FROM record WHERE seq > ? ORDER BY seq LIMIT ?", (after, min(most, RECORDS_MOST))
        )
        return JSONResponse({"records": [{**json.loads(r["content"]), "seq": r["seq"]} for r in rows]})

    async def void(self, request: Request) -> Response:
        """A record was wrong: one that takes it back."""
        row = self._one("SELECT * FROM record WHERE number = ?", request.path_params["record"])
        if row is None:
            raise BadRequest("there is no such record")
        reason = str((await body(request)).get("reason", ""))
        wrong = {"batch": json.loads(row["content"])["batch"], "voids": row["number"], "reason": reason}
        return JSONResponse({"record": self._record(wrong)}, status_code=201)

    def _record(self, content: dict[str, Any]) -> str:
        number = self.store.execute("SELECT COALESCE(MAX(seq), 0) + 1 FROM record").fetchone()[0]
        name = f"R-{number:06d}"
        self.store.execute(
            "INSERT INTO record (number, content) VALUES (?, ?)", (name, json.dumps({"record": name, **content}))
        )
        return name

    # --- work

    async def work(self) -> None:
        """Batch after batch, phase after phase; a phase that was cut off is run again."""
        while True:
            row = self.store.execute(
                "SELECT * FROM batch WHERE state IN ('READY', 'RUNNING') ORDER BY state DESC, nr LIMIT 1"
            ).fetchone()
            if row is None or (self.is_held and row["state"] == "READY"):
                await asyncio.sleep(0.05)
                continue
            await self._phase(row)

    async def _phase(self, row: sqlite3.Row) -> None:
        content, index = json.loads(row["content"]), row["next_phase"]
        phase, began = content["phases"][index], datetime.now(UTC)
        self.store.execute("UPDATE batch SET state = 'RUNNING' WHERE nr = ?", (row["nr"],))
        await self.reactor.run(phase["name"])
        is_last = index + 1 == len(content["phases"])
        size = amount_of(content["size"])
        loss = (size * LOSS).quantize(GRAM) if is_last else Decimal(0)
        ended = datetime.now(UTC)
        record = {
            "batch": _name(row["nr"]),
            "phase": phase["seq"],
            "unit": phase["unit"],
            "started": _time(began),
            "ended": _time(ended),
            "good": f"{size - loss:f}",
            "loss": f"{loss:f}",
            "uom": content["size"]["uom"],
            "operatorSeconds": f"{(ended - began).total_seconds() * 600:.1f}",  # a second here is ten minutes there
            "operator": "jdw",
            "charged": self._charged(content, row["nr"]) if index == 0 else [],
            "outputLot": f"{self.prefix}{row['nr']:04d}" if is_last else "",
            "isLast": is_last,
        }
        self.store.execute("BEGIN IMMEDIATE")
        self._record(record)
        self.store.execute(
            "UPDATE batch SET next_phase = ?, state = ? WHERE nr = ?",
            (index + 1, "DONE" if is_last else "RUNNING", row["nr"]),
        )
        self.store.execute("COMMIT")

    def _charged(self, content: dict[str, Any], number: int) -> list[dict[str, str]]:
        return [
            {"material": part["material"], "lot": lot, "value": f"{value:f}", "uom": part["amount"]["uom"]}
            for part in content.get("materials", [])
            for lot, value in floor.split_by_lot(amount_of(part["amount"]), self.lots.get(part["material"], []), number)
        ]

    async def hold(self, request: Request) -> Response:
        """The shift leader lets no batch begin, or lets them; what runs goes on."""
        self.is_held = bool((await body(request)).get("isHeld"))
        return JSONResponse({"isHeld": self.is_held})

    async def sensor(self, request: Request) -> Response:
        """A cable is loose: while it is, the historian gets no temperature."""
        self.reactor.is_silent = bool((await body(request)).get("isSilent"))
        return JSONResponse({"isSilent": self.reactor.is_silent})

    def routes(self) -> list[Route]:
        return [
            Route("/batches", self.create, methods=["POST"]),
            Route("/batches", self.batches),
            Route("/batches/{batch}/resize", self.resize, methods=["POST"]),
            Route("/batches/{batch}/abort", self.abort, methods=["POST"]),
            Route("/materials", self.materials),
            Route("/materials", self.put_material, methods=["PUT"]),
            Route("/requests", self.requests),
            Route("/records", self.records),
            Route("/records/{record}/void", self.void, methods=["POST"]),
            Route("/hold", self.hold, methods=["POST"]),
            Route("/sensor", self.sensor, methods=["POST"]),
        ]


def _name(number: int) -> str:
    return f"B26-{number:04d}"


def _time(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> None:
    parser = arguments(
        __doc__ or "",
        "python -m simulators.mes_batch --port 18121 --state /tmp/batch --historian http://127.0.0.1:8086 "
        "--lots PA-1=PA-0901,PA-0902",
    )
    parser.add_argument(
        "--historian", default="", help="URL of an InfluxDB 1.x for the reactor's readings; empty: none"
    )
    parser.add_argument("--phase-seconds", type=float, default=1.5, help="how long a phase takes")
    parser.add_argument("--lot-prefix", default="R-", help="output lots are <prefix><batch>")
    parser.add_argument("--lots", nargs="*", default=[], help="lots that are charged: ITEM=LOT,LOT")
    parser.add_argument("--hold", action="store_true", help="begin no batch until told so")
    told = parser.parse_args()
    reactor = Reactor(told.historian, told.phase_seconds)
    executive = Executive(open_store(told.state / "batch.db", DDL), reactor, told)
    loops = [reactor.report()] if told.historian else []
    asyncio.run(run(application(executive.routes()), told.port, executive.work(), *loops))


if __name__ == "__main__":
    main()
