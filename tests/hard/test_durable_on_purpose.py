"""What must hold before a fact is told at all: a broker that is new enough, streams as declared, writes forced to disk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from servicekit.broker import BROKER_OLDEST, StreamDiffers, StreamRules, subjects_of
from servicekit.broker import Broker as Connection
from servicekit.facts import PACKAGE_OF
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


@pytest.mark.parametrize(("name", "value"), [("discard", "old"), ("storage", "memory"), ("allow_atomic", False)])
async def test_a_stream_that_works_otherwise_than_declared_is_refused_by_name(
    broker: Broker, name: str, value: object
) -> None:
    async with connected(broker) as connection:
        js = await connection.jetstream()
        await js.add_stream(RULES.config(SLOT).evolve(**{name: value}))
        with pytest.raises(StreamDiffers, match=f"{SLOT}.*{name}"):
            await connection.stream(SLOT)


@pytest.mark.parametrize(("name", "value"), [("max_bytes", 1_000_000), ("max_age", 3600.0), ("max_msg_size", 1000)])
async def test_a_stream_that_has_less_room_than_declared_is_given_it_and_keeps_the_rest(
    broker: Broker, name: str, value: object
) -> None:
    async with connected(broker) as connection:
        js = await connection.jetstream()
        made = WIDER.config(SLOT).evolve(description="of before", **{name: value})
        await js.add_stream(made)
        await js.publish(subjects_of(SLOT)[1], b"kept")
        found = await connection.stream(SLOT)
        kept = (await js.stream_info(SLOT)).config
        assert found.state.messages == 1
        assert kept == found.config
        wanted = made.evolve(**{name: getattr(RULES, name)})
        for field in ("max_bytes", "max_age", "max_msg_size", "description", "discard", "allow_atomic"):
            assert getattr(kept, field) == getattr(wanted, field)


async def test_a_stream_that_the_broker_has_no_room_to_widen_is_refused(tmp_path: Path) -> None:
    small = Broker(tmp_path / "small", max_file="16M")
    small.start()
    try:
        async with connected(small, replace(RULES, max_bytes=1_000_000)) as before:
            await before.stream(SLOT)
        async with connected(small) as connection:
            with pytest.raises(StreamDiffers, match=f"{SLOT}: max_bytes is 1000000, declared.*insufficient storage"):
                await connection.stream(SLOT)
    finally:
        small.kill()


async def test_replicas_that_a_broker_alone_cannot_give_are_refused_by_name(broker: Broker) -> None:
    async with connected(broker) as before, connected(broker, replace(RULES, num_replicas=3)) as connection:
        await before.stream(SLOT)
        with pytest.raises(StreamDiffers, match=f"{SLOT}: num_replicas is 1, declared 3"):
            await connection.stream(SLOT)


async def test_a_stream_without_limits_is_left_without(broker: Broker) -> None:
    async with connected(broker) as connection:
        js = await connection.jetstream()
        await js.add_stream(RULES.config(SLOT).evolve(max_bytes=-1, max_age=0, max_msg_size=-1))
        kept = (await connection.stream(SLOT)).config
        assert (kept.max_bytes, kept.max_age, kept.max_msg_size) == (-1, 0, -1)


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


def brokers_configured() -> list[str]:
    files = [path for path in (ROOT / "deploy").rglob("*") if path.suffix in (".conf", ".py", ".yml", ".yaml")]
    said = [text for text in (path.read_text() for path in files) if "store_dir" in text]
    assert len(said) >= 2
    return said


def test_every_broker_that_we_configure_forces_its_writes_to_disk() -> None:
    """A client can't ask a broker for its sync_interval, so what we ship must say it."""
    for said in brokers_configured():
        assert re.search(r"sync_interval:\s*always\b", said)


def test_every_broker_that_we_configure_has_room_for_the_streams_of_twenty_plants() -> None:
    """It reserves what a stream may hold, and refuses to make one that is more than its max_file."""
    for said in brokers_configured():
        found = re.search(r"max_file:\s*(\d+)T\b", said)
        assert found, said
        assert int(found[1]) * 10**12 > 20 * len(PACKAGE_OF) * RULES.max_bytes
