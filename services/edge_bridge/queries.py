"""What reads in the edge bridge: how the plant's way to the hub stands."""

from __future__ import annotations

from isthmus.edge.v1 import edge_service_pb2 as messages
from servicekit import clock, outbox
from servicekit.database import Tx
from servicekit.facts import slot_of
from servicekit.wire import timestamp
from services.edge_bridge.driver import Counts, Health


def edge_status(
    tx: Tx, plant_id: str, health: list[Health], telemetry: Counts | None, *, is_linked: bool
) -> messages.GetEdgeStatusResponse:
    count, oldest = outbox.backlog(tx, slot_of("edge_bridge", plant_id))
    response = messages.GetEdgeStatusResponse(plant_id=plant_id, is_linked=is_linked, backlog_count=count)
    if oldest is not None:
        response.oldest_backlog_time.CopyFrom(timestamp(clock.instant(oldest)))
    if telemetry is not None:
        response.telemetry_sent_count, response.telemetry_dropped_count = telemetry.sent, telemetry.dropped
    for one in health:
        connector = response.connectors.add(
            connector_id=one.connector_id,
            driver=one.driver,
            is_connected=one.is_connected,
            last_error=one.last_error,
        )
        if one.last_record_time is not None:
            connector.last_record_time.CopyFrom(timestamp(one.last_record_time))
    return response
