"""Lasting downtimes said again for a reader that is added later: their lines are blocked."""

from __future__ import annotations

from datetime import datetime

from isthmus.maintenance.v1.maintenance_events_pb2 import DowntimeStarted
from servicekit.database import Tx
from servicekit.restate import Restates
from servicekit.use_case import Fact
from services.maintenance import wire
from services.maintenance.domain.asset import Downtime
from services.maintenance.store import DOWNTIMES


def downtime(_tx: Tx, found: Downtime, now: datetime) -> Fact:
    data = DowntimeStarted(downtime=wire.downtime_message(found))
    return wire.asset_fact(data, found.plant_id, found.asset_id, now)


RESTATES = (Restates(DOWNTIMES, downtime, "end_time IS NULL"),)
