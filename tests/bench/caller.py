"""The caller of the benchmark, a process of its own: confirmations one a call, or 100 a message.

Their bytes are made before the clock runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import uvloop

from isthmus.production.v1.production_service_pb2 import ImportConfirmationsRequest, ImportConfirmationsResponse
from tests.bench.orders import order_of
from tests.support.requests import a_confirmation

SERVICE = "/isthmus.production.v1.ProductionService/"
IN_FLIGHT = 64
STREAMS = 4  # a client that sends one message after another on each
A_MESSAGE = 100


def confirmations(first: int, many: int) -> list[Any]:
    return [a_confirmation(f"B-{number}", order_of(number), good="1") for number in range(first, first + many)]


async def unary(channel: grpc.aio.Channel, first: int, many: int) -> tuple[float, list[float]]:
    """Seconds in all, and of each call."""
    waiting: Iterator[bytes] = iter([request.SerializeToString() for request in confirmations(first, many)])
    call = channel.unary_unary(f"{SERVICE}ConfirmOperation")
    took: list[float] = []

    async def caller() -> None:
        for request in waiting:
            begun = time.perf_counter()
            await call(request, timeout=60)
            took.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - begun, took


async def stream(channel: grpc.aio.Channel, first: int, many: int) -> tuple[float, list[float]]:
    """Seconds in all, and from one answer of a stream to the next."""
    documents = confirmations(first, many)
    messages = [
        ImportConfirmationsRequest(requests=documents[at : at + A_MESSAGE]).SerializeToString()
        for at in range(0, many, A_MESSAGE)
    ]
    call = channel.stream_stream(f"{SERVICE}ImportConfirmations")
    took: list[float] = []
    answers: list[bytes] = []

    async def said(part: list[bytes]) -> AsyncIterator[bytes]:
        for message in part:
            yield message

    async def caller(part: list[bytes]) -> None:
        begun = time.perf_counter()
        async for answer in call(said(part), timeout=300):
            answers.append(answer)
            took.append(time.perf_counter() - begun)
            begun = time.perf_counter()

    begun = time.perf_counter()
    await asyncio.gather(*(caller(messages[each::STREAMS]) for each in range(STREAMS)))
    seconds = time.perf_counter() - begun
    outcomes = [outcome for answer in answers for outcome in ImportConfirmationsResponse.FromString(answer).outcomes]
    refused = [outcome for outcome in outcomes if not outcome.HasField("response") or outcome.response.replayed]
    assert not refused, refused[0]
    assert len(outcomes) == many
    return seconds, took


async def call(how: str, address: str, first: int, many: int) -> dict[str, float]:
    ways: dict[str, Callable[..., Any]] = {"unary": unary, "stream": stream}
    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 10)
        seconds, took = await ways[how](channel, first, many)
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"seconds": seconds, "p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("how", "address"):
        parser.add_argument(name)
    for name in ("first", "many"):
        parser.add_argument(name, type=int)
    asked = parser.parse_args()
    print(json.dumps(uvloop.run(call(asked.how, asked.address, asked.first, asked.many))))


if __name__ == "__main__":
    main()
