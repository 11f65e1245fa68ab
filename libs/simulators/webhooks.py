"""Signed webhooks by the Standard Webhooks rules: at least once, in order per document, until they are taken."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

DDL = """
CREATE TABLE IF NOT EXISTS webhook (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, document TEXT, body TEXT,
  status TEXT DEFAULT 'open', attempts INTEGER DEFAULT 0, next_at REAL DEFAULT 0);
"""
BACKOFF = (0.2, 0.5, 1, 2, 5, 10, 30)


class Webhooks:
    """What was told and not taken yet stands in the store; `url` empty: nobody is told."""

    def __init__(self, store: sqlite3.Connection, url: str, secret: str) -> None:
        self._store, self.url, self._secret = store, url, secret

    def tell(self, kind: str, document: str, data: dict[str, Any]) -> None:
        """In the caller's transaction."""
        now = datetime.now(UTC).isoformat()
        text = json.dumps({"type": kind, "timestamp": now, "data": data})
        name = f"msg_{secrets.token_hex(10)}"
        self._store.execute("INSERT INTO webhook (id, document, body) VALUES (?, ?, ?)", (name, document, text))

    async def deliver(self) -> None:
        """For ever, with growing pauses."""
        if not self.url:
            return
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                at = datetime.now(UTC).timestamp()
                due = self._store.execute(
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
            "webhook-signature": Webhook(self._secret).sign(row["id"], now, row["body"]),
            "content-type": "application/json",
        }
        try:
            answer = await client.post(self.url, content=row["body"], headers=headers)
            is_taken = answer.is_success
        except httpx.HTTPError:
            is_taken = False
        pause = BACKOFF[min(row["attempts"], len(BACKOFF) - 1)]
        self._store.execute(
            "UPDATE webhook SET status = ?, attempts = attempts + 1, next_at = ? WHERE number = ?",
            ("taken" if is_taken else "open", now.timestamp() + pause, row["number"]),
        )

    def listed(self) -> list[dict[str, Any]]:
        rows = self._store.execute("SELECT id, document, body, status, attempts FROM webhook ORDER BY number")
        return [dict(row) for row in rows.fetchall()]

    def again(self, name: str) -> None:
        """Deliver one again, as support staff of such systems can."""
        self._store.execute("UPDATE webhook SET status = 'open', next_at = 0 WHERE id = ?", (name,))
