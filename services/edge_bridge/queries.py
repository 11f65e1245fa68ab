"""What reads in the edge bridge: how the plant's way to the hub stands."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from isthmus.edge.v1 import edge_service_pb2 as messages
from servicekit import clock, outbox
from servicekit.database import Database, Tx
from servicekit.facts import slot_of
from servicekit.wire import timestamp
from services.edge_bridge.driver import Counts, Health


@dataclass(frozen=True, slots=True)
class Link:
    """The line to the hub, and since when it is so."""

    is_up: bool
    change_time: datetime


@dataclass(frozen=True, slots=True)
class Disk:
    """What is left where the database is a file, and how large that is; zeros where it is none."""

    free: int = 0
    used: int = 0


def disk_of(database: Database) -> Disk:
    if not database.is_sqlite:
        return Disk()
    path = Path(str(database.url.database))
    return Disk(shutil.disk_usage(path.parent).free, path.stat().st_size)


def edge_status(
    tx: Tx, plant_id: str, health: list[Health], telemetry: Counts | None, link: Link, disk: Disk
) -> messages.GetEdgeStatusResponse:
    slot = slot_of("edge_bridge", plant_id)
    count, oldest = outbox.backlog(tx, slot)
    response = messages.GetEdgeStatusResponse(plant_id=plant_id, is_linked=link.is_up, backlog_count=count)
    response.link_change_time.CopyFrom(timestamp(link.change_time))
    response.disk_free_bytes = disk.free
    said = outbox.producer(tx, slot)
    if kept := said.last - said.lowest + 1 if said.lowest else 0:
        response.bytes_per_fact = disk.used // kept
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
