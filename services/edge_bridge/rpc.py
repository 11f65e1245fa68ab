"""The edge bridge's gRPC servicer: unwrap, call, wrap."""

from __future__ import annotations

import asyncio
from typing import Any

from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceServicer
from servicekit import clock
from servicekit.run import Kit
from services.edge_bridge import books, queries, use_cases, wire
from services.edge_bridge.driver import Connectors


class EdgeService(EdgeServiceServicer):
    """The door in the plant."""

    def __init__(self, kit: Kit, connectors: Connectors) -> None:
        self._kit, self._connectors = kit, connectors

    async def ConfirmOperation(self, request: Any, context: Any) -> Any:
        return await self._kit.door.run(use_cases.confirm_operation, wire.confirmation(request))

    async def ReverseConfirmation(self, request: Any, context: Any) -> Any:
        return await self._kit.door.run(use_cases.reverse_confirmation, wire.reversal(request, clock.now()))

    async def GetEdgeStatus(self, request: Any, context: Any) -> Any:
        plant_id, health = self._kit.settings.plant_id, list(self._connectors.health.values())
        broker = self._kit.broker
        link = queries.Link(broker.is_connected, broker.change_time)
        disk = await asyncio.to_thread(queries.disk_of, self._kit.database)
        telemetry = self._connectors.telemetry
        return await self._kit.database.read(
            lambda tx: queries.edge_status(tx, plant_id, health, telemetry, link, disk)
        )

    async def ListMesConfirmations(self, request: Any, context: Any) -> Any:
        plant_id = self._kit.settings.plant_id
        return await books.list_mes_confirmations(self._kit.database, self._connectors.mes, plant_id, request)
