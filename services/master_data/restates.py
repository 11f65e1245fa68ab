"""Master data said again for a reader that is added later: items before what refers to them."""

from __future__ import annotations

from datetime import datetime

from isthmus.masterdata.v1 import masterdata_events_pb2 as events
from servicekit.database import Tx
from servicekit.restate import Restates
from servicekit.use_case import Fact
from services.master_data import wire
from services.master_data.domain.item import Item
from services.master_data.domain.recipe import BillOfMaterials, Routing
from services.master_data.store import BILLS_OF_MATERIALS, ITEMS, ROUTINGS


def item(_tx: Tx, item: Item, now: datetime) -> Fact:
    return wire.fact(events.ItemChanged(item=wire.item_message(item)), item.plant_id, "item", item.item_id, now)


def bill_of_materials(_tx: Tx, bill: BillOfMaterials, now: datetime) -> Fact:
    data = events.BillOfMaterialsReleased(bill_of_materials=wire.bill_message(bill))
    return wire.fact(data, bill.plant_id, "bill_of_materials", bill.bill_of_materials_id, now)


def routing(_tx: Tx, routing: Routing, now: datetime) -> Fact:
    data = events.RoutingReleased(routing=wire.routing_message(routing))
    return wire.fact(data, routing.plant_id, "routing", routing.routing_id, now)


RESTATES = (Restates(ITEMS, item), Restates(BILLS_OF_MATERIALS, bill_of_materials), Restates(ROUTINGS, routing))
