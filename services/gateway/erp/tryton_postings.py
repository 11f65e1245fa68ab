"""Changes in Tryton, each in two steps: a draft that can be written again, and the booking, which is read back.

Tryton keeps no idempotency key of its own. An order and a delivery are their own key; a correction carries ours as the
reference of its internal shipments. Every write here is absolute, so a step that was cut off is simply done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from isthmus.gateway.v1.erp_postings_pb2 import CompleteWorkOrder, CorrectWorkOrder, ShipDelivery
from servicekit.domain import plain
from servicekit.postings import Found, NoAnswer, NotYet, Posting, PostingKind, Refused
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_moves import Sums, Tryton, Want, differences, sums_of, sums_wanted, wanted

SCRAP, CORRECTION = "SCRAP", "CORRECTION"  # codes of the places that a plant's ERP must have


@dataclass(frozen=True, slots=True)
class Books:
    """What an order used, made and lost. Of scrap only the sum counts: it has the lot of the good pieces, or one of its own."""

    consumed: Sums
    produced: Sums
    scrapped: Decimal

    def differ_from(self, other: Books) -> str:
        told = [differences(self.consumed, other.consumed), differences(self.produced, other.produced)]
        if self.scrapped != other.scrapped:
            told.append(f"scrap: ERP {plain(self.scrapped)}, plant {plain(other.scrapped)}")
        return "; ".join(filter(None, told))


class CompletesWorkOrder(Tryton):
    """Completes a production with what was really used, worked, made and lost."""

    FIELDS = ("number", "state", "inputs", "outputs", "works", "cost", "company", "location")

    async def find(self, posting: Posting) -> Found | None:
        """Booked, or a whole draft. Half a draft is none: it is written again from its beginning."""
        order = await self._order(posting.payload.erp_order_number)
        found = await self.read(posting, str(order["id"]))
        return found if found.is_booked or await self._is_drafted(order, posting.payload) else None

    async def draft(self, posting: Posting) -> str:
        payload: CompleteWorkOrder = posting.payload
        order = await self._order(payload.erp_order_number)
        works = await self._works(order, payload)
        if order["state"] in ("waiting", "assigned"):
            await self._take_components(order, payload)
            order = await self._order(payload.erp_order_number)
        if order["state"] == "running":
            # Components are booked by now. Were they others than ours, nobody must book the rest on top.
            have, want = await self._books(order), self._wanted(payload)
            self._require_equal(payload, differences(have.consumed, want.consumed))
            for work, spent in works:
                await self._cycle(work, spent)
            await self._give_outputs(order, payload)
        elif order["state"] != "done":
            raise Refused("ERP_ORDER_NOT_OPEN", f"order {payload.erp_order_number} is {order['state']} in the ERP")
        return str(order["id"])

    async def book(self, posting: Posting, foreign_id: str) -> None:
        order = await self.read_one("production", int(foreign_id), self.FIELDS)
        if order["state"] == "done":
            return  # 8.x refuses the button once it did its work
        if not await self._is_drafted(order, posting.payload):
            raise NoAnswer(f"the draft of order {order['number']} is not there any more")
        await self.press("production", self.client.dialect.finish_production, int(foreign_id))

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        """Done, and done with our figures: another user may have completed it with others."""
        order = await self.read_one("production", int(foreign_id), self.FIELDS)
        if order["state"] != "done":
            return Found(foreign_id, is_booked=False)
        books = await self._books(order)
        self._require_equal(posting.payload, books.differ_from(self._wanted(posting.payload)))
        answer = {"erp_order": order["number"], "cost": plain(order["cost"] or Decimal(0))}
        answer["good"] = plain(sum(books.produced.values(), Decimal(0)))
        if lots := sorted(lot_id for _, lot_id, _ in books.produced if lot_id):
            answer["lots"] = " ".join(lots)
        if books.scrapped:
            answer["scrap"] = plain(books.scrapped)
        return Found(foreign_id, is_booked=True, answer=answer)

    # --- the order as it is

    async def _order(self, number: str) -> dict[str, Any]:
        record = await self.one("production", [["number", "=", number]], self.FIELDS)
        if record is None:
            raise Refused("ERP_ORDER_MISSING", f"the ERP has no order {number}")
        return record

    async def _works(self, order: dict[str, Any], payload: CompleteWorkOrder) -> list[tuple[dict[str, Any], timedelta]]:
        """The order's works with the labour that was confirmed for each."""
        found = await self.client.model("production.work", "read", order["works"], ["sequence", "state", "cycles"])
        works = sorted(found, key=lambda work: (work["sequence"] or 0, work["id"]))
        labour = {line.operation_sequence: Decimal(line.labour.value) for line in payload.totals.labours}
        if unknown := {sequence for sequence, spent in labour.items() if spent} - {
            10 * n for n in range(1, len(works) + 1)
        }:
            raise Refused(
                "ERP_OPERATION_MISSING", f"order {order['number']} has no operation {sorted(unknown)} in the ERP"
            )
        spent = (labour.get(10 * n, Decimal(0)) for n in range(1, len(works) + 1))
        return [(work, timedelta(microseconds=int(s.scaleb(6)))) for work, s in zip(works, spent, strict=True)]

    async def _books(self, order: dict[str, Any]) -> Books:
        scrap = await self.place(SCRAP)
        inputs, outputs = await self.moves(order["inputs"]), await self.moves(order["outputs"], "to_location")
        lost = [move for move in outputs if move["to_location"] == scrap]
        made = [move for move in outputs if move["to_location"] != scrap]
        return Books(sums_of(inputs), sums_of(made), sum(sums_of(lost).values(), Decimal(0)))

    def _wanted(self, payload: CompleteWorkOrder) -> Books:
        lost = sum((Decimal(scrap.quantity.value) for scrap in payload.totals.scraps), Decimal(0))
        return Books(sums_wanted(_used(payload)), sums_wanted(_made(payload)), lost)

    async def _is_drafted(self, order: dict[str, Any], payload: CompleteWorkOrder) -> bool:
        if order["state"] != "running" or (await self._books(order)).differ_from(self._wanted(payload)):
            return False
        works = await self.client.model("production.work", "read", order["works"], ["state"]) if order["works"] else []
        return all(work["state"] in ("finished", "done") for work in works)

    def _require_equal(self, payload: CompleteWorkOrder, told: str) -> None:
        if told:
            raise Refused(
                "ERP_ORDER_DIFFERS", f"order {payload.erp_order_number} was booked with other figures: {told}"
            )

    # --- the steps of its draft

    async def _take_components(self, order: dict[str, Any], payload: CompleteWorkOrder) -> None:
        moves = await self.moves(order["inputs"])
        if order["state"] != "waiting" or any(move["state"] != "draft" for move in moves):
            await self.press(
                "production", "wait", order["id"]
            )  # an assigned move, of us or of a user, can't be written
        base = {
            "production_input": order["id"],
            "from_location": await self.storage(),
            "to_location": order["location"],
            "company": order["company"],
        }
        await self.shape_moves(order["inputs"], _used(payload), base)
        # The answer of assign_try differs by release (true, false or nothing): only the state counts.
        await self.press("production", "assign_try", order["id"])
        if await self.state("production", order["id"]) != "assigned":
            raise NotYet(f"components of order {payload.erp_order_number} are not all in the ERP's stock")
        await self.press("production", "run", order["id"])
        if await self.state("production", order["id"]) != "running":
            raise Refused("ERP_ORDER_NOT_RUNNING", f"order {payload.erp_order_number} did not start in the ERP")

    async def _cycle(self, work: dict[str, Any], spent: timedelta) -> None:
        """One cycle a work, with the labour that was confirmed, so that its cost reaches the order."""
        cycles = (
            await self.client.model("production.work.cycle", "read", work["cycles"], ["state"])
            if work["cycles"]
            else []
        )
        cycle = next((c for c in cycles if c["state"] != "cancelled"), None)
        if cycle is None:
            (number,) = await self.client.model("production.work.cycle", "create", [{"work": work["id"]}])
            cycle = {"id": number, "state": "draft"}
        if cycle["state"] == "draft":
            await self.press("production.work.cycle", "run", cycle["id"])
        if cycle["state"] != "done":
            await self.client.model("production.work.cycle", "write", [cycle["id"]], {"duration": spent})
            await self.press("production.work.cycle", "do", cycle["id"])

    async def _give_outputs(self, order: dict[str, Any], payload: CompleteWorkOrder) -> None:
        storage, scrap = await self.storage(), await self.place(SCRAP)
        moves = await self.moves(order["outputs"], "to_location")
        good = [move["id"] for move in moves if move["to_location"] != scrap]
        lost = [move["id"] for move in moves if move["to_location"] == scrap]
        base = {"production_output": order["id"], "from_location": order["location"], "company": order["company"]}
        await self.shape_moves(good, _made(payload), {**base, "to_location": storage})
        # No price and no currency with scrap: 8.x refuses a currency here.
        await self.shape_moves(lost, await self._lost(payload), {**base, "to_location": scrap})

    async def _lost(self, payload: CompleteWorkOrder) -> list[Want]:
        """Scrap, in one lot: that of the good pieces if there are any."""
        product = await self.one("product.product", [["code", "=", payload.item_id]], ["lot_required"])
        needs_lot = product is not None and "storage" in (product["lot_required"] or ())
        outputs = payload.totals.outputs
        lot_id = (outputs[0].lot_id if outputs else f"SCRAP-{payload.erp_order_number}") if needs_lot else ""
        return wanted((payload.item_id, lot_id, scrap.quantity) for scrap in payload.totals.scraps)


