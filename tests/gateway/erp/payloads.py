"""Builders of what the gateway is asked to post, in the words of its contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from deploy.local.tryton.plants import SEEDS
from isthmus.common.v1.quantity_pb2 import Quantity
from isthmus.gateway.v1.erp_postings_pb2 import CompleteWorkOrder, CorrectWorkOrder, ShipDelivery
from isthmus.production.v1.production_events_pb2 import WorkOrderTotals
from servicekit.domain import plain
from servicekit.postings import Posting

UNITS = {"u": "C62", "kg": "KGM"}
Used = Sequence[tuple[str, str, str]]  # item, lot, quantity


def quantity(value: Decimal | str, unit_code: str = "C62") -> Quantity:
    return Quantity(value=plain(Decimal(value)), unit_code=unit_code)


def unit_of(plant_id: str, item_id: str) -> str:
    seed = SEEDS[plant_id]
    items = {item.code: item for item in (seed.product, *(component for component, _ in seed.components))}
    return UNITS[items[item_id].unit]


def used_for(plant_id: str, pieces: str) -> list[tuple[str, str, str]]:
    """What so many pieces take by the bill of materials, each from its component's first lot."""
    used = []
    for item, each in SEEDS[plant_id].components:
        lot = item.opening[0][0] if item.is_lot_tracked else ""
        used.append((item.code, lot, plain(Decimal(each) * Decimal(pieces))))
    return used


def totals(
    plant_id: str, good: Mapping[str, str], used: Used, scrap: str = "0", labour: Mapping[int, str] | None = None
) -> WorkOrderTotals:
    """`good` by lot; labour in seconds by operation."""
    said = WorkOrderTotals()
    for lot_id, value in good.items():
        said.outputs.add(lot_id=lot_id, quantity=quantity(value))
    for item_id, lot_id, value in used:
        said.consumptions.add(item_id=item_id, lot_id=lot_id, quantity=quantity(value, unit_of(plant_id, item_id)))
    if Decimal(scrap):
        said.scraps.add(quantity=quantity(scrap), reason_code="LEAK")
    for sequence, seconds in (labour or {}).items():
        said.labours.add(operation_sequence=sequence, labour=quantity(seconds, "SEC"))
    return said


def completion(plant_id: str, number: str, said: WorkOrderTotals) -> Posting:
    payload = CompleteWorkOrder(erp_order_number=number, item_id=SEEDS[plant_id].product.code, totals=said)
    return _posting(plant_id, "complete_work_order", f"{plant_id}-{number}/complete", payload)


def correction(plant_id: str, number: str, document: str, said: WorkOrderTotals) -> Posting:
    payload = CorrectWorkOrder(erp_order_number=number, item_id=SEEDS[plant_id].product.code, totals=said)
    return _posting(plant_id, "correct_work_order", f"{plant_id}-{number}/{document}", payload)


def shipping(plant_id: str, number: str, lots: Mapping[str, str]) -> Posting:
    payload = ShipDelivery(erp_delivery_number=number)
    for lot_id, value in lots.items():
        payload.shipped_lots.add(item_id=SEEDS[plant_id].product.code, lot_id=lot_id, quantity=quantity(value))
    return _posting(plant_id, "ship_delivery", f"{plant_id}-delivery-{number}/ship", payload)


def _posting(plant_id: str, kind: str, key: str, payload: object) -> Posting:
    return Posting(key, plant_id, f"erp-{plant_id}", kind, key.split("/", maxsplit=1)[0], key, payload)
