"""How a partner's REST side is asked: what its answers mean for the machine of postings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from servicekit import foreign
from servicekit.postings import Away, Found, NoAnswer, Posting, Refused

TIMEOUT = 4.0
SETTLE = timedelta(seconds=12)


async def call(http: httpx.AsyncClient, partner: str, method: str, path: str, **more: Any) -> dict[str, Any]:
    """A partner's answer. Raises Away, NoAnswer, or Refused with <PARTNER>_REFUSED and the partner's own words."""
    if method != "GET":
        foreign.note(f"{method} {path}", more.get("json"))
    try:
        answer = await http.request(method, path, **more)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Away(str(error)) from error
    except httpx.HTTPError as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    if answer.is_server_error:
        raise NoAnswer(f"HTTP {answer.status_code}")
    try:
        body: dict[str, Any] = answer.json()
    except ValueError as error:
        raise NoAnswer(f"HTTP {answer.status_code} without JSON") from error
    if answer.is_client_error:
        raise Refused(f"{partner.upper()}_REFUSED", _words(body) or str(answer.status_code))
    return body


def _words(body: dict[str, Any]) -> str:
    """An error in its own words: {"error": ...} or {"Messages": [{"Text": ...}]}."""
    texts = [str(message.get("Text", "")) for message in body.get("Messages", ())]
    return "; ".join(texts) or str(body.get("error") or "")


class PartnerStep:
    """One kind of document at a partner that keeps our reference and answers the same for the same: look, then ask."""

    settle_time = SETTLE
    partner: str

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    def document(self, posting: Posting) -> tuple[str, dict[str, Any]]:
        """Its path, and its body with our reference."""
        raise NotImplementedError

    async def find(self, posting: Posting) -> Found | None:
        raise NotImplementedError

    async def draft(self, posting: Posting) -> str:
        return ""

    async def book(self, posting: Posting, foreign_id: str) -> None:
        path, body = self.document(posting)
        await call(self._http, self.partner, "POST", path, json=body)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        return await self.find(posting) or Found("", is_booked=False)
