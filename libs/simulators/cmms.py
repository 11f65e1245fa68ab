"""Plays a CMMS: maintenance notifications on equipment that it knows, completed by people, read by change number."""

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

from simulators.stage import BadRequest, application, arguments, body, open_store, run

DDL = """
CREATE TABLE IF NOT EXISTS notification (id INTEGER PRIMARY KEY AUTOINCREMENT, external_ref TEXT UNIQUE, content TEXT,
  status TEXT DEFAULT 'OSNO', completed_at TEXT, change_no INTEGER);
"""
PRIORITIES = ("EMERGENCY", "URGENT", "HIGH", "MEDIUM", "LOW")
PAGE = 100


class Cmms:
    def __init__(self, store: sqlite3.Connection, told: Any) -> None:
        self.store, self.equipment = store, set(told.equipment)
        self.key = told.api_key_file.read_text().strip()

    def allowed(self, request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("apikey", ""), self.key):
            raise BadRequest("apikey is wrong")

    async def create(self, request: Request) -> Response:
        self.allowed(request)
        content = await body(request)
        problems = [f"{name} is missing" for name in ("Equipment", "ShortText", "ExternalRef") if not content.get(name)]
        if content.get("Priority") not in PRIORITIES:
            problems.append(f"Priority is one of {', '.join(PRIORITIES)}")
        if content.get("Equipment") and content["Equipment"] not in self.equipment:
            problems.append(f"Equipment {content['Equipment']} does not exist")
        if problems:
            return _messages(422, *problems)
        known = self._find(content["ExternalRef"])
        if known is not None and json.loads(known["content"]) != content:
            return _messages(409, "ExternalRef has other content")
        if known is None:
            self.store.execute(
                "INSERT INTO notification (external_ref, content, change_no) VALUES (?, ?, "
                "(SELECT COALESCE(MAX(change_no), 0) + 1 FROM notification))",
                (content["ExternalRef"], json.dumps(content)),
            )
        return JSONResponse({"Notification": _document(self._find(content["ExternalRef"]))}, 200 if known else 201)

    def _find(self, reference: str) -> Any:
        return self.store.execute("SELECT * FROM notification WHERE external_ref = ?", (reference,)).fetchone()

    async def read(self, request: Request) -> Response:
        """By ExternalRef, or what changed after a change number, a page at a time."""
        self.allowed(request)
        reference, after = request.query_params.get("ExternalRef"), request.query_params.get("ChangedAfter", "0")
        if not after.isdecimal():
            raise BadRequest("ChangedAfter is a number")
        rows = self.store.execute(
            "SELECT * FROM notification WHERE (? IS NULL OR external_ref = ?) AND change_no > ? ORDER BY change_no LIMIT ?",
            (reference, reference, int(after), PAGE),
        ).fetchall()
        return JSONResponse({"Notifications": [_document(row) for row in rows]})

    async def complete(self, request: Request) -> Response:
        """What a planner does at the screen."""
        self.allowed(request)
        number = request.path_params["number"]
        row = self.store.execute("SELECT * FROM notification WHERE id = ?", (int(number),)).fetchone()
        if row is None or row["status"] == "NOCO":
            return _messages(409, f"notification {number} is not open")
        self.store.execute(
            "UPDATE notification SET status = 'NOCO', completed_at = ?, "
            "change_no = (SELECT MAX(change_no) + 1 FROM notification) WHERE id = ?",
            (datetime.now(UTC).isoformat(), row["id"]),
        )
        return JSONResponse({"Notification": _document(self._find(row["external_ref"]))})

    def routes(self) -> list[Route]:
        return [
            Route("/services/notifications", self.create, methods=["POST"]),
            Route("/services/notifications", self.read),
            Route("/services/notifications/{number}/complete", self.complete, methods=["POST"]),
        ]


def _document(row: sqlite3.Row) -> dict[str, Any]:
    return {
        **json.loads(row["content"]),
        "NotificationNo": f"{row['id']:08d}",
        "SystemStatus": row["status"],
        "CompletedAt": row["completed_at"],
        "ChangeNo": row["change_no"],
    }


def _messages(status: int, *texts: str) -> Response:
    return JSONResponse({"Messages": [{"Type": "E", "Text": text} for text in texts]}, status_code=status)


def main() -> None:
    example = "python -m simulators.cmms --port 18203 --state /tmp/cmms --api-key-file key --equipment EQ-100 EQ-200"
    parser = arguments(__doc__ or "", example)
    parser.add_argument("--api-key-file", type=Path, required=True)
    parser.add_argument("--equipment", nargs="*", default=[], help="numbers of the equipment that it knows")
    told = parser.parse_args()
    cmms = Cmms(open_store(told.state / "cmms.db", DDL), told)
    asyncio.run(run(application(cmms.routes()), told.port))


if __name__ == "__main__":
    main()
