"""Changes in Tryton, each in two steps: a draft that can be written again, and the booking, which is read back.

Tryton keeps no idempotency key of its own. An order and a delivery are their own key; a correction carries ours as the
reference of its internal shipments. Every write here is absolute, so a step that was cut off is simply done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.gateway.v1.erp_postings_pb2 import CorrectWorkOrder, ShipDelivery
from servicekit.postings import Found, NotYet, Posting, PostingKind, Refused
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_completion import CompletesWorkOrder
from services.gateway.erp.tryton_holds import HOLD, HoldsLot, ReleasesLot
from services.gateway.erp.tryton_inspections import RecordsInspection
from services.gateway.erp.tryton_maintenance import RecordsDowntime, ReservesSparePart
from services.gateway.erp.tryton_moves import Tryton, Want, differences, sums_of, sums_wanted, wanted
from services.gateway.erp.tryton_shipments import InternalShipments, Transfer
from services.gateway.erp.tryton_stock_changes import CORRECTION, AdjustsStock, TransfersStock


class CorrectsWorkOrder(InternalShipments):
    """Corrects stock after completion: internal shipments between the place for corrections and where the stock is."""

    async def find(self, posting: Posting) -> Found | None:
        """Booked, or a whole draft."""
        for transfer in await self._transfers(posting):
            standing = await self.standing(transfer.reference)
            if standing is None or differences(
                sums_of(await self.moves(standing["moves"])), sums_wanted(transfer.wants)
            ):
                return None
        return await self.read(posting, posting.key)

    async def draft(self, posting: Posting) -> str:
        for transfer in await self._transfers(posting):
            await self.put(transfer)
        return posting.key

    async def book(self, posting: Posting, foreign_id: str) -> None:
        """All of it is assigned before any of it is booked: half a correction would be worse than none."""
        transfers = await self._transfers(posting)
        for transfer in transfers:
            if short := await self.assign(transfer):
                raise Refused("ERP_STOCK_SHORT", short)
        for transfer in transfers:
            await self.finish(transfer.reference)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        numbers, is_booked = [], True
        for transfer in await self._transfers(posting):
            standing = await self.standing(transfer.reference)
            if standing is None or standing["state"] != "done":
                is_booked = False
                continue
            if told := differences(sums_of(await self.moves(standing["moves"])), sums_wanted(transfer.wants)):
                raise Refused("ERP_CORRECTION_DIFFERS", f"{transfer.reference} was booked with other figures: {told}")
            numbers.append(str(standing["number"]))
        return Found(posting.key, is_booked=is_booked, answer={"erp_shipments": ", ".join(numbers)})

    async def _transfers(self, posting: Posting) -> list[Transfer]:
        """What comes back and what leaves: in storage, and of held lots in the hold place."""
        payload: CorrectWorkOrder = posting.payload
        correction, storage = await self.place(CORRECTION), await self.storage()
        made = wanted((payload.item_id, output.lot_id, output.quantity) for output in payload.totals.outputs)
        used = wanted((used.item_id, used.lot_id, used.quantity) for used in payload.totals.consumptions)
        held = [want for want in made if want.lot_id in payload.held_lot_ids]
        free = [want for want in made if want.lot_id not in payload.held_lot_ids]
        transfers = _both_ways(posting.key, [*free, *(want.opposite() for want in used)], correction, storage)
        if held:
            transfers += _both_ways(f"{posting.key}/held", held, correction, await self.place(HOLD))
        return transfers


def _both_ways(key: str, lines: Sequence[Want], correction: int, place: int) -> list[Transfer]:
    into = [want for want in lines if want.quantity > 0]
    out = [want.opposite() for want in lines if want.quantity < 0]
    both = [
        Transfer(f"{key}/in", into, correction, place, is_taken=False),
        Transfer(f"{key}/out", out, place, correction),
    ]
    return [transfer for transfer in both if transfer.wants]


class ShipsDelivery(Tryton):
    """Finishes a customer delivery with the lots that left."""

    MODEL = "stock.shipment.out"
    FIELDS = (
        "number",
        "state",
        "inventory_moves",
        "outgoing_moves",
        "company",
        "warehouse_storage",
        "warehouse_output",
    )
    PICKED = ("picked", "packed", "shipped")

    async def find(self, posting: Posting) -> Found | None:
        """Booked, or on its way with our lots."""
        delivery = await self._delivery(posting.payload.erp_delivery_number)
        found = await self.read(posting, str(delivery["id"]))
        is_drafted = delivery["state"] in self.PICKED and not await self._difference(delivery, posting.payload)
        return found if found.is_booked or is_drafted else None

    async def draft(self, posting: Posting) -> str:
        payload: ShipDelivery = posting.payload
        delivery = await self._delivery(payload.erp_delivery_number)
        if delivery["state"] in ("waiting", "assigned"):
            await self._take_lots(delivery, payload)
        elif delivery["state"] not in (*self.PICKED, "done"):
            raise Refused("ERP_DELIVERY_NOT_OPEN", f"delivery {delivery['number']} is {delivery['state']} in the ERP")
        return str(delivery["id"])

    async def book(self, posting: Posting, foreign_id: str) -> None:
        number = int(foreign_id)
        delivery = await self.read_one(self.MODEL, number, self.FIELDS)
        if told := await self._difference(delivery, posting.payload):
            raise Refused("ERP_DELIVERY_DIFFERS", f"delivery {delivery['number']} was picked with other lots: {told}")
        steps = {"assigned": "pick", "picked": "pack"}
        steps |= dict(zip(("packed", "shipped"), self.client.dialect.finish_shipment, strict=False))
        while (state := await self.state(self.MODEL, number)) in steps:
            await self.press(self.MODEL, steps[state], number)
            if await self.state(self.MODEL, number) == state:
                raise Refused("ERP_DELIVERY_STUCK", f"delivery stays {state} after {steps[state]}")

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        delivery = await self.read_one(self.MODEL, int(foreign_id), self.FIELDS)
        if delivery["state"] != "done":
            return Found(foreign_id, is_booked=False)
        if told := await self._difference(delivery, posting.payload):
            raise Refused("ERP_DELIVERY_DIFFERS", f"delivery {delivery['number']} left with other lots: {told}")
        return Found(foreign_id, is_booked=True, answer={"erp_delivery": delivery["number"]})

    async def _delivery(self, number: str) -> dict[str, Any]:
        record = await self.one(self.MODEL, [["number", "=", number]], self.FIELDS)
        if record is None:
            raise Refused("ERP_DELIVERY_MISSING", f"the ERP has no delivery {number}")
        return record

    async def _difference(self, delivery: dict[str, Any], payload: ShipDelivery) -> str:
        picked = sums_of(await self.moves(delivery["inventory_moves"]))
        return differences(picked, sums_wanted(_left(payload)))

    async def _take_lots(self, delivery: dict[str, Any], payload: ShipDelivery) -> None:
        number = delivery["id"]
        if order := await self._being_made(delivery):
            raise NotYet(
                f"delivery {payload.erp_delivery_number} is of a sale that order {order} is made for: not done yet"
            )
        moves = await self.moves(delivery["inventory_moves"])
        if delivery["state"] != "waiting" or any(move["state"] != "draft" for move in moves):
            for button in ("wait", "draft", "wait"):  # gives back what is assigned, and makes the picking moves anew
                await self.press(self.MODEL, button, number)
            delivery = await self.read_one(self.MODEL, number, self.FIELDS)
        before = await self._picking(number)
        try:
            await self._shape(delivery, payload)
        except Refused as refused:
            if await self._picking(number) == before:
                raise
            raise NotYet(
                f"delivery {payload.erp_delivery_number} was changed in the ERP meanwhile: {refused}"
            ) from refused
        short = await self.short_lots(_left(payload), delivery["warehouse_storage"])
        if not short:
            await self.press(self.MODEL, "assign_try", number)
        if await self.state(self.MODEL, number) != "assigned":
            raise NotYet(
                f"the lots of delivery {payload.erp_delivery_number} are not all in the ERP's stock. {short}".strip()
            )
        # Behind what was produced for a sale the ERP works on its delivery in the background, for a moment longer.
        if told := await self._difference(await self.read_one(self.MODEL, number, self.FIELDS), payload):
            raise NotYet(f"delivery {payload.erp_delivery_number} was changed in the ERP meanwhile: {told}")

    async def _picking(self, number: int) -> list[tuple[int, str]]:
        """The picking moves and their states, as they are now."""
        delivery = await self.read_one(self.MODEL, number, ["inventory_moves"])
        return [(int(move["id"]), str(move["state"])) for move in await self.moves(delivery["inventory_moves"])]

    async def _being_made(self, delivery: dict[str, Any]) -> str:
        """Number of an order that is made for this delivery's sale and is not done: until it is, the ERP makes and assigns the
        picking moves itself, also while we would shape them. Empty: none is."""
        outgoing = await self.moves(delivery["outgoing_moves"], "origin")
        origins = sorted({str(move["origin"]) for move in outgoing if move["origin"]})
        made_for = [["origin", "in", origins], ["state", "not in", ["done", "cancelled"]]]
        order = await self.one("production", made_for, ["number"]) if origins else None
        return str(order["number"] or order["id"]) if order else ""

    async def _shape(self, delivery: dict[str, Any], payload: ShipDelivery) -> None:
        number = delivery["id"]
        outgoing = await self.moves(delivery["outgoing_moves"])
        lines = {move["product."]["code"]: move["id"] for move in outgoing}
        if unasked := {want.item_id for want in _left(payload)} - lines.keys():
            raise Refused("ERP_DELIVERY_DIFFERS", f"delivery {delivery['number']} has no line of {sorted(unasked)}")
        for item_id, line in lines.items():
            base = {
                "shipment": f"{self.MODEL},{number}",
                "origin": f"stock.move,{line}",  # else the second lot of a line would leave without its price
                "from_location": delivery["warehouse_storage"],
                "to_location": delivery["warehouse_output"],
                "company": delivery["company"],
            }
            picking = await self.moves(delivery["inventory_moves"])
            of_item = [move["id"] for move in picking if move["product."]["code"] == item_id]
            await self.shape_moves(of_item, [want for want in _left(payload) if want.item_id == item_id], base)


def _left(payload: ShipDelivery) -> list[Want]:
    return wanted((lot.item_id, lot.lot_id, lot.quantity) for lot in payload.shipped_lots)


def posting_kinds(client: TrytonClient) -> dict[str, PostingKind]:
    """What the gateway can ask a Tryton for."""
    return {
        "complete_work_order": CompletesWorkOrder(client),
        "correct_work_order": CorrectsWorkOrder(client),
        "ship_delivery": ShipsDelivery(client),
        "hold_lot": HoldsLot(client),
        "release_lot": ReleasesLot(client),
        "record_inspection": RecordsInspection(client),
        "adjust_stock": AdjustsStock(client),
        "transfer_stock": TransfersStock(client),
        "reserve_spare_part": ReservesSparePart(client),
        "record_downtime": RecordsDowntime(client),
    }
