"""Master data's gRPC servicer: unwrap, call, wrap."""

from __future__ import annotations

from typing import Any

from isthmus.masterdata.v1.masterdata_service_pb2_grpc import MasterDataServiceServicer
from servicekit.run import Kit
from services.master_data import queries, use_cases, wire


class MasterDataService(MasterDataServiceServicer):
    """Items, bills of materials, routings, partners and resources, who owns them, and what others call them."""

    def __init__(self, kit: Kit) -> None:
        self._door, self._database = kit.door, kit.database

    async def RecordItem(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_item, wire.record_item(request))

    async def RecordBillOfMaterials(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_bill_of_materials, wire.record_bill_of_materials(request))

    async def RecordRouting(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_routing, wire.record_routing(request))

    async def RecordPartner(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_partner, wire.record_partner(request))

    async def RecordResource(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_resource, wire.record_resource(request))

    async def RecordInventoryPolicy(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_inventory_policy, wire.record_inventory_policy(request))

    async def RecordOwnershipRule(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_ownership_rule, wire.record_ownership_rule(request))

    async def DecideOwnershipRefusal(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.decide_ownership_refusal, wire.decide_refusal(request))

    async def RecordForeignId(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_foreign_id, wire.record_foreign_id(request))

    async def RecordUnitConversion(self, request: Any, context: Any) -> Any:
        return await self._door.run(use_cases.record_unit_conversion, wire.record_unit_conversion(request))

    async def GetItem(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_item(tx, request))

    async def ListItems(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_items(tx, request))

    async def GetBillOfMaterials(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_bill_of_materials(tx, request))

    async def ListBillsOfMaterials(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_bills_of_materials(tx, request))

    async def GetRouting(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_routing(tx, request))

    async def GetPartner(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_partner(tx, request))

    async def ListPartners(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_partners(tx, request))

    async def GetResource(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_resource(tx, request))

    async def ListResources(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_resources(tx, request))

    async def GetInventoryPolicy(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_inventory_policy(tx, request))

    async def ListInventoryPolicies(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_inventory_policies(tx, request))

    async def ListOwnershipRules(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_ownership_rules(tx, request))

    async def ListOwnershipRefusals(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_ownership_refusals(tx, request))

    async def GetForeignId(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_foreign_id(tx, request))

    async def ListForeignIds(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.list_foreign_ids(tx, request))

    async def GetConvertedQuantity(self, request: Any, context: Any) -> Any:
        return await self._database.read(lambda tx: queries.get_converted_quantity(tx, request))
