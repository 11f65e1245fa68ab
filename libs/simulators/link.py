"""Plays the link between a plant and the hub: forwards TCP, and can be cut and restored."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.stage import application, arguments, body, run

CHUNK = 65536


class Link:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_cut, self.is_blackhole = False, False
        self.forwarded = 0

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut and not self.is_blackhole:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                while self.is_cut and self.is_blackhole:
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
                self.forwarded += len(data)
        writer.close()

    async def cut(self, request: Request) -> Response:
        """{"mode": "reset" | "blackhole"}: connections are torn down, or held in silence."""
        self.is_cut, self.is_blackhole = True, (await body(request)).get("mode") == "blackhole"
        if not self.is_blackhole:
            for writer in list(self._writers):
                writer.transport.abort()
        return await self.state(request)

    async def restore(self, request: Request) -> Response:
        self.is_cut = self.is_blackhole = False
        return await self.state(request)

    async def state(self, _request: Request) -> Response:
        return JSONResponse(
            {"is_cut": self.is_cut, "connections": len(self._writers) // 2, "forwarded": self.forwarded}
        )


async def serve(link: Link, port: int) -> None:
    server = await asyncio.start_server(link.connect, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = arguments(
        __doc__ or "", "python -m simulators.link --port 14301 --state /tmp --to 127.0.0.1:4222 --control 14302"
    )
    parser.add_argument("--to", required=True, help="host:port that is forwarded to")
    parser.add_argument(
        "--control", type=int, required=True, help="loopback port of POST /cut, POST /restore, GET /state"
    )
    told = parser.parse_args()
    host, port = told.to.rsplit(":", 1)
    link = Link(host, int(port))
    routes = [
        Route("/cut", link.cut, methods=["POST"]),
        Route("/restore", link.restore, methods=["POST"]),
        Route("/state", link.state),
    ]
    asyncio.run(run(application(routes), told.control, serve(link, told.port)))


if __name__ == "__main__":
    main()
