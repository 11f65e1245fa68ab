"""Inventory's gRPC servicer: unwrap, call, wrap."""

from __future__ import annotations

from typing import Any

from isthmus.inventory.v1.inventory_service_pb2_grpc import InventoryServiceServicer
from servicekit.run import Kit
from services.inventory import hold_use_cases, hold_wire, queries, stock_use_cases, stock_wire, use_cases, wire


class InventoryService(InventoryServiceServicer):
    """Stock, receipts and shipments."""

    def __init__(self, kit: Kit) -> None:
        self._door, self._database = kit.door, kit.database

    async def OpenStock(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.open_stock, wire.open_stock(request))

    async def ConfirmReceipt(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.confirm_receipt, wire.confirm_receipt(request))

    async def AdviseShipment(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.advise_shipment, wire.advise_shipment(request))

    async def ConfirmShipment(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.confirm_shipment, wire.confirm_shipment(request))

    async def HoldLot(self, request: Any, context: Any) -> Any:
        return await self._door.run(hold_use_cases.hold_lot, hold_wire.hold_lot(request))

    async def ReleaseLot(self, request: Any, context: Any) -> Any:
        return await self._door.run(hold_use_cases.release_lot, hold_wire.release_lot(request))

    async def AdjustStock(self, request: Any, context: Any) -> Any:
        return await self._door.run(stock_use_cases.adjust_stock, stock_wire.adjust_stock(request))

    async def TransferStock(self, request: Any, context: Any) -> Any:
        return await self._door.run(stock_use_cases.transfer_stock, stock_wire.transfer_stock(request))

    async def ListHolds(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_holds(tx, request))

    async def ListAllocations(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_allocations(tx, request))

    async def GetShipment(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_shipment(tx, request))

    async def ListStock(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_stock(tx, request))

    async def ListMaterialAvailabilities(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_material_availabilities(tx, request))

    async def ListInventoryTransactions(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_inventory_transactions(tx, request))
