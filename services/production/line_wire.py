"""Production's words about lines, on the wire and in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from isthmus.maintenance.v1.maintenance_events_pb2 import DowntimeRecorded, DowntimeStarted
from isthmus.production.v1 import line_pb2
from servicekit.wire import time_of, timestamp
from services.production.domain.line import Block, Line


@dataclass(frozen=True, slots=True)
class BlockLine:
    plant_id: str
    line_id: str
    block: Block
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class FreeLine:
    plant_id: str
    line_id: str
    block_id: str
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class TellOrders:
    """A page of the open orders of a line; `is_last`: after it all know of the line's `changes`."""

    plant_id: str
    line_id: str
    work_order_ids: tuple[str, ...]
    changes: int
    is_last: bool


def block_line(event: DowntimeStarted) -> BlockLine | None:
    """None: no line stands still for it."""
    said = event.downtime
    if not said.stops_line or not said.line_id:
        return None
    start = time_of(said.start_time)
    return BlockLine(said.plant_id, said.line_id, Block(said.downtime_id, said.asset_id, said.fault_code, start), start)


def free_line(event: DowntimeRecorded) -> FreeLine | None:
    said = event.downtime
    if not said.line_id:
        return None
    return FreeLine(said.plant_id, said.line_id, said.downtime_id, time_of(said.end_time))


def line_message(line: Line) -> line_pb2.Line:
    message = line_pb2.Line(plant_id=line.plant_id, line_id=line.line_id, is_blocked=line.is_blocked)
    for block in line.blocks:
        message.blocks.add(
            block_id=block.block_id,
            asset_id=block.asset_id,
            fault_code=block.fault_code,
            start_time=timestamp(block.start_time),
        )
    return message
