"""The connection to JetStream: made in the background, made again for ever, with streams declared once and checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import yaml
from nats.aio.client import NATS_HDR_LINE, Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RawStreamMsg, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from isthmus.events.v1.heartbeat_pb2 import Heartbeat
from servicekit import clock
from servicekit.facts import PACKAGE_OF, parts_of

log = structlog.get_logger()
BROKER_OLDEST = (2, 12)  # first with atomic batch publish
HEARTBEAT_WORDS = "relay.heartbeat"
ALIKE = ("discard", "storage", "allow_atomic", "retention")  # what a stream must have exactly as declared
# What it may have more of, and is given where it has less.
AT_LEAST = ("max_bytes", "max_age", "max_msg_size", "num_replicas")
FAULTS = (NatsError, APIError, OSError, asyncio.TimeoutError, ConnectionError)


class StreamDiffers(Exception):
    """The stream stands, but not as deploy/nats/streams.yaml declares it."""


def subjects_of(slot: str) -> tuple[str, str]:
    """The subjects of a slot's stream, and the subject of its heartbeats."""
    service, plant_id = parts_of(slot)
    prefix = f"isthmus.{plant_id}.{PACKAGE_OF[service]}"
    return f"{prefix}.>", f"{prefix}.v1.{HEARTBEAT_WORDS}"


@dataclass(frozen=True, slots=True)
class StreamRules:
    """Limits of every stream, from deploy/nats/streams.yaml. Bytes and seconds."""

    max_bytes: int
    max_age: float
    max_msg_size: int
    num_replicas: int

    @classmethod
    def load(cls, path: Path, replicas: int = 0) -> StreamRules:
        """The file's rules; `replicas` of the settings, where it is not 0, is told instead of the file's."""
        data = yaml.safe_load(path.read_text(encoding="utf-8"))["business"]
        return cls(
            int(data["max_bytes"]),
            float(data["max_age_days"]) * 86400,
            int(data["max_msg_size"]),
            replicas or int(data["replicas"]),
        )

    def config(self, slot: str) -> StreamConfig:
        return StreamConfig(
            name=slot,
            subjects=[subjects_of(slot)[0]],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_age=self.max_age,
            max_bytes=self.max_bytes,
            max_msg_size=self.max_msg_size,
            num_replicas=self.num_replicas,
            allow_atomic=True,
            allow_direct=False,
            duplicate_window=0.1,  # the broker's own deduplication hides loss; this is its least
        )


class Connection(Client):
    """The library's client, which reads headers only where the broker itself speaks: our facts say all in their envelope.

    Parsing them costs a twentieth of a reader's whole time for a fact.
    """

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        is_status = headers[len(NATS_HDR_LINE) : len(NATS_HDR_LINE) + 1] == b" " if headers else False
        return await super()._process_headers(headers) if is_status else None


