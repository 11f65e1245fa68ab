"""The bare server that calls are compared with: it reads a confirmation and says it back; no rule, no database, no trace."""

from __future__ import annotations

import argparse
from typing import Any

import grpc
import uvloop

from isthmus.production.v1.production_service_pb2 import ConfirmOperationResponse
from isthmus.production.v1.production_service_pb2_grpc import (
    ProductionServiceServicer,
    add_ProductionServiceServicer_to_server,
)


class Echo(ProductionServiceServicer):
    async def ConfirmOperation(self, request: Any, context: Any) -> ConfirmOperationResponse:
        return ConfirmOperationResponse(confirmation=request.confirmation)


async def serve(address: str) -> None:
    server = grpc.aio.server()
    add_ProductionServiceServicer_to_server(Echo(), server)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    uvloop.run(serve(parser.parse_args().address))


if __name__ == "__main__":
    main()
