"""Serves a web application beside the gRPC server, until cancelled."""

from __future__ import annotations

from typing import Any

import uvicorn

DRAIN_SECONDS = 2


async def serve(app: Any, listen: str) -> None:
    """`listen` is host:port. Requests in flight have a moment to end when it is cancelled; a stream never would."""
    host, port = listen.rsplit(":", 1)
    quiet = {"log_level": "warning", "lifespan": "off", "access_log": False}
    config = uvicorn.Config(app, host=host, port=int(port), timeout_graceful_shutdown=DRAIN_SECONDS, **quiet)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        await server.main_loop()
    finally:
        await server.shutdown()
