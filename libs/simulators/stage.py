"""What every simulator stands on: a durable store, an HTTP server, a command line. Knows nothing of Isthmus."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sqlite3
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

BODY_MOST = 1_000_000


class BadRequest(Exception):
    """The caller's message is not what this system takes."""


def open_store(path: Path, ddl: str) -> sqlite3.Connection:
    """A database that survives kill -9: WAL, synchronous FULL, rows by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    store.row_factory = sqlite3.Row
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.executescript(ddl)
    return store


def arguments(about: str, example: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=about, epilog=f"example: {example}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True, help="loopback port")
    parser.add_argument("--state", type=Path, required=True, help="folder of the database")
    return parser


async def body(request: Request) -> dict[str, Any]:
    """The request's JSON object, at most 1 MB."""
    raw = await request.body()
    if len(raw) > BODY_MOST:
        raise BadRequest("the body is too long")
    try:
        data = json.loads(raw or b"{}")
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(data, dict):
        raise BadRequest("the body is not a JSON object")
    return data


async def _bad_request(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _health(_request: Request) -> Response:
    return JSONResponse({"ok": True})


def application(routes: Iterable[Route]) -> Starlette:
    return Starlette(routes=[Route("/health", _health), *routes], exception_handlers={BadRequest: _bad_request})


async def run(app: Starlette | None, port: int, *loops: Awaitable[None]) -> None:
    """Serve and play until SIGTERM; a loop that fails ends the process."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(loop) for loop in loops]
    server = None
    if app is not None:
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        tasks.append(asyncio.ensure_future(server.serve()))
    stopping = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if server is not None:
        server.should_exit = True
    for task in tasks:
        if task not in done and not (server is not None and task is tasks[-1]):
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done - {stopping}:
        if not task.cancelled() and task.exception() is not None:
            raise SystemExit(f"stopped by {task.exception()!r}")
