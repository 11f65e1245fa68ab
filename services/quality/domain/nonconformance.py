"""A lot that failed: a case for people. One an inspection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.quality.domain.inspection import Disposition, Inspection


@dataclass(frozen=True, slots=True)
class Nonconformance:
    nonconformance_id: str
    plant_id: str
    inspection_id: str
    work_order_id: str
    item_id: str
    lot_id: str
    failure_reasons: tuple[str, ...]
    is_after_release: bool
    open_time: datetime
    qms_case_number: str = ""


def nonconformance_id(inspection_id: str) -> str:
    return f"nc-{inspection_id}"


def opened(before: Inspection, failed: Inspection, now: datetime) -> Nonconformance:
    return Nonconformance(
        nonconformance_id(failed.inspection_id),
        failed.plant_id,
        failed.inspection_id,
        failed.work_order_id,
        failed.item_id,
        failed.lot_id,
        failed.disposition_reasons,
        before.disposition is Disposition.PASSED,
        now,
    )
