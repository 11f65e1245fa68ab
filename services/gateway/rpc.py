"""The gateway's gRPC servicer: which ERP each plant is on, and what partners' books say."""

from __future__ import annotations

from typing import Any

from isthmus.gateway.v1 import gateway_service_pb2 as messages
from isthmus.gateway.v1.gateway_service_pb2_grpc import GatewayServiceServicer
from servicekit import paging
from servicekit.wire import timestamp
from services.gateway import books
from services.gateway.follower import Binding


class GatewayService(GatewayServiceServicer):
    """ERP bindings and partners' books."""

    def __init__(self, bindings: dict[str, Binding], partners: books.Books) -> None:
        self._bindings, self._partners = bindings, partners

    async def ListPartnerBookings(self, request: Any, context: Any) -> messages.ListPartnerBookingsResponse:
        return await books.list_bookings(self._partners, request)

    async def ListPartnerStocks(self, request: Any, context: Any) -> messages.ListPartnerStocksResponse:
        return await books.list_stocks(self._partners, request)

    async def ListErpBindings(self, request: Any, context: Any) -> messages.ListErpBindingsResponse:
        (after,) = paging.after(request) or [""]
        most = paging.size(request)
        plants = sorted(plant for plant in self._bindings if plant > after)
        response = messages.ListErpBindingsResponse()
        for plant in plants[:most]:
            one = self._bindings[plant]
            binding = response.bindings.add(
                plant_id=plant,
                family=one.family,
                release=one.release,
                is_connected=one.is_connected,
                last_error=one.last_error,
            )
            if one.last_poll_time is not None:
                binding.last_poll_time.CopyFrom(timestamp(one.last_poll_time))
        response.next_page_token = paging.token(request, [plants[most - 1]] if len(plants) > most else None)
        return response
