"""Quality's gRPC servicer: unwrap, call, wrap."""

from __future__ import annotations

from typing import Any

from isthmus.quality.v1.quality_service_pb2_grpc import QualityServiceServicer
from servicekit.run import Kit
from services.quality import queries, use_cases, wire


class QualityService(QualityServiceServicer):
    """Test specifications, inspections and nonconformances."""

    def __init__(self, kit: Kit) -> None:
        self._door, self._database = kit.door, kit.database

    async def RecordTestSpecification(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_test_specification, wire.record_test_specification(request))

    async def RegisterSample(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.register_sample, wire.register_sample(request))

    async def RecordTestResult(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_test_result, wire.record_test_result(request))

    async def RecordHistorianEvidence(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_historian_evidence, wire.record_evidence(request))

    async def RecordVerdict(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_verdict, wire.record_verdict(request))

    async def GetTestSpecification(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_test_specification(tx, request))

    async def ListTestSpecifications(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_test_specifications(tx, request))

    async def GetInspection(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_inspection(tx, request))

    async def ListInspections(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_inspections(tx, request))

    async def ListNonconformances(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_nonconformances(tx, request))
