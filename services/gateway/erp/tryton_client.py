"""Speaks Tryton's JSON-RPC: log-in, one log-in again when the session died, tagged values, and answers told apart."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from servicekit import foreign
from servicekit.postings import Away, NoAnswer, Refused
from services.gateway.erp.canonical import ErpSettings
from services.gateway.erp.tryton_dialects import SERVER_PATHS, Dialect, dialect_of

GZIP_MAGIC = b"\x1f\x8b"
READS = ("read", "search_read")
BODY_MOST = 16 * 1024 * 1024


class Stale(Exception):
    """The record was changed since it was read: read it again."""


def plain_json(value: Any) -> Any:
    """Python values as Tryton's tagged JSON. Amounts leave as numbers: Tryton's own quantities are floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        utc = value.astimezone(UTC)
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{part: getattr(utc, part) for part in parts}}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, dict):
        return {name: plain_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(part) for part in value]
    return value


def from_tagged(value: dict[str, Any]) -> Any:
    """One JSON object, tagged or not."""
    tag = value.get("__class__")
    if tag == "Decimal":
        return Decimal(value["decimal"])
    if tag == "datetime":
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return datetime(*(value[part] for part in parts), tzinfo=UTC)  # type: ignore[misc]
    if tag == "date":
        return date(value["year"], value["month"], value["day"])
    if tag == "timedelta":
        return timedelta(seconds=float(value["seconds"]))
    return value


def read_json(body: bytes) -> Any:
    """8.x says gzip in its header also when the body is plain: the magic decides. ValueError for all that is no answer."""
    try:
        text = _unpacked(body) if body[:2] == GZIP_MAGIC else body
        return json.loads(text, object_hook=from_tagged, parse_float=Decimal, parse_constant=_no_number)
    except (ArithmeticError, KeyError, RecursionError, TypeError, zlib.error) as error:
        raise ValueError(f"unreadable answer: {type(error).__name__} {error}") from error


def _unpacked(body: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    plain = reader.decompress(body, BODY_MOST)
    if reader.unconsumed_tail:
        raise ValueError(f"the answer is longer than {BODY_MOST} bytes")
    return plain


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


class TrytonClient:
    """One plant's ERP: safe for many calls at once; one of them logs in, the others wait for it."""

    def __init__(self, settings: ErpSettings, *, timeout: float = 10.0) -> None:
        self._settings = settings
        # Bodies are read raw because of the header that lies; httpx must not decode them.
        self._http = httpx.AsyncClient(base_url=settings.url, timeout=timeout, headers={"Accept-Encoding": "gzip"})
        self._logging_in = asyncio.Lock()
        self.making_lot = (
            asyncio.Lock()
        )  # Tryton makes the same number twice: whoever lacks a lot looks and makes it alone
        self._authorization = ""
        self._number = 0
        self.context: dict[str, Any] = {}
        self.version = ""
        self._dialect: Dialect | None = None

    @property
    def dialect(self) -> Dialect:
        assert self._dialect is not None, "connect first"
        return self._dialect

    async def connect(self) -> None:
        """Find the release and its dialect, then log in. Raises ErpReleaseUnknown, Away, NoAnswer."""
        for path in SERVER_PATHS:
            status, body = await self._send(path, "common.server.version", [], "")
            if status == httpx.codes.OK and isinstance(body, dict) and "result" in body:
                self.version = str(body["result"])
                break
        else:
            raise Away(f"{self._settings.url} does not answer as a Tryton server")
        self._dialect = dialect_of(self.version)
        await self._log_in(self._authorization)

    async def _log_in(self, failed: str) -> None:
        """A new session, unless another call made one since `failed` stopped working."""
        async with self._logging_in:
            if self._authorization != failed:
                return
            login = [self._settings.user, {"password": self._settings.password}, "en"]
            status, body = await self._send(self._path, "common.db.login", login, "")
            if status != httpx.codes.OK or not body.get("result"):
                # Not a refusal of business: nothing was asked for yet, and a corrected password heals it.
                raise Away(f"{self._settings.url} does not let {self._settings.user} in (HTTP {status})")
            user_id, token = body["result"][:2]  # 8.x adds a third element
            session = base64.b64encode(f"{self._settings.user}:{user_id}:{token}".encode()).decode()
            status, body = await self._send(
                self._path, "model.res.user.get_preferences", [True, {}], f"Session {session}"
            )
            # Rules on records look at the company and the groups in the context: without them nothing is found.
            self.context = _result("get_preferences", status, body)
            self._authorization = f"Session {session}"

    @property
    def _path(self) -> str:
        return f"/{self._settings.database}{self.dialect.rpc_path}"

    async def model(self, model: str, method: str, *arguments: Any, context: dict[str, Any] | None = None) -> Any:
        """Call a model's method with the user's context. Raises Refused, Stale, Away, NoAnswer."""
        if self._dialect is None:
            await self.connect()
        if method not in READS:
            foreign.note(f"{model}.{method}", plain_json(arguments))
        session = self._authorization
        status, body = await self._as_user(f"model.{model}.{method}", arguments, context)
        if status == httpx.codes.UNAUTHORIZED:
            await self._log_in(session)
            status, body = await self._as_user(f"model.{model}.{method}", arguments, context)
        if status == httpx.codes.METHOD_NOT_ALLOWED:
            self._dialect = None  # another release answers here now: the next call finds its dialect
            raise Away(f"{self._settings.url} is no longer Tryton {self.version}")
        return _result(f"{model}.{method}", status, body)

    async def _as_user(
        self, method: str, arguments: tuple[Any, ...], context: dict[str, Any] | None
    ) -> tuple[int, Any]:
        parameters = [*arguments, {**self.context, **(context or {})}]
        return await self._send(self._path, method, parameters, self._authorization)

    async def _send(self, path: str, method: str, parameters: list[Any], authorization: str) -> tuple[int, Any]:
        self._number += 1
        request = {"id": self._number, "method": method, "params": plain_json(parameters)}
        headers = {"Content-Type": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        try:
            async with self._http.stream("POST", path, content=json.dumps(request), headers=headers) as answer:
                raw = bytearray()
                async for part in answer.aiter_raw():
                    raw += part
                    if len(raw) > BODY_MOST:
                        raise NoAnswer(f"{method}: the answer is longer than {BODY_MOST} bytes")
                is_json = answer.status_code == httpx.codes.OK
                return answer.status_code, read_json(bytes(raw)) if is_json else None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Away(f"{self._settings.url}: {error or type(error).__name__}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise NoAnswer(f"{method}: {error or type(error).__name__}") from error

    async def close(self) -> None:
        await self._http.aclose()


def _result(method: str, status: int, body: Any) -> Any:
    """What an answer means. Errors of business come with HTTP 200."""
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.TOO_MANY_REQUESTS):
        raise Away(f"{method}: HTTP {status}")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise NoAnswer(f"{method}: HTTP {status}")
    if status != httpx.codes.OK:
        raise Refused("ERP_CONTRACT_FAULT", f"{method}: HTTP {status}")
    if not isinstance(body, dict) or not ({"error", "result"} & body.keys()):
        raise NoAnswer(f"{method}: the answer is no JSON-RPC")
    if "error" not in body:
        return body["result"]
    words = [str(word) for word in _flat(body["error"])]
    if words[:1] == ["ConcurrencyException"]:
        raise Stale(" ".join(words))
    raise Refused("ERP_REFUSED", f"{words[0] if words else ''}: {' '.join(words[1:])}"[:2000])


def _flat(words: Any) -> list[Any]:
    return [part for word in words for part in (_flat(word) if isinstance(word, list) else [word])]
