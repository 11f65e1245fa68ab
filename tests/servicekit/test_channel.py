"""A channel whose service is away goes on trying at short intervals, however long that lasts."""

from __future__ import annotations

import asyncio

import pytest

from servicekit.channel import channel
from tests.support.eventually import eventually

pytestmark = pytest.mark.connected
TRIES = 7  # by gRPC's own pauses of 1, 1.6, 2.6, 4.1 s and so on, each a fifth shorter at best, the last would come after 20 s


async def test_a_service_that_is_away_is_sought_again_without_ever_longer_pauses() -> None:
    tries: list[asyncio.StreamWriter] = []

    def turned_away(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(writer)
        writer.close()

    server = await asyncio.start_server(turned_away, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, channel(f"127.0.0.1:{port}") as sought:
        call = sought.unary_unary("/isthmus.Any/Call")(b"", wait_for_ready=True, timeout=60)
        await eventually(lambda: len(tries) >= TRIES, within=15)
        call.cancel()
