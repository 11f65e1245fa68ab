"""What the broker sends of one stream, from a place of our own choosing on: one long pull whose messages land in a callback.

The consumer is ephemeral and without acknowledgements: the broker's redelivery is never relied on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from servicekit.broker import Broker

PULL_MESSAGES, PULL_BYTES = 1024, 4_000_000
PULL_SECONDS, BEAT_SECONDS = 30, 5
PULL_REQUEST = json.dumps(
    {
        "batch": PULL_MESSAGES,
        "max_bytes": PULL_BYTES,
        "expires": PULL_SECONDS * 1_000_000_000,
        "idle_heartbeat": BEAT_SECONDS * 1_000_000_000,
    }
).encode()


class Reopen(Exception):
    """Read again from our own position."""


class Feed:
    """A stream that is open: what was sent and not looked at yet is bounded by the credit that was given."""

    def __init__(self, client: Client, pull_subject: str) -> None:
        self._client, self._pull_subject = client, pull_subject
        self.inbox = client.new_inbox()
        self._messages: list[Msg] = []
        self._arrived = asyncio.Event()
        self._credit = self._consumer_sequence = 0

    async def put(self, message: Msg) -> None:
        self._messages.append(message)
        self._arrived.set()

    async def take(self, reopen: asyncio.Event) -> list[tuple[Msg, int]]:
        """All that has arrived, each message with its sequence in the stream.

        Raises Reopen when it is asked for or a message is missing, ConnectionError when the broker has nothing to say
        any more: after two missed heartbeats, or because the consumer is gone.
        """
        if self._credit <= PULL_MESSAGES // 2:
            await self._client.publish(self._pull_subject, PULL_REQUEST, reply=self.inbox)
            self._credit += PULL_MESSAGES
        taken: list[tuple[Msg, int]] = []
        for message in await self._wait(reopen):
            numbers = _numbers(message)
            if numbers is None:
                self._hear_status(message)
                continue
            self._credit -= 1
            self._consumer_sequence += 1
            if numbers[1] != self._consumer_sequence:
                raise Reopen
            taken.append((message, numbers[0]))
        return taken

    async def _wait(self, reopen: asyncio.Event) -> list[Msg]:
        for _ in range(BEAT_SECONDS * 2):
            if reopen.is_set():
                raise Reopen
            if not self._messages:
                try:
                    async with asyncio.timeout(1):  # wait_for can lose a cancellation before Python 3.12
                        await self._arrived.wait()
                except TimeoutError:
                    continue
            self._arrived.clear()
            taken, self._messages = self._messages, []
            return taken
        raise ConnectionError("two heartbeats of the broker missed")

    def _hear_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status in ("408", "409"):  # the pull is over; what it had left is told
            self._credit = max(0, self._credit - int(headers.get("Nats-Pending-Messages", str(self._credit))))
        elif status != "100":  # idle heartbeat
            raise ConnectionError(f"consumer gone: {status}")


def _numbers(message: Msg) -> tuple[int, int] | None:
    """(stream sequence, consumer sequence) of a message; None if it is a word of the broker itself."""
    if not message.reply.startswith("$JS.ACK"):
        return None
    tokens = message.reply.split(".")
    if len(tokens) == 9:
        return int(tokens[5]), int(tokens[6])
    found = message.metadata.sequence  # the longer form that names a domain
    return found.stream, found.consumer


@asynccontextmanager
async def opened(broker: Broker, stream: str, start: int) -> AsyncIterator[Feed]:
    """The stream from this sequence on. Raises one of FAULTS."""
    js, client = await broker.jetstream(), await broker.client()
    consumer = await js.add_consumer(
        stream,
        ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(1, start),
            ack_policy=AckPolicy.NONE,
            inactive_threshold=30,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    feed = Feed(client, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer.name}")
    subscription = await client.subscribe(feed.inbox, cb=feed.put, pending_msgs_limit=8192)
    try:
        yield feed
    finally:
        await subscription.unsubscribe()
