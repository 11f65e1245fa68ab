"""What must hold before a fact is told at all: a broker that is new enough, streams as declared, writes forced to disk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from servicekit.broker import BROKER_OLDEST, StreamDiffers, StreamRules
from servicekit.broker import Broker as Connection
from tests.servicekit.test_relay_and_reader import RULES, SLOT
from tests.support.broker import Broker
from tests.support.running import ROOT, Hub

pytestmark = pytest.mark.connected
WIDER = replace(RULES, max_bytes=RULES.max_bytes * 2, max_age=RULES.max_age * 2, max_msg_size=RULES.max_msg_size * 2)


@asynccontextmanager
async def connected(broker: Broker, rules: StreamRules = RULES) -> AsyncIterator[Connection]:
    made = Connection(broker.url, rules, "test")
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discard", "old"),
        ("storage", "memory"),
        ("allow_atomic", False),
        ("max_bytes", 1_000_000),
        ("max_age", 3600.0),
        ("max_msg_size", 1000),
    ],
)
async def test_a_stream_that_keeps_less_than_declared_is_refused_by_name(
    broker: Broker, name: str, value: object
) -> None:
    async with connected(broker) as connection:
        js = await connection.jetstream()
        await js.add_stream(RULES.config(SLOT).evolve(**{name: value}))
        with pytest.raises(StreamDiffers, match=f"{SLOT}.*{name}"):
            await connection.stream(SLOT)


async def test_a_stream_that_was_given_more_room_is_taken(broker: Broker) -> None:
    async with connected(broker, WIDER) as wider, connected(broker) as connection:
        await wider.stream(SLOT)
        assert (await connection.stream(SLOT)).config.max_bytes == WIDER.max_bytes


async def test_a_stream_is_made_as_declared(broker: Broker) -> None:
    async with connected(broker) as connection:
        made = (await connection.stream(SLOT)).config
        assert (made.discard, made.storage, made.max_bytes) == ("new", "file", RULES.max_bytes)


@asynccontextmanager
async def an_old_broker(version: str) -> AsyncIterator[str]:
    """Says its version, as every broker does first; no release so old is at hand."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'INFO {"server_id":"OLD","version":"%s","max_payload":1048576,"headers":true}\r\n' % version.encode()
        )
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_a_broker_that_is_too_old_is_refused_in_one_sentence_and_the_service_ends(tmp_path: Path) -> None:
    hub = Hub(tmp_path, lambda name: f"sqlite:///{tmp_path / name}.db")
    async with an_old_broker("2.11.9") as url:
        hub.broker.url = url
        hub.start("master_data")
        process = hub.processes["master_data"]
        try:
            code = await asyncio.to_thread(process.wait, 60)
        finally:
            process.kill()
    assert code == 1
    wanted = f"needs {BROKER_OLDEST[0]}.{BROKER_OLDEST[1]} or newer"
    said = [line for line in hub.log("master_data").splitlines() if wanted in line]
    assert said
    assert "nats-server 2.11.9" in said[-1]
    assert "Traceback" not in hub.log("master_data")


def test_every_broker_that_we_configure_forces_its_writes_to_disk() -> None:
    """A client can't ask a broker for its sync_interval, so what we ship must say it."""
    said = [
        path
        for path in (ROOT / "deploy").rglob("*")
        if path.suffix in (".conf", ".py", ".yml", ".yaml") and "store_dir" in path.read_text()
    ]
    assert said
    for path in said:
        assert re.search(r"sync_interval:\s*always\b", path.read_text()), path
