"""Master data's words on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from isthmus.masterdata.v1 import bill_of_materials_pb2, item_pb2, masterdata_service_pb2, routing_pb2
from servicekit.domain import BusinessKey, Quantity, plain
from servicekit.use_case import Fact
from servicekit.wire import duration_message, key_of_message, quantity_message, quantity_of, seconds_of
from services.master_data.domain.item import Item
from services.master_data.domain.recipe import BillOfMaterials, Component, Routing, RoutingOperation


@dataclass(frozen=True, slots=True)
class RecordItem:
    business_key: BusinessKey
    item: Item


@dataclass(frozen=True, slots=True)
class RecordBillOfMaterials:
    business_key: BusinessKey
    bill: BillOfMaterials


@dataclass(frozen=True, slots=True)
class RecordRouting:
    business_key: BusinessKey
    routing: Routing


def record_item(request: masterdata_service_pb2.RecordItemRequest) -> RecordItem:
    said = request.item
    item = Item(request.plant_id, said.item_id, said.description, said.unit_code, said.is_lot_tracked)
    return RecordItem(key_of_message(request.business_key), item)


def record_bill_of_materials(request: masterdata_service_pb2.RecordBillOfMaterialsRequest) -> RecordBillOfMaterials:
    said = request.bill_of_materials
    bill = BillOfMaterials(
        request.plant_id,
        said.bill_of_materials_id,
        said.item_id,
        said.revision,
        quantity_of(said.output_quantity),
        tuple(Component(c.item_id, quantity_of(c.quantity)) for c in said.components),
    )
    return RecordBillOfMaterials(key_of_message(request.business_key), bill)


def record_routing(request: masterdata_service_pb2.RecordRoutingRequest) -> RecordRouting:
    said = request.routing
    operations = tuple(
        RoutingOperation(
            o.sequence,
            o.description,
            o.work_centre_id,
            plain(seconds_of(o.labour_standard).value) if o.HasField("labour_standard") else "",
        )
        for o in said.operations
    )
    routing = Routing(request.plant_id, said.routing_id, said.item_id, operations)
    return RecordRouting(key_of_message(request.business_key), routing)


def item_message(item: Item) -> item_pb2.Item:
    return item_pb2.Item(
        item_id=item.item_id,
        description=item.description,
        unit_code=item.unit_code,
        is_lot_tracked=item.is_lot_tracked,
        etag=str(item.version),
    )


def bill_message(bill: BillOfMaterials) -> bill_of_materials_pb2.BillOfMaterials:
    message = bill_of_materials_pb2.BillOfMaterials(
        bill_of_materials_id=bill.bill_of_materials_id,
        item_id=bill.item_id,
        revision=bill.revision,
        output_quantity=quantity_message(bill.output),
        etag=str(bill.version),
    )
    for component in bill.components:
        message.components.add(item_id=component.item_id, quantity=quantity_message(component.quantity))
    return message


def routing_message(routing: Routing) -> routing_pb2.Routing:
    message = routing_pb2.Routing(routing_id=routing.routing_id, item_id=routing.item_id, etag=str(routing.version))
    for operation in routing.operations:
        said = message.operations.add(
            sequence=operation.sequence,
            description=operation.description,
            work_centre_id=operation.work_centre_id,
        )
        if operation.labour_seconds:
            said.labour_standard.CopyFrom(duration_message(Quantity(Decimal(operation.labour_seconds), "SEC")))
    return message


def fact(data: Any, plant_id: str, noun: str, noun_id: str, now: datetime, key: BusinessKey | None = None) -> Fact:
    """Facts of master data are kept in order by noun and id."""
    return Fact(data, plant_id, f"{noun}:{noun_id}", noun_id, now, key)
