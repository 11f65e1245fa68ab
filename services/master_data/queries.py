"""What reads in master data."""

from __future__ import annotations

from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from servicekit import paging
from servicekit.database import Tx
from services.master_data import wire
from services.master_data.store import BILLS_OF_MATERIALS, ITEMS, ROUTINGS


def get_item(tx: Tx, request: messages.GetItemRequest) -> messages.GetItemResponse:
    item = ITEMS.require(tx, request.plant_id, request.item_id)
    return messages.GetItemResponse(item=wire.item_message(item))


def list_items(tx: Tx, request: messages.ListItemsRequest) -> messages.ListItemsResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    items = ITEMS.select(tx, "plant_id = ? AND item_id > ? ORDER BY item_id LIMIT ?", (request.plant_id, after, most))
    last = [items[-1].item_id] if len(items) == most else None
    return messages.ListItemsResponse(items=map(wire.item_message, items), next_page_token=paging.token(request, last))


def get_bill_of_materials(tx: Tx, request: messages.GetBillOfMaterialsRequest) -> messages.GetBillOfMaterialsResponse:
    bill = BILLS_OF_MATERIALS.require(tx, request.plant_id, request.bill_of_materials_id)
    return messages.GetBillOfMaterialsResponse(bill_of_materials=wire.bill_message(bill))


def get_routing(tx: Tx, request: messages.GetRoutingRequest) -> messages.GetRoutingResponse:
    routing = ROUTINGS.require(tx, request.plant_id, request.routing_id)
    return messages.GetRoutingResponse(routing=wire.routing_message(routing))
