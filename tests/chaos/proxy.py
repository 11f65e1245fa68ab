"""The wires of the harness: one process that forwards TCP and does to it what bad lines do, told so over HTTP.

`POST /<link> {"mode": ...}`: open, cut (connections torn down, new ones refused), silent (held, both ways), half (the far
end is gone and the near end does not know), delay (each piece late by `seconds`), trickle (`bytes` a second), stale (what
the connections of now carry is held, new ones are well: old messages arrive when a new connection has gone on).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CHUNK = 65536
TRICKLE_TICK = 0.05
MODES = ("open", "cut", "silent", "half", "delay", "trickle", "stale")


@dataclass(eq=False)
class Pair:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    is_stale: bool = False  # what it carries is held
    is_lost: bool = False  # the far end was torn down while the near end was kept in the dark


@dataclass
class Link:
    """One wire, and what is wrong with it now."""

    host: str
    port: int
    mode: str = "open"
    seconds: float = 0.0
    bytes: int = 0
    pairs: set[Pair] = field(default_factory=set)
    healed: asyncio.Event = field(default_factory=asyncio.Event)
    forwarded: int = 0

    def set(self, mode: str, seconds: float, size: int) -> None:
        self.mode, self.seconds, self.bytes = mode, seconds, size
        self.healed.set()
        self.healed = asyncio.Event()
        for pair in list(self.pairs):
            if mode == "cut" or (mode == "open" and pair.is_lost):
                pair.near.transport.abort()
                pair.far.transport.abort()
            pair.is_stale = mode == "stale"
            if mode == "half":
                pair.is_lost = True
                pair.far.transport.abort()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.mode in ("silent", "half"):  # it is accepted, and then nothing answers
            await self.healed.wait()
        try:
            if self.mode == "cut":
                raise ConnectionError
            far_reader, far = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        pair = Pair(writer, far)
        self.pairs.add(pair)
        await asyncio.gather(self._pump(pair, reader, far), self._pump(pair, far_reader, writer))
        self.pairs.discard(pair)

    async def _pump(self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                while pair.is_stale:
                    await self.healed.wait()
                if not pair.is_lost:
                    await self._forward(data, writer)
        if pair.is_lost:  # the near end hears nothing of it until the wire is mended
            while self.mode == "half":
                await self.healed.wait()
        writer.close()

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        while self.mode in ("silent", "half"):
            await self.healed.wait()
        if self.mode == "delay":
            await asyncio.sleep(self.seconds)
        while self.mode == "trickle" and data:
            size = max(1, int(self.bytes * TRICKLE_TICK))
            writer.write(data[:size])
            data = data[size:]
            await asyncio.sleep(TRICKLE_TICK)
        writer.write(data)
        await writer.drain()
        self.forwarded += len(data)


def control(links: dict[str, Link]) -> Starlette:
    async def change(request: Request) -> Response:
        told: dict[str, Any] = await request.json()
        if told["mode"] not in MODES:
            return JSONResponse({"error": f"mode is one of {MODES}"}, status_code=400)
        links[request.path_params["link"]].set(told["mode"], told.get("seconds", 0.0), told.get("bytes", 0))
        return JSONResponse({"mode": told["mode"]})

    async def state(_request: Request) -> Response:
        return JSONResponse(
            {n: {"mode": k.mode, "connections": len(k.pairs), "forwarded": k.forwarded} for n, k in links.items()}
        )

    return Starlette(routes=[Route("/", state), Route("/{link}", change, methods=["POST"])])


async def serve(told: argparse.Namespace) -> None:
    links: dict[str, Link] = {}
    for text in told.link:  # name=port=host:port
        name, port, target = text.split("=")
        host, far = target.rsplit(":", 1)
        links[name] = Link(host, int(far))
        await asyncio.start_server(links[name].connect, "127.0.0.1", int(port))
    config = uvicorn.Config(control(links), host="127.0.0.1", port=told.control, log_level="warning", lifespan="off")
    await uvicorn.Server(config).serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--link", action="append", default=[])
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
