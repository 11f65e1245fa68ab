"""Materials on the wire and in the domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.edge.v1.mes_postings_pb2 import TellMaterial
from isthmus.inventory.v1.inventory_events_pb2 import MaterialAvailabilityChanged
from isthmus.masterdata.v1.masterdata_events_pb2 import InventoryPolicyChanged
from servicekit.domain import Quantity
from servicekit.facts import EventMeta
from servicekit.use_case import PlannedPosting
from servicekit.wire import quantity_message, quantity_of
from services.edge_bridge.domain.material import Material

TELL_MATERIAL = "tell_material"


@dataclass(frozen=True, slots=True)
class NoteMaterial:
    """Something that the MES is to know of an item, by the names of `Material`."""

    item_id: str
    plant_id: str
    said: Mapping[str, Quantity | None]


def note_availability(event: MaterialAvailabilityChanged, meta: EventMeta) -> NoteMaterial:
    now = event.material_availability
    said = {"on_hand": quantity_of(now.on_hand), "available": quantity_of(now.available)}
    return NoteMaterial(now.item_id, meta.plant_id, said)


def note_policy(event: InventoryPolicyChanged, meta: EventMeta) -> NoteMaterial:
    """One that is retired wants nothing any more."""
    policy = event.inventory_policy
    is_said = not policy.is_retired
    safety = quantity_of(policy.safety_stock) if is_said and policy.HasField("safety_stock") else None
    reorder = quantity_of(policy.reorder_point) if is_said and policy.HasField("reorder_point") else None
    return NoteMaterial(policy.item_id, meta.plant_id, {"safety_stock": safety, "reorder_point": reorder})


def posting(material: Material) -> PlannedPosting:
    """The MES keeps our key: item and version."""
    payload = TellMaterial(plant_id=material.plant_id, item_id=material.item_id, version=material.version)
    for name in ("on_hand", "available", "safety_stock", "reorder_point"):
        amount = getattr(material, name)
        if amount is not None:
            getattr(payload, name).CopyFrom(quantity_message(amount))
    key = f"material/{material.item_id}/{material.version}"
    order_key = f"material:{material.item_id}"
    return PlannedPosting(f"mes-{material.plant_id}", TELL_MATERIAL, material.plant_id, order_key, key, payload)
