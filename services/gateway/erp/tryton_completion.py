"""Completes an order in Tryton with what was really used, worked, made and lost.

The order is its own key. Every write to its draft is absolute, so a step that was cut off is simply done again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from isthmus.gateway.v1.erp_postings_pb2 import CompleteWorkOrder
from servicekit.domain import plain
from servicekit.postings import Found, NoAnswer, NotYet, Posting, Refused
from services.gateway.erp.tryton_moves import Sums, Tryton, Want, differences, sums_of, sums_wanted, wanted

NO_PRICE = {"__class__": "Decimal", "decimal": "0"}
SCRAP = "SCRAP"  # code of a place that a plant's ERP must have


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
        storage = await self.storage()
        base = {
            "production_input": order["id"],
            "from_location": storage,
            "to_location": order["location"],
            "company": order["company"],
        }
        await self.shape_moves(order["inputs"], _used(payload), base)
        short = await self.short_lots(_used(payload), storage)
        if not short:
            # The answer of assign_try differs by release (true, false or nothing): only the state counts.
            await self.press("production", "assign_try", order["id"])
        if await self.state("production", order["id"]) != "assigned":
            raise NotYet(
                f"components of order {payload.erp_order_number} are not all in the ERP's stock. {short}".strip()
            )
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
        company = await self.read_one("company.company", order["company"], ["currency"])
        # A move into stock must have a price; the ERP puts the order's cost there when it is done.
        priced = {"to_location": storage, "unit_price": NO_PRICE, "currency": company["currency"]}
        await self.shape_moves(good, _made(payload), {**base, **priced})
        # With scrap 8.x refuses price and currency.
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
