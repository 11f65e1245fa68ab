"""Operations' gRPC servicer: reading only."""

from __future__ import annotations

from typing import Any

from isthmus.operations.v1.operations_service_pb2_grpc import OperationsServiceServicer
from servicekit.run import Kit
from services.operations import queries


class OperationsService(OperationsServiceServicer):
    """Timelines, spans and variances."""

    def __init__(self, kit: Kit) -> None:
        self._database = kit.database

    async def FindOrders(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.find_orders(tx, request))

    async def GetTimeline(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_timeline(tx, request))

    async def ListSpans(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_spans(tx, request))

    async def ListVariances(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_variances(tx, request))
