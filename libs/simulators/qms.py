"""Plays a QMS for all sites: decisions at release checkpoints by people, nonconformance cases, signed webhooks."""

from __future__ import annotations

import asyncio
import hmac
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators import webhooks
from simulators.stage import BadRequest, application, arguments, body, open_store, run
from simulators.webhooks import Webhooks

DDL = """
CREATE TABLE IF NOT EXISTS decision (id INTEGER PRIMARY KEY AUTOINCREMENT, client_reference TEXT UNIQUE, content TEXT,
  outcome TEXT DEFAULT '', revision INTEGER DEFAULT 0, decided_by TEXT DEFAULT '', remark TEXT DEFAULT '', decided_at TEXT);
CREATE TABLE IF NOT EXISTS quality_case (id INTEGER PRIMARY KEY AUTOINCREMENT, client_reference TEXT UNIQUE, content TEXT);
"""
OUTCOMES = ("pass", "fail")


class Qms:
    def __init__(self, store: sqlite3.Connection, told: Any) -> None:
        self.store, self.key = store, told.api_key_file.read_text().strip()
        secret = told.webhook_secret_file.read_text().strip() if told.webhook_secret_file else ""
        self.told = Webhooks(store, told.webhook_url, secret)

    def allowed(self, request: Request) -> None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(sent, self.key):
            raise BadRequest("the token is wrong")

    def _poster(self, table: str) -> Any:
        async def posted(request: Request) -> Response:
            self.allowed(request)
            content = await body(request)
            for name in ("clientReference", "site", "batch"):
                if not content.get(name):
                    raise BadRequest(f"{name} is missing")
            reference, text = content["clientReference"], json.dumps(content, sort_keys=True)
            known = self._find(table, reference)
            if known is None:
                self.store.execute(f"INSERT INTO {table} (client_reference, content) VALUES (?, ?)", (reference, text))
                return JSONResponse(self._document(table, self._find(table, reference)), status_code=201)
            if known["content"] != text:
                return JSONResponse({"error": "clientReference has other content"}, status_code=409)
            return JSONResponse(self._document(table, known))

        return posted

    def _find(self, table: str, reference: str) -> Any:
        return self.store.execute(f"SELECT * FROM {table} WHERE client_reference = ?", (reference,)).fetchone()

    @staticmethod
    def _document(table: str, row: sqlite3.Row) -> dict[str, Any]:
        content = json.loads(row["content"])
        if table == "quality_case":
            return {**content, "number": f"NC-{row['id']:05d}", "status": "open"}
        own = ("outcome", "revision", "decided_by", "remark", "decided_at")
        return {**content, "number": f"UD-{row['id']:05d}", **{name: row[name] for name in own}}

    def _list(self, table: str) -> Any:
        async def listed(request: Request) -> Response:
            self.allowed(request)
            reference = request.query_params.get("clientReference")
            rows = self.store.execute(
                f"SELECT * FROM {table} WHERE ? IS NULL OR client_reference = ? ORDER BY id", (reference, reference)
            ).fetchall()
            return JSONResponse({"items": [self._document(table, row) for row in rows]})

        return listed

    async def decide(self, request: Request) -> Response:
        """What a quality engineer does at the screen; said again it is a revision."""
        self.allowed(request)
        said = await body(request)
        number = int(request.path_params["number"].removeprefix("UD-"))
        row = self.store.execute("SELECT * FROM decision WHERE id = ?", (number,)).fetchone()
        if row is None:
            return JSONResponse({"error": "there is no such decision"}, status_code=404)
        if said.get("outcome") not in OUTCOMES:
            raise BadRequest(f"outcome is one of {', '.join(OUTCOMES)}")
        self.store.execute("BEGIN IMMEDIATE")
        self.store.execute(
            "UPDATE decision SET outcome = ?, revision = revision + 1, decided_by = ?, remark = ?, decided_at = ? WHERE id = ?",
            (said["outcome"], said.get("by", ""), said.get("remark", ""), datetime.now(UTC).isoformat(), number),
        )
        document = self._document("decision", self._find("decision", row["client_reference"]))
        self.told.tell("decision.made", f"decision-{number}", document)
        self.store.execute("COMMIT")
        return JSONResponse(document)

    async def webhooks(self, request: Request) -> Response:
        self.allowed(request)
        return JSONResponse({"items": self.told.listed()})

    async def redeliver(self, request: Request) -> Response:
        self.allowed(request)
        self.told.again(request.path_params["id"])
        return JSONResponse({"ok": True})

    def routes(self) -> list[Route]:
        return [
            Route("/api/decisions", self._poster("decision"), methods=["POST"]),
            Route("/api/decisions", self._list("decision")),
            Route("/api/decisions/{number}/outcome", self.decide, methods=["POST"]),
            Route("/api/cases", self._poster("quality_case"), methods=["POST"]),
            Route("/api/cases", self._list("quality_case")),
            Route("/api/webhooks", self.webhooks),
            Route("/api/webhooks/{id}/redeliver", self.redeliver, methods=["POST"]),
        ]


def main() -> None:
    parser = arguments(__doc__ or "", "python -m simulators.qms --port 18202 --state /tmp/qms --api-key-file key")
    parser.add_argument("--api-key-file", type=Path, required=True)
    parser.add_argument("--webhook-url", default="", help="where webhooks go; empty: nowhere")
    parser.add_argument("--webhook-secret-file", type=Path, help="Standard Webhooks secret, whsec_...")
    told = parser.parse_args()
    qms = Qms(open_store(told.state / "qms.db", DDL + webhooks.DDL), told)
    loops = [qms.told.deliver()] if told.webhook_url else []
    asyncio.run(run(application(qms.routes()), told.port, *loops))


if __name__ == "__main__":
    main()
