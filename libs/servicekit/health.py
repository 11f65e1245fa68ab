"""Asks a service whether it serves, with nothing but Python: for health checks of containers and for supervisors."""

from __future__ import annotations

import argparse

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ADDRESS = "127.0.0.1:50051"  # where a service listens in its container
EXAMPLE = "example: python -m servicekit.health 127.0.0.1:18402 && echo production serves"


def is_serving(address: str, timeout: float = 1.0) -> bool:
    """Whether the service at host:port says SERVING within `timeout` seconds."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main(arguments: list[str] | None = None) -> int:
    """0 if it serves, else 1."""
    parser = argparse.ArgumentParser(
        "python -m servicekit.health", description="Exit code 0 if the service serves, else 1.", epilog=EXAMPLE
    )
    parser.add_argument("address", nargs="?", default=ADDRESS, help="host:port of its gRPC server (%(default)s)")
    return 0 if is_serving(parser.parse_args(arguments).address, timeout=3.0) else 1


if __name__ == "__main__":
    raise SystemExit(main())
