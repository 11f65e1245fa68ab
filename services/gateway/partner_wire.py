"""What follows from facts at partners, one change each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isthmus.gateway.v1 import erp_postings_pb2
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored, ShipmentAdvised, ShipmentConfirmed
from isthmus.maintenance.v1.maintenance_events_pb2 import DowntimeRecorded, SparePartNeeded, WorkRequestOpened
from isthmus.masterdata.v1.masterdata_events_pb2 import PartnerChanged
from isthmus.quality.v1.quality_events_pb2 import InspectionOpened, NonconformanceOpened
from servicekit.facts import EventMeta
from servicekit.use_case import PlannedPosting
from services.gateway.wire import CMMS, OPEN_WORK_REQUEST, QMS, WMS, erp_of


@dataclass(frozen=True, slots=True)
class AskPartner:
    """A change that follows from a fact as it is."""

    posting: PlannedPosting
    traceparent: str


def announce_receipt(event: OutputStored, meta: EventMeta) -> AskPartner:
    payload = erp_postings_pb2.AnnounceReceipt(
        plant_id=event.plant_id, item_id=event.item_id, lot_id=event.lot_id, quantity=event.quantity
    )
    key = event.document_id
    planned = PlannedPosting(WMS, "announce_receipt", event.plant_id, event.work_order_id, key, payload)
    return AskPartner(planned, meta.traceparent)


def announce_shipment(event: ShipmentAdvised, meta: EventMeta) -> AskPartner:
    shipment = event.shipment
    payload = erp_postings_pb2.AnnounceShipment(shipment=shipment)
    planned = PlannedPosting(
        WMS, "announce_shipment", shipment.plant_id, shipment.shipment_id, shipment.shipment_id, payload
    )
    return AskPartner(planned, meta.traceparent)


def ship_delivery(event: ShipmentConfirmed, meta: EventMeta) -> AskPartner:
    shipment = event.shipment
    payload = erp_postings_pb2.ShipDelivery(
        erp_delivery_number=shipment.erp_delivery_number, shipped_lots=shipment.shipped_lots
    )
    key = f"{shipment.shipment_id}/ship"
    planned = PlannedPosting(
        erp_of(shipment.plant_id), "ship_delivery", shipment.plant_id, shipment.shipment_id, key, payload
    )
    return AskPartner(planned, meta.traceparent)


def tell_partner(event: PartnerChanged, meta: EventMeta) -> AskPartner:
    """The fact's own id makes each word about a partner a document of its own."""
    payload = erp_postings_pb2.TellPartner(plant_id=meta.plant_id, partner=event.partner)
    key = f"{meta.plant_id}/{meta.order_key}"
    return AskPartner(PlannedPosting(WMS, "tell_partner", meta.plant_id, key, meta.event_id, payload), meta.traceparent)


def ask_verdict(event: InspectionOpened, meta: EventMeta) -> AskPartner:
    said = event.inspection
    key = said.inspection_id
    return AskPartner(
        PlannedPosting(QMS, "ask_verdict", said.plant_id, said.work_order_id, key, said), meta.traceparent
    )


def open_case(event: NonconformanceOpened, meta: EventMeta) -> AskPartner:
    said = event.nonconformance
    key = said.nonconformance_id
    return AskPartner(PlannedPosting(QMS, "open_case", said.plant_id, said.work_order_id, key, said), meta.traceparent)


def open_work_request(event: WorkRequestOpened, meta: EventMeta) -> AskPartner:
    said = event.work_request
    planned = PlannedPosting(CMMS, OPEN_WORK_REQUEST, said.plant_id, meta.order_key, said.work_request_id, said)
    return AskPartner(planned, meta.traceparent)


def reserve_spare_part(event: SparePartNeeded, meta: EventMeta) -> AskPartner:
    part = event.spare_part
    payload = erp_postings_pb2.ReserveSparePart(
        work_request_id=event.work_request_id,
        asset_id=event.asset_id,
        item_id=part.item_id,
        quantity=part.quantity,
        cost_centre_id=event.cost_centre_id,
    )
    key = f"{event.work_request_id}/{part.item_id}"
    return _of_asset("reserve_spare_part", event.plant_id, event.asset_id, key, payload, meta)


def record_downtime(event: DowntimeRecorded, meta: EventMeta) -> AskPartner:
    said = event.downtime
    payload = erp_postings_pb2.RecordDowntime(
        downtime_id=said.downtime_id,
        asset_id=said.asset_id,
        line_id=said.line_id,
        fault_code=said.fault_code,
        start_time=said.start_time,
        end_time=said.end_time,
        cost_centre_id=said.cost_centre_id,
    )
    key = f"{said.plant_id}-{said.downtime_id}"
    return _of_asset("record_downtime", said.plant_id, said.asset_id, key, payload, meta)


def _of_asset(kind: str, plant_id: str, asset_id: str, key: str, payload: Any, meta: EventMeta) -> AskPartner:
    return AskPartner(
        PlannedPosting(erp_of(plant_id), kind, plant_id, f"asset:{asset_id}", key, payload), meta.traceparent
    )