class Broker:
    """One connection of this process. `client()` waits until it is there."""

    def __init__(self, url: str, rules: StreamRules, name: str) -> None:
        self._urls, self._rules, self._name = url.split(","), rules, name
        self._client: Client | None = None
        self._lock = asyncio.Lock()
        self._last_fault = ""
        self.change_time = clock.now()  # when the connection last came or went

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def client(self) -> Client:
        """The connection; raises one of FAULTS when the broker can't be reached now."""
        async with self._lock:
            if self._client is None or self._client.is_closed:
                client = Connection()
                await client.connect(
                    self._urls,
                    name=self._name,
                    connect_timeout=3,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.5,  # type: ignore[arg-type]  # seconds; the library sleeps for it
                    ping_interval=3,
                    max_outstanding_pings=2,
                    error_cb=self._say_fault,
                    disconnected_cb=self._say_gone,
                    reconnected_cb=self._say_back,
                    pending_size=0,  # nothing is kept for later: the outbox is what keeps
                )
                self._client, self.change_time = client, clock.now()
                self._check_version(self._client)
                log.info(
                    "broker connected", url=self._client.connected_url.netloc if self._client.connected_url else ""
                )
            if not self._client.is_connected:
                raise ConnectionError("the broker is away")
            return self._client

    async def jetstream(self) -> JetStreamContext:
        return (await self.client()).jetstream(timeout=5)

    def _check_version(self, client: Client) -> None:
        version = client.connected_server_version
        if (version.major, version.minor) < BROKER_OLDEST:
            found = f"{version.major}.{version.minor}.{version.patch}"
            oldest = ".".join(map(str, BROKER_OLDEST))
            raise SystemExit(f"The broker is nats-server {found}; Isthmus needs {oldest} or newer. Upgrade the broker.")

    async def _say_fault(self, error: Exception) -> None:
        if str(error) != self._last_fault:
            self._last_fault = str(error)
            log.warning("broker fault", fault=self._last_fault or type(error).__name__)

    async def _say_gone(self) -> None:
        self.change_time = clock.now()
        log.warning("broker away")

    async def _say_back(self) -> None:
        self.change_time = clock.now()
        log.info("broker back")

    async def stream(self, slot: str) -> StreamInfo:
        """The slot's stream; created as declared if it is absent, given the room it lacks. Raises StreamDiffers."""
        js = await self.jetstream()
        wanted = self._rules.config(slot)
        try:
            info = await js.stream_info(slot)
        except NotFoundError:
            info = await js.add_stream(wanted)
            log.info("stream created", stream=slot)
        return await _as_declared(js, info, wanted)

    async def message(self, slot: str, sequence: int) -> RawStreamMsg | None:
        """One message by a leader read; None if the stream does not hold it."""
        try:
            return await (await self.jetstream()).get_msg(slot, sequence, direct=False)
        except NotFoundError:
            return None

    async def last_heartbeat(self, slot: str) -> Heartbeat | None:
        """The heartbeat that the slot's stream was given last, by a leader read; None if it holds none."""
        try:
            found = await (await self.jetstream()).get_last_msg(slot, subjects_of(slot)[1], direct=False)
        except NotFoundError:
            return None
        return read_heartbeat(found.data or b"")

    async def close(self) -> None:
        if self._client is not None and not self._client.is_closed:
            await self._client.close()


async def _as_declared(js: JetStreamContext, info: StreamInfo, wanted: StreamConfig) -> StreamInfo:
    """Refuse a stream that would lose; widen one that a release before made smaller. More than declared is nobody's loss."""
    have, slot = info.config, wanted.name
    if differs := [name for name in ALIKE if getattr(have, name) != getattr(wanted, name)]:
        raise StreamDiffers(f"stream {slot}: {_told(differs, have, wanted)}. Edit the stream.")
    lacks = [name for name in AT_LEAST if _is_less(getattr(have, name), getattr(wanted, name))]
    if not lacks:
        return info
    told = _told(lacks, have, wanted)
    try:
        widened = await js.update_stream(have.evolve(**{name: getattr(wanted, name) for name in lacks}))
    except APIError as refused:
        raise StreamDiffers(
            f"stream {slot}: {told}, and the broker refuses to give it: {refused.description}. "
            "Give the broker more (max_file, nodes), or declare less (deploy/nats/streams.yaml, STREAM_REPLICAS)."
        ) from refused
    log.info("stream widened", stream=slot, what=told)
    return widened


def _is_less(found: float | None, wanted: float) -> bool:
    """Of limits, none and -1 are as much as may be."""
    return found is not None and 0 < found < wanted


def _told(names: Sequence[str], have: StreamConfig, wanted: StreamConfig) -> str:
    return ", ".join(f"{name} is {getattr(have, name)}, declared {getattr(wanted, name)}" for name in names)


def created_of(info: StreamInfo) -> str:
    """When the stream was made: another value means another stream under the same name."""
    return str(info.created)


def is_heartbeat(subject: str) -> bool:
    return subject.endswith(HEARTBEAT_WORDS)


def read_heartbeat(data: bytes) -> Heartbeat:
    return Heartbeat.FromString(data)


def ack_error(data: bytes) -> dict[str, Any] | None:
    """The error of a publish acknowledgement, or None."""
    answer = json.loads(data)
    error: dict[str, Any] | None = answer.get("error")
    return error
