"""What reads in master data."""

from __future__ import annotations

from typing import Any, TypeVar

from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from servicekit import paging
from servicekit.database import Tx
from servicekit.rows import Rows
from servicekit.wire import date_of, quantity_message, quantity_of
from services.master_data import wire
from services.master_data.domain.unit_conversion import UnitConversionUnknown, pair_of
from services.master_data.store import (
    BILLS_OF_MATERIALS,
    FOREIGN_IDS,
    INVENTORY_POLICIES,
    ITEMS,
    OWNERSHIP_REFUSALS,
    OWNERSHIP_RULES,
    PARTNERS,
    RESOURCES,
    ROUTINGS,
    UNIT_CONVERSIONS,
)

N = TypeVar("N")


def _page(tx: Tx, rows: Rows[N], request: Any, where: str = "", *parameters: str) -> tuple[list[N], str]:
    """A plant's nouns by their id, and the token of those that follow."""
    most, noun_id = paging.size(request), rows.key_columns[1]
    (after,) = paging.after(request) or [""]
    where = f"plant_id = ? AND {noun_id} > ? {where} ORDER BY {noun_id} LIMIT ?"
    found = rows.select(tx, where, (request.plant_id, after, *parameters, most))
    last = [rows.key_of(found[-1])[1]] if len(found) == most else None
    return found, paging.token(request, last)


def get_item(tx: Tx, request: messages.GetItemRequest) -> messages.GetItemResponse:
    item = ITEMS.require(tx, request.plant_id, request.item_id)
    return messages.GetItemResponse(item=wire.item_message(item))


def list_items(tx: Tx, request: messages.ListItemsRequest) -> messages.ListItemsResponse:
    items, token = _page(tx, ITEMS, request)
    return messages.ListItemsResponse(items=map(wire.item_message, items), next_page_token=token)


def get_bill_of_materials(tx: Tx, request: messages.GetBillOfMaterialsRequest) -> messages.GetBillOfMaterialsResponse:
    bill = BILLS_OF_MATERIALS.require(tx, request.plant_id, request.bill_of_materials_id)
    return messages.GetBillOfMaterialsResponse(bill_of_materials=wire.bill_message(bill))


def list_bills_of_materials(
    tx: Tx, request: messages.ListBillsOfMaterialsRequest
) -> messages.ListBillsOfMaterialsResponse:
    """Days are kept as ISO text, so that text is in the order of days; empty is before all of them."""
    item_id, day = request.item_id, date_of(request, "on_date")
    where, parameters = "", []
    if item_id:
        where, parameters = "AND item_id = ?", [item_id]
    if day is not None:
        where += " AND effective_start_date <= ? AND (effective_end_date = '' OR effective_end_date >= ?)"
        parameters += [day.isoformat()] * 2
    bills, token = _page(tx, BILLS_OF_MATERIALS, request, where, *parameters)
    return messages.ListBillsOfMaterialsResponse(
        bills_of_materials=map(wire.bill_message, bills), next_page_token=token
    )


def get_routing(tx: Tx, request: messages.GetRoutingRequest) -> messages.GetRoutingResponse:
    routing = ROUTINGS.require(tx, request.plant_id, request.routing_id)
    return messages.GetRoutingResponse(routing=wire.routing_message(routing))


def get_partner(tx: Tx, request: messages.GetPartnerRequest) -> messages.GetPartnerResponse:
    partner = PARTNERS.require(tx, request.plant_id, request.partner_id)
    return messages.GetPartnerResponse(partner=wire.partner_message(partner))


def list_partners(tx: Tx, request: messages.ListPartnersRequest) -> messages.ListPartnersResponse:
    partners, token = _page(tx, PARTNERS, request)
    return messages.ListPartnersResponse(partners=map(wire.partner_message, partners), next_page_token=token)


def get_resource(tx: Tx, request: messages.GetResourceRequest) -> messages.GetResourceResponse:
    resource = RESOURCES.require(tx, request.plant_id, request.resource_id)
    return messages.GetResourceResponse(resource=wire.resource_message(resource))


def list_resources(tx: Tx, request: messages.ListResourcesRequest) -> messages.ListResourcesResponse:
    resources, token = _page(tx, RESOURCES, request)
    return messages.ListResourcesResponse(resources=map(wire.resource_message, resources), next_page_token=token)


