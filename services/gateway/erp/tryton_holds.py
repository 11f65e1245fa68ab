"""Holds a lot in Tryton and releases it. Tryton knows no blocked stock: a hold is a place from which nothing is assigned."""

from __future__ import annotations

from decimal import Decimal

from servicekit.domain import plain
from servicekit.postings import Found, NotYet, Posting
from services.gateway.erp.tryton_moves import sums_of
from services.gateway.erp.tryton_shipments import InternalShipments, Transfer

HOLD = "QHOLD"  # code of a place that a plant's ERP must have: in the warehouse, outside its storage


class MovesHeldLot(InternalShipments):
    """Moves all that is free of a lot from one place to another. How much that is, the draft says once it stands."""

    async def places(self) -> tuple[int, int]:
        raise NotImplementedError

    def reason_of(self, posting: Posting) -> str:
        raise NotImplementedError

    async def find(self, posting: Posting) -> Found | None:
        standing = await self.standing(posting.key)
        return None if standing is None else await self.read(posting, posting.key)

    async def draft(self, posting: Posting) -> str:
        """Nothing there is nothing to move: then no shipment is made."""
        standing = await self.standing(posting.key)
        if standing is not None and standing["state"] == "waiting":  # cut off: gives back what it may have assigned
            await self.press(self.MODEL, "draft", standing["id"])
            standing = await self.standing(posting.key)
        if standing is None or standing["state"] == "draft":
            transfer = await self._transfer(posting)
            if transfer.wants:
                number = await self.put(transfer)
                await self.note(f"{self.MODEL},{number}", self.reason_of(posting))
            elif standing is not None:
                await self.press(self.MODEL, "cancel", standing["id"])
        return posting.key

    async def book(self, posting: Posting, foreign_id: str) -> None:
        standing = await self.standing(posting.key)
        if standing is None or standing["state"] in ("done", "cancelled"):
            return
        if standing["state"] != "assigned":
            await self.draft(posting)  # as much as is there now
            transfer = await self._transfer(posting)
            if transfer.wants and (short := await self.assign(transfer)):
                raise NotYet(short)
        await self.finish(posting.key)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        standing = await self.standing(posting.key)
        if standing is None or standing["state"] == "cancelled":
            is_empty = not (await self._transfer(posting)).wants
            return Found(foreign_id, is_booked=is_empty, answer=self.figures(posting, Decimal(0)))
        if standing["state"] != "done":
            return Found(foreign_id, is_booked=False)
        moved = sum(sums_of(await self.moves(standing["moves"])).values(), Decimal(0))
        answer = {**self.figures(posting, moved), "erp_shipment": str(standing["number"])}
        return Found(foreign_id, is_booked=True, answer=answer)

    def figures(self, posting: Posting, moved: Decimal) -> dict[str, str]:
        return {"lot": posting.payload.lot_id, "moved": plain(moved)}

    async def _transfer(self, posting: Posting) -> Transfer:
        source, target = await self.places()
        free = await self.free_of_lot(posting.payload.item_id, posting.payload.lot_id, source)
        return Transfer(posting.key, [free] if free.quantity > 0 else [], source, target)


class HoldsLot(MovesHeldLot):
    """Out of storage, so that the ERP assigns none of it."""

    async def places(self) -> tuple[int, int]:
        return await self.storage(), await self.place(HOLD)

    def reason_of(self, posting: Posting) -> str:
        return f"Held: {posting.payload.hold_reason}"

    def figures(self, posting: Posting, moved: Decimal) -> dict[str, str]:
        """With what we hold and the ERP did not have free: shipped, assigned, or not yet made there."""
        lacking = Decimal(posting.payload.quantity.value or 0) - moved
        return {**super().figures(posting, moved), **({"not_free": plain(lacking)} if lacking > 0 else {})}


class ReleasesLot(MovesHeldLot):
    """The way back: all that the hold place has of the lot."""

    async def places(self) -> tuple[int, int]:
        return await self.place(HOLD), await self.storage()

    def reason_of(self, posting: Posting) -> str:
        return f"Released: {posting.payload.release_reason}"
