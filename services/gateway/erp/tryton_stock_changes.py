"""Adjustments and transfers in Tryton: one internal shipment each, with our document's id as its reference.

Our storage, output and warehouse are one location there, its storage; of a held lot it is the hold place. Scrap is a place
whose stock it does not count.
"""

from __future__ import annotations

from abc import abstractmethod

from isthmus.gateway.v1.erp_postings_pb2 import AdjustStock, TransferStock
from servicekit.domain import plain
from servicekit.postings import Found, NoAnswer, NotYet, Posting, Refused
from services.gateway.erp.tryton_completion import SCRAP
from services.gateway.erp.tryton_holds import HOLD
from services.gateway.erp.tryton_moves import differences, sums_of, sums_wanted, wanted
from services.gateway.erp.tryton_shipments import InternalShipments, Transfer

CORRECTION = "CORRECTION"  # code of a place that a plant's ERP must have
SCRAP_PLACE = "scrap"  # ours


class ChangesStock(InternalShipments):
    """What both share. No transfer: the change is none in the ERP's books, which is acknowledged in words."""

    @abstractmethod
    async def transfer(self, posting: Posting) -> Transfer | None:
        """The shipment that makes the change."""

    @abstractmethod
    def reason_of(self, posting: Posting) -> str:
        """In plant words, for a note on the shipment."""

    @abstractmethod
    def moot(self, posting: Posting) -> str:
        """Why there is no shipment."""

    async def find(self, posting: Posting) -> Found | None:
        """Booked, or a whole draft."""
        transfer = await self.transfer(posting)
        standing = await self.standing(posting.key) if transfer is not None else None
        if transfer is not None and standing is None:
            return None
        found = await self.read(posting, posting.key)
        if found.is_booked or transfer is None or standing is None:
            return found
        is_noted = await self.has_note(f"{self.MODEL},{standing['id']}", self.reason_of(posting))
        is_whole = not differences(sums_of(await self.moves(standing["moves"])), sums_wanted(transfer.wants))
        return found if is_whole and is_noted and standing["state"] != "cancelled" else None

    async def draft(self, posting: Posting) -> str:
        transfer = await self.transfer(posting)
        if transfer is not None:
            number = await self.put(transfer)
            await self.note(f"{self.MODEL},{number}", self.reason_of(posting))
        return posting.key

    async def book(self, posting: Posting, foreign_id: str) -> None:
        transfer = await self.transfer(posting)
        if transfer is None:
            return
        if short := await self.assign(transfer):
            raise NotYet(short)
        await self.finish(posting.key)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        """Done, and done with our amount: another user may have changed the draft."""
        transfer = await self.transfer(posting)
        if transfer is None:
            return Found(foreign_id, is_booked=True, answer={"moved": "0", "erp_stock": self.moot(posting)})
        standing = await self.standing(posting.key)
        if standing is None:
            raise NoAnswer(f"draft {posting.key} is not there any more")
        if standing["state"] == "cancelled":
            raise Refused("ERP_SHIPMENT_CANCELLED", f"shipment {standing['number']} was cancelled in the ERP")
        if standing["state"] != "done":
            return Found(foreign_id, is_booked=False)
        if told := differences(sums_of(await self.moves(standing["moves"])), sums_wanted(transfer.wants)):
            raise Refused(
                "ERP_SHIPMENT_DIFFERS", f"shipment {standing['number']} was booked with other figures: {told}"
            )
        moved = plain(transfer.wants[0].quantity)
        return Found(foreign_id, is_booked=True, answer={"moved": moved, "erp_shipment": str(standing["number"])})

    async def stock_place(self, *, is_held: bool) -> int:
        return await self.place(HOLD) if is_held else await self.storage()


class AdjustsStock(ChangesStock):
    """Into the stock from the place for corrections, or out of it."""

    async def transfer(self, posting: Posting) -> Transfer | None:
        payload: AdjustStock = posting.payload
        if payload.location_id == SCRAP_PLACE:
            return None
        correction, place = await self.place(CORRECTION), await self.stock_place(is_held=payload.is_held)
        (line,) = wanted([(payload.item_id, payload.lot_id, payload.quantity)])
        if line.quantity > 0:
            return Transfer(posting.key, [line], correction, place, is_taken=False)
        return Transfer(posting.key, [line.opposite()], place, correction)

    def reason_of(self, posting: Posting) -> str:
        return f"Adjusted at {posting.payload.location_id}: {posting.payload.adjustment_reason}"

    def moot(self, posting: Posting) -> str:
        return "scrap is not counted by this ERP"


class TransfersStock(ChangesStock):
    """Between stock and scrap; the other places are one location."""

    async def transfer(self, posting: Posting) -> Transfer | None:
        payload: TransferStock = posting.payload
        is_scrapped, is_regained = (
            place == SCRAP_PLACE for place in (payload.to_location_id, payload.from_location_id)
        )
        if is_scrapped == is_regained:
            return None
        scrap, place = await self.place(SCRAP), await self.stock_place(is_held=payload.is_held)
        lines = wanted([(payload.item_id, payload.lot_id, payload.quantity)])
        if is_regained:
            return Transfer(posting.key, lines, scrap, place, is_taken=False)
        return Transfer(posting.key, lines, place, scrap)

    def reason_of(self, posting: Posting) -> str:
        said = posting.payload
        return f"From {said.from_location_id} to {said.to_location_id}: {said.transfer_reason}"

    def moot(self, posting: Posting) -> str:
        return f"{posting.payload.from_location_id} and {posting.payload.to_location_id} are one location in this ERP"
