"""Operations' gRPC servicer: unwrap, call, wrap."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from isthmus.operations.v1.operations_service_pb2_grpc import OperationsServiceServicer
from servicekit.run import Kit
from services.operations import kpis, queries, sla_queries, use_cases, wire
from services.operations.changes import Changes
from services.operations.interfaces import Interfaces


class OperationsService(OperationsServiceServicer):
    """Timelines, spans, variances, reconciliations and the time of interfaces."""

    def __init__(self, kit: Kit, interfaces: Interfaces, changes: Changes) -> None:
        self._changes = changes
        self._door, self._database = kit.door, kit.database
        self._plants, self._interfaces = kit.settings.plants, interfaces
        self._kpi_interval = timedelta(seconds=kit.settings.kpi_seconds)

    async def FindOrders(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.find_orders(tx, request))

    async def GetTimeline(self, request: Any, context: Any) -> Any:
        known = {one.interface_id: one for one in self._interfaces.all}
        return await self._database.read(lambda tx: queries.get_timeline(tx, request, known))

    async def ListSpans(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_spans(tx, request))

    async def ListVariances(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_variances(tx, request))

    async def ReconcilePlant(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.reconcile_plant, wire.reconcile_plant(request))

    async def GetReconciliation(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_reconciliation(tx, request))

    async def ListReconciliations(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_reconciliations(tx, request))

    async def ListStockVariances(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_stock_variances(tx, request))

    async def ListOrderVariances(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_order_variances(tx, request))

    async def ListInterfaces(self, request: Any, context: Any) -> Any:
        every = [(plant_id, one) for plant_id in sorted(self._plants) for one in self._interfaces.all]
        return await self._database.read(lambda tx: sla_queries.list_interfaces(tx, request, every))

    async def ListKpis(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: kpis.list_kpis(tx, request, self._kpi_interval))

    async def WatchChanges(self, request: Any, context: Any) -> Any:
        return await self._changes.after(request)
