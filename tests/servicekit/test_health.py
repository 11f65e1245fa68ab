"""The probe says what the service says, and never hangs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from servicekit.health import main
from tests.support.ports import free_port


@pytest.fixture
def server() -> Iterator[tuple[str, health.HealthServicer]]:
    """A gRPC server with the health service and nothing else."""
    served, told = grpc.server(ThreadPoolExecutor(2)), health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(told, served)
    address = f"127.0.0.1:{served.add_insecure_port('127.0.0.1:0')}"
    served.start()
    yield address, told
    served.stop(0).wait()


def test_a_service_that_serves_gives_exit_code_0(server: tuple[str, health.HealthServicer]) -> None:
    address, _ = server
    assert main([address]) == 0


def test_a_service_that_is_stopping_gives_exit_code_1(server: tuple[str, health.HealthServicer]) -> None:
    address, told = server
    told.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert main([address]) == 1


def test_nothing_at_the_address_gives_exit_code_1() -> None:
    assert main([f"127.0.0.1:{free_port()}"]) == 1


def test_the_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "python -m servicekit.health 127.0.0.1:" in capsys.readouterr().out
