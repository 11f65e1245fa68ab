"""What Tryton must know of maintenance. It has no module for it: a spare part is a demand for stock, a downtime is a note.

Without the accounting modules no document of stock has a cost centre: it stands in a note, for people to read.
"""

from __future__ import annotations

from isthmus.gateway.v1.erp_postings_pb2 import RecordDowntime, ReserveSparePart
from servicekit import clock
from servicekit.domain import plain
from servicekit.postings import Found, Posting, Refused
from services.gateway.erp.tryton_moves import Tryton, sums_of, wanted
from services.gateway.erp.tryton_shipments import InternalShipments, Transfer

MAINTENANCE = "MAINT"  # code of a place that a plant's ERP must have


class ReservesSparePart(InternalShipments):
    """A requested internal shipment to maintenance, by our key: planned by people there, never booked by us."""

    async def find(self, posting: Posting) -> Found | None:
        standing = await self.standing(posting.key)
        found = await self.read(posting, str(standing["id"])) if standing is not None else None
        return found if found is not None and found.is_booked else None

    async def draft(self, posting: Posting) -> str:
        payload: ReserveSparePart = posting.payload
        source, target = await self.storage(), await self.place(MAINTENANCE)
        transfer = Transfer(posting.key, wanted([(payload.item_id, "", payload.quantity)]), source, target)
        standing = await self.standing(posting.key)
        if standing is None:
            today = clock.now().date()  # without a date the ERP would plan nothing for it
            number = await self.put(transfer, state="request", planned_date=today, planned_start_date=today)
        else:
            number = int(standing["id"])
            if standing["state"] == "request":
                await self.put(transfer)
        await self.note(f"{self.MODEL},{number}", _part_text(payload))
        return str(number)

    async def book(self, posting: Posting, foreign_id: str) -> None:
        """A request is a demand as it stands."""

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        """There, with its note. What people make of the request afterwards is theirs."""
        record = await self.read_one(self.MODEL, int(foreign_id), ["state", "moves"])
        is_noted = await self.has_note(f"{self.MODEL},{foreign_id}", _part_text(posting.payload))
        asked = ", ".join(
            f"{plain(value)} {unit}" for (*_, unit), value in sums_of(await self.moves(record["moves"])).items()
        )
        return Found(foreign_id, is_booked=is_noted, answer={"demand": str(record["state"]), "quantity": asked})


class RecordsDowntime(Tryton):
    """A note on the line's work centre: Tryton counts no downtime, so nothing there can be summed."""

    MODEL = "production.work.center"

    async def find(self, posting: Posting) -> Found | None:
        centre = await self._centre(posting.payload)
        found = await self.read(posting, str(centre))
        return found if found.is_booked else None

    async def draft(self, posting: Posting) -> str:
        return str(await self._centre(posting.payload))

    async def book(self, posting: Posting, foreign_id: str) -> None:
        await self.note(f"{self.MODEL},{foreign_id}", _downtime_text(posting))

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        is_noted = await self.has_note(f"{self.MODEL},{foreign_id}", _downtime_text(posting))
        return Found(foreign_id, is_booked=is_noted, answer={"noted_on": posting.payload.line_id} if is_noted else {})

    async def _centre(self, payload: RecordDowntime) -> int:
        centre = await self.one(self.MODEL, [["name", "=", payload.line_id]], ["name"])
        if centre is None:
            raise Refused("ERP_WORK_CENTRE_MISSING", f"the ERP has no work centre {payload.line_id}")
        return int(centre["id"])


def _part_text(payload: ReserveSparePart) -> str:
    centre = f", cost centre {payload.cost_centre_id}" if payload.cost_centre_id else ""
    return f"For {payload.asset_id}, work request {payload.work_request_id}{centre}"


def _downtime_text(posting: Posting) -> str:
    """With our key in it: a note has no other field."""
    payload: RecordDowntime = posting.payload
    start, end = (at.ToDatetime().isoformat(" ", "seconds") for at in (payload.start_time, payload.end_time))
    fault = f", fault {payload.fault_code}" if payload.fault_code else ""
    centre = f", cost centre {payload.cost_centre_id}" if payload.cost_centre_id else ""
    return f"{payload.asset_id} stood from {start} to {end} UTC{fault}{centre} [{posting.key}]"
