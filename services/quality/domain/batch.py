"""What an inspection is asked by: when the order's batch began, and which sample is whose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """An order whose lots are inspected; `start_time` is its first confirmation that we heard of."""

    work_order_id: str
    start_time: datetime

    def heard(self, occur_time: datetime) -> Batch:
        return replace(self, start_time=min(self.start_time, occur_time))


@dataclass(frozen=True, slots=True)
class Sample:
    """The laboratory's own number, and the inspection that it is of."""

    plant_id: str
    sample_number: str
    inspection_id: str
