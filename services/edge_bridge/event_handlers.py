"""What the edge bridge does when it hears a fact, or reads a record of the plant's MES."""

from __future__ import annotations

import sys
from dataclasses import replace
from zoneinfo import ZoneInfo

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.inventory.v1.inventory_events_pb2 import MaterialAvailabilityChanged
from isthmus.masterdata.v1.masterdata_events_pb2 import InventoryPolicyChanged
from isthmus.production.v1.production_events_pb2 import WorkOrderCancelled, WorkOrderChanged, WorkOrderReleased
from isthmus.quality.v1.quality_events_pb2 import InspectionOpened
from servicekit import foreign
from servicekit.facts import Do, EventMeta, Handler, consumes, handlers_of
from services.edge_bridge import material_use_cases, material_wire, use_cases, wire
from services.edge_bridge.lims_map import LimsMap
from services.edge_bridge.mappings import MAPPINGS, lab_result
from services.edge_bridge.settings import Settings
from services.edge_bridge.wire import ReportReversal


@consumes(WorkOrderReleased)
def give_order(event: WorkOrderReleased, meta: EventMeta) -> Do:
    """When production releases an order, give it to the plant's MES."""
    return Do(use_cases.give_to_mes, wire.give_to_mes(wire.RELEASE, event.work_order, meta))


@consumes(WorkOrderChanged)
def change_order(event: WorkOrderChanged, meta: EventMeta) -> Do:
    """When an order changes, tell the MES."""
    return Do(use_cases.give_to_mes, wire.give_to_mes(wire.CHANGE, event.work_order, meta))


@consumes(WorkOrderCancelled)
def take_order_back(event: WorkOrderCancelled, meta: EventMeta) -> Do:
    """When an order is cancelled, take it back from the MES."""
    command = wire.give_to_mes(wire.CANCEL, event.work_order, meta, event.cancel_reason)
    return Do(use_cases.give_to_mes, command)


@consumes(MaterialAvailabilityChanged)
def note_availability(event: MaterialAvailabilityChanged, meta: EventMeta) -> Do:
    """When another amount of an item can be used, tell the MES."""
    return Do(material_use_cases.note_material, material_wire.note_availability(event, meta))


@consumes(InventoryPolicyChanged)
def note_policy(event: InventoryPolicyChanged, meta: EventMeta) -> Do:
    """When the plant wants to have another amount of an item, tell the MES."""
    return Do(material_use_cases.note_material, material_wire.note_policy(event, meta))


def handlers(settings: Settings, lims_map: LimsMap | None) -> dict[str, Handler]:
    """The subscriptions, with the mappings of this plant's records. Inspections matter where somebody can be asked."""
    mapping = MAPPINGS[settings.mes_driver]

    @consumes(PlantRecord)
    def report(record: PlantRecord, meta: EventMeta) -> Do | None:
        """When a plant system reports, take it as the document that it is."""
        if lims_map is not None and record.connector_id == settings.laboratory_id:
            result = lab_result(record, meta.plant_id, lims_map, ZoneInfo(settings.time_zone), is_late=meta.is_late)
            return Do(use_cases.report_lab_result, replace(result, source=foreign.shown(record)), is_document=True)
        said = replace(mapping(record, meta.plant_id, is_late=meta.is_late), source=foreign.shown(record))
        is_reversal = isinstance(said, ReportReversal)
        use_case = use_cases.reverse_confirmation if is_reversal else use_cases.confirm_operation
        return Do(use_case, said, is_document=True)

    @consumes(InspectionOpened)
    def ask_for_evidence(event: InspectionOpened, meta: EventMeta) -> Do:
        """When an inspection opens, ask the laboratory and the historian."""
        return Do(use_cases.open_inspection, wire.open_inspection(event.inspection, meta.traceparent))

    own = [report, ask_for_evidence] if settings.asks_for_evidence else [report]
    return {**handlers_of(sys.modules[__name__]), **{handler.__dict__["consumes"]: handler for handler in own}}
