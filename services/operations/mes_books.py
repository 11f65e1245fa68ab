"""One look at a plant's MES and at what production booked of its reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isthmus.edge.v1 import edge_service_pb2 as edge
from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceStub
from isthmus.operations.v1 import lane_service_pb2 as lanes
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from isthmus.production.v1 import production_service_pb2 as production
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from servicekit import clock
from servicekit.channel import channel
from servicekit.wire import time_of
from services.operations import order_wire
from services.operations.domain import order_comparison as domain
from services.operations.domain.order_comparison import OrderVariance, Way
from services.operations.domain.reconciliation import Reconciliation, Standing
from services.operations.pages import DEADLINE, pages


@dataclass(frozen=True, slots=True)
class OrderLook:
    """What one look at the MES and production showed. `heard_time` is how far production had heard of the plant."""

    variances: list[OrderVariance]
    read: Mapping[str, int]  # lines by system
    compared: int
    heard_time: datetime | None = None


NOTHING = OrderLook([], {}, 0)  # the plant's MES is not asked


@dataclass(frozen=True, slots=True)
class MesBooks:
    """A plant's bridge, and production."""

    bridge: Any
    bridge_lanes: Any
    production: Any
    production_lanes: Any

    @classmethod
    def connect(cls, bridge_at: str, production_at: str) -> MesBooks:
        at_bridge, at_production = channel(bridge_at), channel(production_at)
        return cls(
            EdgeServiceStub(at_bridge),
            LaneServiceStub(at_bridge),
            ProductionServiceStub(at_production),
            LaneServiceStub(at_production),
        )

    async def look(self, begun: Reconciliation, before: OrderLook | None) -> OrderLook:
        """In the order in which reports go: the MES first, production last, or a report could slip through between."""
        plant_id, system_id = begun.plant_id, f"mes-{begun.plant_id}"
        wanted = edge.ListMesConfirmationsRequest(plant_id=plant_id)
        said = [
            order_wire.report(one) for one in await pages(self.bridge.ListMesConfirmations, wanted, "confirmations")
        ]
        status = await self.bridge.GetEdgeStatus(edge.GetEdgeStatusRequest(), timeout=DEADLINE)
        backlog = time_of(status.oldest_backlog_time) if status.HasField("oldest_backlog_time") else None
        way = Way(clock.now(), backlog, await self._lanes(system_id), before.heard_time if before is not None else None)
        request = production.ListConfirmationsRequest(plant_id=plant_id)
        listed = await pages(self.production.ListConfirmations, request, "confirmations")
        booked = domain.booked_of(map(order_wire.confirmed, listed), system_id)
        reports = domain.folded(said)
        return OrderLook(
            domain.compare(reports, booked, way, begun, system_id),
            {"production": len(booked), system_id: len(said)},
            len({(r.order_id, r.operation_sequence) for r in reports.values()}),
            domain.heard_to(reports, booked),
        )

    async def _lanes(self, system_id: str) -> dict[str, Standing]:
        """Lanes that hold reports: of the bridge by what it keeps an MES order in order by, of production by work order."""
        found: dict[str, Standing] = {}
        for desk, consumer in ((self.bridge_lanes, system_id), (self.production_lanes, "production")):
            held = await pages(desk.ListLanes, lanes.ListLanesRequest(), "lanes")
            found |= {lane.order_key: order_wire.standing(lane) for lane in held if lane.consumer == consumer}
        return found
