"""Production's gRPC servicer: unwrap, call, wrap."""

from __future__ import annotations

from typing import Any

from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceServicer
from servicekit.run import Kit
from services.production import confirmation_use_cases, confirmation_wire, queries, use_cases, wire


class ProductionService(ProductionServiceServicer):
    """Work orders and confirmations."""

    def __init__(self, kit: Kit) -> None:
        self._door, self._database = kit.door, kit.database

    async def ReleaseWorkOrder(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.release_work_order, wire.release_work_order(request))

    async def ChangeWorkOrder(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.change_work_order, wire.change_work_order(request))

    async def CancelWorkOrder(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.cancel_work_order, wire.cancel_work_order(request))

    async def ConfirmOperation(self, request: Any, context: Any) -> Any:
        return await self._door.run(
            confirmation_use_cases.confirm_operation, confirmation_wire.confirm_operation(request)
        )

    async def ImportConfirmations(self, requests: Any, context: Any) -> Any:
        async for message in requests:
            outcomes = await self._door.run_each(
                confirmation_use_cases.confirm_operation, message.requests, confirmation_wire.confirm_operation
            )
            yield confirmation_wire.import_confirmations_response(outcomes)

    async def ReverseConfirmation(self, request: Any, context: Any) -> Any:
        return await self._door.run(
            confirmation_use_cases.reverse_confirmation, confirmation_wire.reverse_confirmation(request)
        )

    async def GetWorkOrder(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_work_order(tx, request))

    async def ListWorkOrders(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_work_orders(tx, request))

    async def ListLines(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_lines(tx, request))

    async def ListConfirmations(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_confirmations(tx, request))
