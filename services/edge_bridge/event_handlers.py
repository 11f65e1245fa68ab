"""What the edge bridge does when it hears a fact, or reads a record of the plant's MES."""

from __future__ import annotations

import sys

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.production.v1.production_events_pb2 import WorkOrderCancelled, WorkOrderChanged, WorkOrderReleased
from servicekit.facts import Do, EventMeta, Handler, consumes, handlers_of
from services.edge_bridge import use_cases, wire
from services.edge_bridge.mappings import MAPPINGS
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


def handlers(mes_driver: str) -> dict[str, Handler]:
    """The subscriptions, with the mapping of this plant's MES for its records."""
    mapping = MAPPINGS[mes_driver]

    @consumes(PlantRecord)
    def report(record: PlantRecord, meta: EventMeta) -> Do:
        """When the MES reports, take it as the document that it is."""
        said = mapping(record, meta.plant_id, is_late=meta.is_late)
        is_reversal = isinstance(said, ReportReversal)
        use_case = use_cases.reverse_confirmation if is_reversal else use_cases.confirm_operation
        return Do(use_case, said, is_document=True)

    return {**handlers_of(sys.modules[__name__]), report.__dict__["consumes"]: report}
