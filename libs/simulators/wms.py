"""Plays a cloud WMS for all sites: inbound notices, outbound orders, stock by lot, signed webhooks until they are taken."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.stage import BadRequest, application, arguments, body, open_store, run

DDL = """
CREATE TABLE IF NOT EXISTS inbound (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS outbound (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT, picks TEXT);
CREATE TABLE IF NOT EXISTS adjustment (id INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT, client_reference TEXT UNIQUE,
  content TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS stock (site TEXT, sku TEXT, lot TEXT, quantity TEXT, first_id INTEGER, PRIMARY KEY (site, sku, lot));
CREATE TABLE IF NOT EXISTS webhook (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, document TEXT, body TEXT,
  status TEXT DEFAULT 'open', attempts INTEGER DEFAULT 0, next_at REAL DEFAULT 0);
"""
BACKOFF = (0.2, 0.5, 1, 2, 5, 10, 30)


class Wms:
    def __init__(self, store: sqlite3.Connection, told: Any) -> None:
        self.store, self.url = store, told.webhook_url
        self.key = told.api_key_file.read_text().strip()
        self.secret = told.webhook_secret_file.read_text().strip() if told.webhook_secret_file else ""
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
        self._tell("inbound.received", f"inbound-{row['id']}", self._document(row) | {"status": "received"})
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
        self._tell(
            "outbound.picked", f"outbound-{row['id']}", self._document(row) | {"status": "picked", "picks": picks}
        )
        self.store.execute("COMMIT")

    def _ship(self, row: sqlite3.Row) -> None:
        self.store.execute("BEGIN IMMEDIATE")
        self.store.execute("UPDATE outbound SET status = 'shipped' WHERE id = ?", (row["id"],))
        shipped = self._document(row) | {"status": "shipped", "trackingNumber": f"TRK{row['id']:08d}"}
        self._tell("outbound.shipped", f"outbound-{row['id']}", shipped)
        self.store.execute("COMMIT")

    # --- webhooks

    def _tell(self, kind: str, document: str, data: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat()
        text = json.dumps({"type": kind, "timestamp": now, "data": data})
        name = f"msg_{secrets.token_hex(10)}"
        self.store.execute("INSERT INTO webhook (id, document, body) VALUES (?, ?, ?)", (name, document, text))

    async def deliver(self) -> None:
        """At least once, in order per document, with growing pauses."""
        if not self.url:
            return
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                at = datetime.now(UTC).timestamp()
                due = self.store.execute(
                    "SELECT * FROM webhook w WHERE status = 'open' AND next_at <= ? AND NOT EXISTS (SELECT 1 FROM webhook o "
                    "WHERE o.document = w.document AND o.status = 'open' AND o.number < w.number) ORDER BY number LIMIT 20",
                    (at,),
                ).fetchall()
                for row in due:
                    await self._send(client, row)
                await asyncio.sleep(0.1)

    async def _send(self, client: httpx.AsyncClient, row: sqlite3.Row) -> None:
        now = datetime.now(UTC)
        headers = {
            "webhook-id": row["id"],
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(row["id"], now, row["body"]),
            "content-type": "application/json",
        }
        try:
            answer = await client.post(self.url, content=row["body"], headers=headers)
            is_taken = answer.is_success
        except httpx.HTTPError:
            is_taken = False
        pause = BACKOFF[min(row["attempts"], len(BACKOFF) - 1)]
        self.store.execute(
            "UPDATE webhook SET status = ?, attempts = attempts + 1, next_at = ? WHERE number = ?",
            ("taken" if is_taken else "open", now.timestamp() + pause, row["number"]),
        )

    async def webhooks(self, request: Request) -> Response:
        self.allowed(request)
        rows = self.store.execute("SELECT id, document, body, status, attempts FROM webhook ORDER BY number").fetchall()
        return JSONResponse({"items": [dict(row) for row in rows]})

    async def redeliver(self, request: Request) -> Response:
        self.allowed(request)
        self.store.execute("UPDATE webhook SET status = 'open', next_at = 0 WHERE id = ?", (request.path_params["id"],))
        return JSONResponse({"ok": True})

    def routes(self) -> list[Route]:
        return [
            Route("/v2/inbound-notices", self.post_inbound, methods=["POST"]),
            Route("/v2/inbound-notices", self._list("inbound")),
            Route("/v2/outbound-orders", self.post_outbound, methods=["POST"]),
            Route("/v2/outbound-orders", self._list("outbound")),
            Route("/v2/adjustments", self.post_adjustment, methods=["POST"]),
            Route("/v2/adjustments", self._list("adjustment")),
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
    wms = Wms(open_store(told.state / "wms.db", DDL), told)
    loops = [wms.work()] + ([wms.deliver()] if told.webhook_url else [])
    asyncio.run(run(application(wms.routes()), told.port, *loops))


if __name__ == "__main__":
    main()
