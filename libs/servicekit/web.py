"""Serves a web application beside the gRPC server, until cancelled."""

from __future__ import annotations

from typing import Any

import uvicorn


async def serve(app: Any, listen: str) -> None:
    """`listen` is host:port. Ends the requests in flight when it is cancelled."""
    host, port = listen.rsplit(":", 1)
    config = uvicorn.Config(app, host=host, port=int(port), log_level="warning", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        await server.main_loop()
    finally:
        await server.shutdown()
