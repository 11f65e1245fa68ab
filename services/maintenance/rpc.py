"""Maintenance's gRPC servicer: unwrap, call, wrap."""

from __future__ import annotations

from typing import Any

from isthmus.maintenance.v1.maintenance_service_pb2_grpc import MaintenanceServiceServicer
from servicekit.run import Kit
from services.maintenance import queries, use_cases, wire


class MaintenanceService(MaintenanceServiceServicer):
    """Assets, condition rules and work requests."""

    def __init__(self, kit: Kit) -> None:
        self._door, self._database = kit.door, kit.database

    async def RecordAsset(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_asset, wire.record_asset(request))

    async def RecordConditionRule(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_condition_rule, wire.record_condition_rule(request))

    async def OpenWorkRequest(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.open_work_request, wire.open_work_request(request))

    async def CompleteWorkRequest(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.complete_work_request, wire.complete_work_request(request))

    async def GetAsset(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_asset(tx, request))

    async def ListAssets(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_assets(tx, request))

    async def GetConditionRule(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_condition_rule(tx, request))

    async def ListConditionRules(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_condition_rules(tx, request))

    async def GetWorkRequest(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_work_request(tx, request))

    async def ListWorkRequests(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_work_requests(tx, request))

    async def ListDowntimes(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_downtimes(tx, request))
