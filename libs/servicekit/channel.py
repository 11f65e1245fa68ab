"""Channels to other services."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000))


def channel(address: str, options: Sequence[tuple[str, int | str]] = ()) -> grpc.aio.Channel:
    """Connects when it is first used, and again by itself: about a second after its service is back, at the latest.

    gRPC on its own waits ever longer, up to two minutes, and refuses all calls meanwhile as if nobody was there.
    """
    return grpc.aio.insecure_channel(address, options=(*RECONNECT, *options))
