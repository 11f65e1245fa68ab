"""What changes something in master data."""

from __future__ import annotations

from datetime import datetime

from isthmus.masterdata.v1 import masterdata_events_pb2 as events
from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from servicekit.use_case import Decision, Fingerprint, Seen, UseCase
from services.master_data import wire
from services.master_data.store import BILLS_OF_MATERIALS, ITEMS, ROUTINGS


def decide_item(seen: Seen, command: wire.RecordItem, now: datetime) -> Decision:
    """Record an item, and say so if anything differs."""
    said = command.item
    before = seen.get(ITEMS.key(said.plant_id, said.item_id))
    item = said.recorded_over(before)
    message = wire.item_message(item)
    answer = messages.RecordItemResponse(item=message)
    if item is before:
        return Decision(answer=answer)
    fact = wire.fact(events.ItemChanged(item=message), item.plant_id, "item", item.item_id, now, command.business_key)
    return Decision(changed=[item], facts=[fact], answer=answer)


record_item = UseCase(
    name="record_item",
    loads=lambda c, seen: [ITEMS.key(c.item.plant_id, c.item.item_id)],
    decide=decide_item,
    fingerprint=Fingerprint.of("item"),
    answers=messages.RecordItemResponse,
)


def decide_bill(seen: Seen, command: wire.RecordBillOfMaterials, now: datetime) -> Decision:
    """Record a bill of materials of items that are recorded, and say so if anything differs."""
    said = command.bill
    for item_id in (said.item_id, *(component.item_id for component in said.components)):
        seen.one(ITEMS.shared(said.plant_id, item_id))
    before = seen.get(BILLS_OF_MATERIALS.key(said.plant_id, said.bill_of_materials_id))
    bill = said.recorded_over(before)
    message = wire.bill_message(bill)
    answer = messages.RecordBillOfMaterialsResponse(bill_of_materials=message)
    if bill is before:
        return Decision(answer=answer)
    released = events.BillOfMaterialsReleased(bill_of_materials=message)
    key = command.business_key
    fact = wire.fact(released, bill.plant_id, "bill_of_materials", bill.bill_of_materials_id, now, key)
    return Decision(changed=[bill], facts=[fact], answer=answer)


record_bill_of_materials = UseCase(
    name="record_bill_of_materials",
    loads=lambda c, seen: [
        BILLS_OF_MATERIALS.key(c.bill.plant_id, c.bill.bill_of_materials_id),
        *(ITEMS.shared(c.bill.plant_id, i) for i in (c.bill.item_id, *(p.item_id for p in c.bill.components))),
    ],
    decide=decide_bill,
    fingerprint=Fingerprint.of("bill"),
    answers=messages.RecordBillOfMaterialsResponse,
)


def decide_routing(seen: Seen, command: wire.RecordRouting, now: datetime) -> Decision:
    """Record the routing of an item that is recorded, and say so if anything differs."""
    said = command.routing
    seen.one(ITEMS.shared(said.plant_id, said.item_id))
    before = seen.get(ROUTINGS.key(said.plant_id, said.routing_id))
    routing = said.recorded_over(before)
    message = wire.routing_message(routing)
    answer = messages.RecordRoutingResponse(routing=message)
    if routing is before:
        return Decision(answer=answer)
    released = events.RoutingReleased(routing=message)
    fact = wire.fact(released, routing.plant_id, "routing", routing.routing_id, now, command.business_key)
    return Decision(changed=[routing], facts=[fact], answer=answer)


record_routing = UseCase(
    name="record_routing",
    loads=lambda c, seen: [
        ROUTINGS.key(c.routing.plant_id, c.routing.routing_id),
        ITEMS.shared(c.routing.plant_id, c.routing.item_id),
    ],
    decide=decide_routing,
    fingerprint=Fingerprint.of("routing"),
    answers=messages.RecordRoutingResponse,
)