def _used(payload: CompleteWorkOrder) -> list[Want]:
    return wanted((used.item_id, used.lot_id, used.quantity) for used in payload.totals.consumptions)


def _made(payload: CompleteWorkOrder) -> list[Want]:
    return wanted((payload.item_id, output.lot_id, output.quantity) for output in payload.totals.outputs)


class CorrectsWorkOrder(Tryton):
    """Corrects stock after completion: internal shipments between storage and the place for corrections."""

    MODEL = "stock.shipment.internal"

    async def find(self, posting: Posting) -> Found | None:
        """Booked, or a whole draft."""
        for reference, wants, *_ in await self._shipments(posting):
            standing = await self._standing(reference)
            if standing is None or differences(sums_of(await self.moves(standing["moves"])), sums_wanted(wants)):
                return None
        return await self.read(posting, posting.key)

    async def draft(self, posting: Posting) -> str:
        company = self.client.context.get("company")
        for reference, wants, source, target in await self._shipments(posting):
            base = {"from_location": source, "to_location": target, "company": company}
            values = await self.make_moves(wants, base)
            standing = await self._standing(reference)
            if standing is None:  # in one call: a shipment without its moves would be booked as nothing
                made = {**base, "reference": reference, "moves": [["create", values]]}
                await self.client.model(self.MODEL, "create", [made])
            elif standing["state"] not in ("done", "cancelled"):
                await self._write_again(standing, wants, values)
        return posting.key

    async def _write_again(self, standing: dict[str, Any], wants: Sequence[Want], values: list[dict[str, Any]]) -> None:
        """The draft stands from before; its content may have been corrected since."""
        if not differences(sums_of(await self.moves(standing["moves"])), sums_wanted(wants)):
            return
        for button in {"assigned": ("wait", "draft"), "waiting": ("draft",)}.get(standing["state"], ()):
            await self.press(self.MODEL, button, standing["id"])
        moves = [["delete", standing["moves"]], ["create", values]]
        await self.client.model(self.MODEL, "write", [standing["id"]], {"moves": moves})

    async def book(self, posting: Posting, foreign_id: str) -> None:
        for reference, *_ in await self._shipments(posting):
            shipment = await self._standing(reference)
            if shipment is None:
                raise NoAnswer(f"draft {reference} is not there any more")
            if shipment["state"] in ("done", "cancelled"):
                continue
            if shipment["state"] in ("draft", "request"):
                await self.press(self.MODEL, "wait", shipment["id"])
            if await self.state(self.MODEL, shipment["id"]) == "waiting":
                await self.press(self.MODEL, "assign_try", shipment["id"])
            if await self.state(self.MODEL, shipment["id"]) == "waiting":
                raise Refused("ERP_STOCK_SHORT", f"{reference}: not all of it is in the ERP's stock")
            for button in self.client.dialect.finish_internal:
                await self.press(self.MODEL, button, shipment["id"])

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        numbers, is_booked = [], True
        for reference, wants, *_ in await self._shipments(posting):
            standing = await self._standing(reference)
            if standing is None or standing["state"] != "done":
                is_booked = False
                continue
            if told := differences(sums_of(await self.moves(standing["moves"])), sums_wanted(wants)):
                raise Refused("ERP_CORRECTION_DIFFERS", f"{reference} was booked with other figures: {told}")
            numbers.append(str(standing["number"]))
        return Found(posting.key, is_booked=is_booked, answer={"erp_shipments": ", ".join(numbers)})

    async def _shipments(self, posting: Posting) -> list[tuple[str, list[Want], int, int]]:
        """Reference, content, from and to: what comes back into stock, and what leaves it."""
        payload: CorrectWorkOrder = posting.payload
        storage, correction = await self.storage(), await self.place(CORRECTION)
        made = wanted((payload.item_id, output.lot_id, output.quantity) for output in payload.totals.outputs)
        used = wanted((used.item_id, used.lot_id, used.quantity) for used in payload.totals.consumptions)
        lines = [*made, *(_opposite(want) for want in used)]
        into = [want for want in lines if want.quantity > 0]
        out = [_opposite(want) for want in lines if want.quantity < 0]
        both = [(f"{posting.key}/in", into, correction, storage), (f"{posting.key}/out", out, storage, correction)]
        return [shipment for shipment in both if shipment[1]]

    async def _standing(self, reference: str) -> dict[str, Any] | None:
        """Of two drafts with our key the older stays; a late orphan is never booked."""
        return await self.one(self.MODEL, [["reference", "=", reference]], ["state", "number", "moves"])


def _opposite(want: Want) -> Want:
    return Want(want.item_id, want.lot_id, -want.quantity, want.unit_code)


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
        moves = await self.moves(delivery["inventory_moves"])
        if delivery["state"] != "waiting" or any(move["state"] != "draft" for move in moves):
            await self.press(self.MODEL, "wait", number)  # makes the picking moves anew
            delivery = await self.read_one(self.MODEL, number, self.FIELDS)
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
        await self.press(self.MODEL, "assign_try", number)
        if await self.state(self.MODEL, number) != "assigned":
            raise NotYet(f"the lots of delivery {payload.erp_delivery_number} are not all in the ERP's stock")


def _left(payload: ShipDelivery) -> list[Want]:
    return wanted((lot.item_id, lot.lot_id, lot.quantity) for lot in payload.shipped_lots)


def posting_kinds(client: TrytonClient) -> dict[str, PostingKind]:
    """What the gateway can ask a Tryton for."""
    return {
        "complete_work_order": CompletesWorkOrder(client),
        "correct_work_order": CorrectsWorkOrder(client),
        "ship_delivery": ShipsDelivery(client),
    }
