"""The plant as production needs it: its calendar of shifts and its tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

SHIFTS = ((6, "early"), (14, "late"), (22, "night"))  # hour at which each begins, plant time


@dataclass(frozen=True, slots=True)
class Plant:
    plant_id: str
    time_zone: str
    over_delivery_percent: Decimal

    def day_of(self, instant: datetime) -> date:
        """The plant calendar day of an instant."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()

    def shift_of(self, instant: datetime) -> str:
        """The shift that an instant falls into, named by the plant calendar day on which it began."""
        local = instant.astimezone(ZoneInfo(self.time_zone))
        begun = [name for hour, name in SHIFTS if local.hour >= hour]
        if begun:
            return f"{local.date().isoformat()}/{begun[-1]}"
        return f"{(local.date() - timedelta(days=1)).isoformat()}/night"


UNKNOWN_PLANT = Plant("", "UTC", Decimal(10))  # one that the settings do not know
