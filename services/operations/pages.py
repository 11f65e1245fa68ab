"""Reads a list of another service to its end."""

from __future__ import annotations

from typing import Any

DEADLINE = 30.0
PAGE = 500


async def pages(call: Any, request: Any, field: str) -> list[Any]:
    """All rows of a List call. Raises AioRpcError."""
    found: list[Any] = []
    request.page_size = PAGE
    while True:
        response = await call(request, timeout=DEADLINE)
        found.extend(getattr(response, field))
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token
