"""Plays a cloud WMS for all sites: inbound notices, outbound orders, stock by lot, signed webhooks until they are taken."""

from __future__ import annotations

import asyncio
import hmac
import json
import sqlite3
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators import webhooks
from simulators.stage import BadRequest, application, arguments, body, open_store, run
from simulators.webhooks import Webhooks

DDL = """
CREATE TABLE IF NOT EXISTS inbound (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS outbound (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT, picks TEXT);
CREATE TABLE IF NOT EXISTS adjustment (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS stock (site TEXT, sku TEXT, lot TEXT, quantity TEXT, first_id INTEGER, PRIMARY KEY (site, sku, lot));
CREATE TABLE IF NOT EXISTS business_partner (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS lot_block (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT);
"""


class Wms:
    def __init__(self, store: sqlite3.Connection, told: Any) -> None:
        self.store, self.key = store, told.api_key_file.read_text().strip()
        secret = told.webhook_secret_file.read_text().strip() if told.webhook_secret_file else ""
        self.told = Webhooks(store, told.webhook_url, secret)
        self.delay = told.delay

    def allowed(self, request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("x-api-key", ""), self.key):
            raise BadRequest("api key is wrong")

    # --- inbound

    async def post_inbound(self, request: Request) -> Response:
        self.allowed(request)
        content = await body(request)
        self._require(content, "site", "clientReference", "sku", "lot", "quantity", "uom")
        return self._take("inbound", content)

    async def post_outbound(self, request: Request) -> Response:
        self.allowed(request)
        content = await body(request)
        self._require(content, "site", "clientReference", "shipTo", "lines")
        return self._take("outbound", content)

    def _require(self, content: dict[str, Any], *names: str) -> None:
        for name in names:
            if not content.get(name):
                raise BadRequest(f"{name} is missing")
        for line in content.get("lines", [content]):
            try:
                if Decimal(str(line.get("quantity"))) <= 0:
                    raise BadRequest("quantity must be above zero")
            except InvalidOperation as error:
                raise BadRequest("quantity is no number") from error

    def _take(self, table: str, content: dict[str, Any]) -> Response:
        text = json.dumps(content, sort_keys=True)
        known = self._by_reference(table, content["clientReference"])
        if known is not None:
            is_same = known["content"] == text
            answer = self._document(known) if is_same else {"error": "clientReference has other content"}
            return JSONResponse(answer, status_code=200 if is_same else 409)
        self.store.execute(
            f"INSERT INTO {table} (site, client_reference, content, status) VALUES (?, ?, ?, 'open')",
            (content["site"], content["clientReference"], text),
        )
        return JSONResponse(self._document(self._by_reference(table, content["clientReference"])), status_code=201)

    def _by_reference(self, table: str, reference: str) -> Any:
        sql = f"SELECT * FROM {table} WHERE client_reference = ?"
        return self.store.execute(sql, (reference,)).fetchone()

    @staticmethod
    def _document(row: sqlite3.Row) -> dict[str, Any]:
        picks = json.loads(row["picks"]) if "picks" in row.keys() and row["picks"] else []  # noqa: SIM118
        return {**json.loads(row["content"]), "id": row["id"], "status": row["status"], "picks": picks}

    def _list(self, table: str) -> Any:
        async def listed(request: Request) -> Response:
            self.allowed(request)
            reference = request.query_params.get("clientReference")
            rows = self.store.execute(
                f"SELECT * FROM {table} WHERE ? IS NULL OR client_reference = ? ORDER BY id",
                (reference, reference),
            ).fetchall()
            return JSONResponse({"items": [self._document(row) for row in rows]})

        return listed

    async def post_adjustment(self, request: Request) -> Response:
        """Stock that was announced wrongly is taken back, as long as it was not picked."""
        self.allowed(request)
        content = await body(request)
        self._require(
            {**content, "quantity": abs(Decimal(str(content.get("quantity", 0))))}, "site", "clientReference", "sku"
        )
        held = self._held(content["site"], content["sku"], content.get("lot", ""))
        after = held + Decimal(str(content["quantity"]))
        if after < 0 and self._by_reference("adjustment", content["clientReference"]) is None:
            return JSONResponse({"error": f"only {held} are left"}, status_code=409)
        self.store.execute("BEGIN IMMEDIATE")
        answer = self._take("adjustment", content)
        if answer.status_code == 201:
            self._put(content["site"], content["sku"], content.get("lot", ""), after)
        self.store.execute("COMMIT")
        return answer

    async def post_lot_block(self, request: Request) -> Response:
        """From now on the lot is picked for nobody, or for everybody again: the latest word holds."""
        self.allowed(request)
        content = await body(request)
        for name in ("site", "clientReference", "sku", "lot"):
            if not content.get(name):
                raise BadRequest(f"{name} is missing")
        if not isinstance(content.get("blocked"), bool):
            raise BadRequest("blocked is true or false")
        return self._take("lot_block", content)

    async def post_partner(self, request: Request) -> Response:
        self.allowed(request)
        content = await body(request)
        for name in ("site", "clientReference", "code", "name"):
            if not content.get(name):
                raise BadRequest(f"{name} is missing")
        if not isinstance(content.get("revision"), int):
            raise BadRequest("revision is a whole number")
        return self._take("business_partner", content)

    async def directory(self, request: Request) -> Response:
        """Whom the sites deal with: of a code the highest revision, whenever it came."""
        self.allowed(request)
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.store.execute("SELECT content FROM business_partner ORDER BY id"):
            said = json.loads(row["content"])
            before = latest.get((said["site"], said["code"]))
            if before is None or before["revision"] < said["revision"]:
                latest[said["site"], said["code"]] = said
        return JSONResponse({"items": [latest[key] for key in sorted(latest)]})

    def _is_blocked(self, site: str, sku: str, lot: str) -> bool:
        rows = self.store.execute("SELECT content FROM lot_block WHERE site = ? ORDER BY id DESC", (site,)).fetchall()
        said = (json.loads(row["content"]) for row in rows)
        return next((one["blocked"] for one in said if (one["sku"], one["lot"]) == (sku, lot)), False)

    async def stock(self, request: Request) -> Response:
        self.allowed(request)
        rows = self.store.execute("SELECT site, sku, lot, quantity FROM stock ORDER BY site, sku, lot").fetchall()
        return JSONResponse({"items": [dict(row) for row in rows]})

    # --- the warehouse works

    async def work(self) -> None:
        while True:
            for row in self.store.execute("SELECT * FROM inbound WHERE status = 'open' ORDER BY id").fetchall():
                self._receive(row)
            for row in self.store.execute("SELECT * FROM outbound WHERE status = 'open' ORDER BY id").fetchall():
                self._pick(row)
            await asyncio.sleep(self.delay)
            for row in self.store.execute("SELECT * FROM outbound WHERE status = 'picked' ORDER BY id").fetchall():
                self._ship(row)

    def _receive(self, row: sqlite3.Row) -> None:
        content = json.loads(row["content"])
        self.store.execute("BEGIN IMMEDIATE")
        held = self._held(row["site"], content["sku"], content["lot"])
        self._put(row["site"], content["sku"], content["lot"], held + Decimal(str(content["quantity"])))
        self.store.execute("UPDATE inbound SET status = 'received' WHERE id = ?", (row["id"],))
        self.told.tell("inbound.received", f"inbound-{row['id']}", self._document(row) | {"status": "received"})
        self.store.execute("COMMIT")

    def _held(self, site: str, sku: str, lot: str) -> Decimal:
        row = self.store.execute(
            "SELECT quantity FROM stock WHERE site = ? AND sku = ? AND lot = ?", (site, sku, lot)
        ).fetchone()
        return Decimal(row["quantity"]) if row is not None else Decimal(0)

    def _put(self, site: str, sku: str, lot: str, quantity: Decimal) -> None:
        self.store.execute(
            "INSERT INTO stock VALUES (?, ?, ?, ?, (SELECT COALESCE(MAX(first_id), 0) + 1 FROM stock)) "
            "ON CONFLICT (site, sku, lot) DO UPDATE SET quantity = excluded.quantity",
            (site, sku, lot, f"{quantity.normalize():f}"),
        )

    def _pick(self, row: sqlite3.Row) -> None:
        """Lots first in, first out; an order waits until all of it is there."""
        picks: list[dict[str, str]] = []
        for line in json.loads(row["content"])["lines"]:
            wanted = Decimal(str(line["quantity"]))
            lots = self.store.execute(
                "SELECT lot, quantity FROM stock WHERE site = ? AND sku = ? ORDER BY first_id",
                (row["site"], line["sku"]),
            ).fetchall()
            for lot in lots:
                if self._is_blocked(row["site"], line["sku"], lot["lot"]):
                    continue
                taken = min(wanted, Decimal(lot["quantity"]))
                if taken > 0:
                    picks.append({"sku": line["sku"], "lot": lot["lot"], "quantity": f"{taken.normalize():f}"})
                    wanted -= taken
            if wanted > 0:
                return
        self.store.execute("BEGIN IMMEDIATE")
        for pick in picks:
            held = self._held(row["site"], pick["sku"], pick["lot"])
            self._put(row["site"], pick["sku"], pick["lot"], held - Decimal(pick["quantity"]))
        sql = "UPDATE outbound SET status = 'picked', picks = ? WHERE id = ?"
        self.store.execute(sql, (json.dumps(picks), row["id"]))
        self.told.tell(
            "outbound.picked", f"outbound-{row['id']}", self._document(row) | {"status": "picked", "picks": picks}
        )
        self.store.execute("COMMIT")

    def _ship(self, row: sqlite3.Row) -> None:
        self.store.execute("BEGIN IMMEDIATE")
        self.store.execute("UPDATE outbound SET status = 'shipped' WHERE id = ?", (row["id"],))
        shipped = self._document(row) | {"status": "shipped", "trackingNumber": f"TRK{row['id']:08d}"}
        self.told.tell("outbound.shipped", f"outbound-{row['id']}", shipped)
        self.store.execute("COMMIT")

    # --- webhooks

    async def webhooks(self, request: Request) -> Response:
        self.allowed(request)
        return JSONResponse({"items": self.told.listed()})

    async def redeliver(self, request: Request) -> Response:
        self.allowed(request)
        self.told.again(request.path_params["id"])
        return JSONResponse({"ok": True})

    def routes(self) -> list[Route]:
        return [
            Route("/v2/inbound-notices", self.post_inbound, methods=["POST"]),
            Route("/v2/inbound-notices", self._list("inbound")),
            Route("/v2/outbound-orders", self.post_outbound, methods=["POST"]),
            Route("/v2/outbound-orders", self._list("outbound")),
            Route("/v2/adjustments", self.post_adjustment, methods=["POST"]),
            Route("/v2/adjustments", self._list("adjustment")),
            Route("/v2/business-partners", self.post_partner, methods=["POST"]),
            Route("/v2/business-partners", self._list("business_partner")),
            Route("/v2/directory", self.directory),
            Route("/v2/lot-blocks", self.post_lot_block, methods=["POST"]),
            Route("/v2/lot-blocks", self._list("lot_block")),
            Route("/v2/stock", self.stock),
            Route("/v2/webhooks", self.webhooks),
            Route("/v2/webhooks/{id}/redeliver", self.redeliver, methods=["POST"]),
        ]


def main() -> None:
    parser = arguments(__doc__ or "", "python -m simulators.wms --port 18201 --state /tmp/wms --api-key-file key")
    parser.add_argument("--api-key-file", type=Path, required=True)
    parser.add_argument("--webhook-url", default="", help="where webhooks go; empty: nowhere")
    parser.add_argument("--webhook-secret-file", type=Path, help="Standard Webhooks secret, whsec_...")
    parser.add_argument("--delay", type=float, default=0.3, help="seconds between picking and shipping")
    told = parser.parse_args()
    wms = Wms(open_store(told.state / "wms.db", DDL + webhooks.DDL), told)
    loops = [wms.work()] + ([wms.told.deliver()] if told.webhook_url else [])
    asyncio.run(run(application(wms.routes()), told.port, *loops))


if __name__ == "__main__":
    main()
