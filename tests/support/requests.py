"""Requests with safe defaults, for tests that call services as an app would."""

from __future__ import annotations

from datetime import UTC, datetime

from isthmus.common.v1.business_key_pb2 import BusinessKey
from isthmus.edge.v1.mes_postings_pb2 import TellMaterial
from isthmus.masterdata.v1.masterdata_service_pb2 import RecordItemRequest
from isthmus.production.v1.production_service_pb2 import ConfirmOperationRequest, ReleaseWorkOrderRequest
from servicekit.postings import Posting


def a_key(number: str, source: str = "erp-aachen", document: str = "work_order") -> BusinessKey:
    return BusinessKey(source_system=source, document_type=document, document_number=number)


def an_item(item_id: str = "PUMP-100", *, is_lot_tracked: bool = True) -> RecordItemRequest:
    request = RecordItemRequest(business_key=a_key(item_id, document="item"), plant_id="aachen")
    request.item.item_id, request.item.unit_code, request.item.is_lot_tracked = item_id, "C62", is_lot_tracked
    return request


def a_release(number: str, item_id: str = "PUMP-100", quantity: str = "5") -> ReleaseWorkOrderRequest:
    request = ReleaseWorkOrderRequest(business_key=a_key(number))
    order = request.work_order
    order.plant_id, order.erp_order_number, order.item_id = "aachen", number, item_id
    order.planned_quantity.value, order.planned_quantity.unit_code = quantity, "C62"
    for sequence in (10, 20):
        order.operations.add(sequence=sequence, description=f"operation {sequence}", work_centre_id="WC")
    part = order.components.add(item_id="HSG-10")
    part.quantity.value, part.quantity.unit_code = quantity, "C62"
    return request


def a_confirmation(
    number: str, work_order_id: str, sequence: int = 10, good: str = "5", lot: str = ""
) -> ConfirmOperationRequest:
    request = ConfirmOperationRequest(business_key=a_key(number, "mes-aachen", "confirmation"))
    said = request.confirmation
    said.plant_id, said.work_order_id, said.operation_sequence = "aachen", work_order_id, sequence
    said.good_quantity.value, said.good_quantity.unit_code = good, "C62"
    said.labour_duration.FromSeconds(60)
    said.output_lot_id = lot
    said.occur_time.FromDatetime(datetime.now(UTC))
    return request


def a_material(item_id: str, version: int, available: str, reorder: str = "") -> Posting:
    """What an MES is told of an item, in pieces."""
    payload = TellMaterial(item_id=item_id, version=version)
    for amount, value in (
        (payload.on_hand, available),
        (payload.available, available),
        (payload.reorder_point, reorder),
    ):
        if value:
            amount.value, amount.unit_code = value, "C62"
    key = f"material/{item_id}/{version}"
    return Posting("p", "plant", "mes", "tell_material", f"material:{item_id}", key, payload)