def get_inventory_policy(tx: Tx, request: messages.GetInventoryPolicyRequest) -> messages.GetInventoryPolicyResponse:
    policy = INVENTORY_POLICIES.require(tx, request.plant_id, request.item_id)
    return messages.GetInventoryPolicyResponse(inventory_policy=wire.inventory_policy_message(policy))


def list_inventory_policies(
    tx: Tx, request: messages.ListInventoryPoliciesRequest
) -> messages.ListInventoryPoliciesResponse:
    policies, token = _page(tx, INVENTORY_POLICIES, request)
    said = map(wire.inventory_policy_message, policies)
    return messages.ListInventoryPoliciesResponse(inventory_policies=said, next_page_token=token)


def list_ownership_rules(tx: Tx, request: messages.ListOwnershipRulesRequest) -> messages.ListOwnershipRulesResponse:
    most = paging.size(request)
    after = paging.after(request) or ["", "", ""]
    by = "entity_type, plant_id, field_name"
    rules = OWNERSHIP_RULES.select(tx, f"({by}) > (?, ?, ?) ORDER BY {by} LIMIT ?", (*after, most))
    last = list(OWNERSHIP_RULES.key_of(rules[-1])) if len(rules) == most else None
    return messages.ListOwnershipRulesResponse(
        ownership_rules=map(wire.rule_message, rules), next_page_token=paging.token(request, last)
    )


def list_ownership_refusals(
    tx: Tx, request: messages.ListOwnershipRefusalsRequest
) -> messages.ListOwnershipRefusalsResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    state = wire.STATE_OF.get(request.state, "")
    where = "plant_id = ? AND refusal_id > ? AND (? = '' OR state = ?) ORDER BY refusal_id LIMIT ?"
    refusals = OWNERSHIP_REFUSALS.select(tx, where, (request.plant_id, after, state, state, most))
    last = [refusals[-1].refusal_id] if len(refusals) == most else None
    return messages.ListOwnershipRefusalsResponse(
        ownership_refusals=map(wire.refusal_message, refusals), next_page_token=paging.token(request, last)
    )


def get_foreign_id(tx: Tx, request: messages.GetForeignIdRequest) -> messages.GetForeignIdResponse:
    kind = wire.ENTITY_TYPE_OF[request.entity_type]
    found = FOREIGN_IDS.require(tx, request.plant_id, kind, request.source_system, request.foreign_id)
    return messages.GetForeignIdResponse(foreign_id=wire.foreign_id_message(found))


def list_foreign_ids(tx: Tx, request: messages.ListForeignIdsRequest) -> messages.ListForeignIdsResponse:
    most = paging.size(request)
    after = paging.after(request) or ["", "", ""]
    by = "entity_type, source_system, foreign_id"
    where = f"plant_id = ? AND ({by}) > (?, ?, ?) ORDER BY {by} LIMIT ?"
    found = FOREIGN_IDS.select(tx, where, (request.plant_id, *after, most))
    last = list(FOREIGN_IDS.key_of(found[-1])[1:]) if len(found) == most else None
    return messages.ListForeignIdsResponse(
        foreign_ids=map(wire.foreign_id_message, found), next_page_token=paging.token(request, last)
    )


def get_converted_quantity(
    tx: Tx, request: messages.GetConvertedQuantityRequest
) -> messages.GetConvertedQuantityResponse:
    """By the item's own rule, else by the plant's."""
    quantity, to_unit = quantity_of(request.quantity), request.to_unit_code
    if quantity.unit_code != to_unit:
        where = "plant_id = ? AND item_id IN (?, '') AND units = ? ORDER BY item_id DESC LIMIT 1"
        units = pair_of(quantity.unit_code, to_unit)
        rules = UNIT_CONVERSIONS.select(tx, where, (request.plant_id, request.item_id, units))
        if not rules:
            raise UnitConversionUnknown(
                plant_id=request.plant_id,
                item_id=request.item_id,
                from_unit_code=quantity.unit_code,
                to_unit_code=to_unit,
            )
        quantity = rules[0].converted(quantity)
    return messages.GetConvertedQuantityResponse(quantity=quantity_message(quantity))
