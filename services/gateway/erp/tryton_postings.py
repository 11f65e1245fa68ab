"""Changes in Tryton, each in two steps: a draft that can be written again, and the booking, which is read back.

Tryton keeps no idempotency key of its own. An order and a delivery are their own key; a correction carries ours as the
reference of its internal shipments. Every write here is absolute, so a step that was cut off is simply done again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from isthmus.common.v1.quantity_pb2 import Quantity as QuantityMessage
from isthmus.gateway.v1.erp_postings_pb2 import CompleteWorkOrder, CorrectWorkOrder, ShipDelivery
from servicekit.domain import plain
from servicekit.postings import Found, NoAnswer, NotYet, Posting, PostingKind, Refused
from services.gateway.erp.tryton import amount
from services.gateway.erp.tryton_client import Stale, TrytonClient

SETTLE = timedelta(seconds=45)  # a request that the server has not begun by then was lost


@dataclass(frozen=True, slots=True)
class Want:
    """A move as it should be: product code, lot number and quantity."""

    item_id: str
    lot_id: str
    quantity: Decimal


class Tryton:
    """What the postings share: ids looked up by code, buttons whose success is the state read back."""

    settle_time = SETTLE

    def __init__(self, client: TrytonClient) -> None:
        self.client = client

    async def one(self, model: str, domain: list[Any], fields: list[str]) -> dict[str, Any] | None:
        found = await self.client.model(model, "search_read", domain, 0, 2, [["id", "ASC"]], fields)
        return found[0] if found else None

    async def product(self, item_id: str) -> dict[str, Any]:
        product = await self.one("product.product", [["code", "=", item_id]], ["default_uom", "lot_required"])
        if product is None:
            raise Refused("ERP_ITEM_MISSING", f"the ERP has no item {item_id}")
        return product

    async def lot(self, item_id: str, number: str) -> int | None:
        """The lot's id; made when it is absent. Tryton would make the same number twice: it is looked up first."""
        if not number:
            return None
        product = await self.product(item_id)
        domain = [["number", "=", number], ["product", "=", product["id"]]]
        found = await self.one("stock.lot", domain, ["number"])
        if found is not None:
            return int(found["id"])
        (made,) = await self.client.model("stock.lot", "create", [{"number": number, "product": product["id"]}])
        return int(made)

    async def press(self, model: str, button: str, number: int) -> None:
        """A button; an answer that asks for more input is no success."""
        try:
            answer = await self.client.model(model, button, [number])
        except Stale as stale:
            raise NoAnswer(str(stale)) from stale
        if isinstance(answer, dict) and str(answer.get("type", "")).startswith("ir.action"):
            raise Refused("ERP_ASKS_MORE", f"{button} answered with {answer.get('wiz_name') or answer.get('name')}")

    async def state(self, model: str, number: int) -> str:
        (record,) = await self.client.model(model, "read", [number], ["state"])
        return str(record["state"])

    async def place(self, code: str) -> int:
        place = await self.one("stock.location", [["code", "=", code]], ["name"])
        if place is None:
            raise Refused("ERP_PLACE_MISSING", f"the ERP has no location {code}")
        return int(place["id"])

    async def storage(self) -> int:
        warehouse = await self.one("stock.location", [["type", "=", "warehouse"]], ["storage_location"])
        assert warehouse is not None, "Tryton always has a warehouse"
        return int(warehouse["storage_location"])

    async def shape_moves(self, numbers: Sequence[int], wanted: Sequence[Want], new: dict[str, Any]) -> None:
        """Make draft moves be what is wanted: written where one of the item stands, created or deleted else."""
        unit = self.client.dialect.unit
        fields = ["product", "product.code", "lot", "quantity", "state"]
        moves = await self.client.model("stock.move", "read", list(numbers), fields) if numbers else []
        reserved = [move["id"] for move in moves if move["state"] == "assigned"]
        if reserved:  # left by an assignment that found only part of it; it may be split by now
            await self.client.model("stock.move", "draft", reserved)
        free: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for move in sorted(moves, key=lambda m: m["id"]):
            free[move["product."]["code"]].append(move)
        for want in wanted:
            product = await self.product(want.item_id)
            values = {"quantity": want.quantity, "lot": await self.lot(want.item_id, want.lot_id)}
            if free[want.item_id]:
                move = free[want.item_id].pop(0)
                if (amount(move["quantity"]), move["lot"]) != (want.quantity, values["lot"]):
                    await self.client.model("stock.move", "write", [move["id"]], values)
            else:
                made = {**new, **values, "product": product["id"], unit: product["default_uom"]}
                await self.client.model("stock.move", "create", [made])
        left = [move["id"] for moves_of in free.values() for move in moves_of]
        if left:
            await self.client.model("stock.move", "delete", left)


def wanted(lines: Iterable[tuple[str, str, QuantityMessage]]) -> list[Want]:
    return [Want(item_id, lot_id, Decimal(quantity.value)) for item_id, lot_id, quantity in lines]


class CompletesWorkOrder(Tryton):
    """Completes a production with what was really used, worked, made and lost."""

    FIELDS = (
        "number",
        "state",
        "inputs",
        "outputs",
        "works",
        "cost",
        "company",
        "location",
        "warehouse",
        "product.code",
    )

    async def _order(self, number: str) -> dict[str, Any]:
        record = await self.one("production", [["number", "=", number]], list(self.FIELDS))
        if record is None:
            raise Refused("ERP_ORDER_MISSING", f"the ERP has no order {number}")
        return record

    async def find(self, posting: Posting) -> Found | None:
        order = await self._order(posting.payload.erp_order_number)
        found = await self.read(posting, str(order["id"]))
        return found if found.is_booked or order["state"] == "running" else None

    async def draft(self, posting: Posting) -> str:
        payload: CompleteWorkOrder = posting.payload
        order = await self._order(payload.erp_order_number)
        if order["state"] in ("waiting", "assigned"):
            await self._take_components(order, payload)
            order = await self._order(payload.erp_order_number)
        if order["state"] == "running":
            await self._work(order, payload)
            await self._give_outputs(order, payload)
        elif order["state"] != "done":
            raise Refused("ERP_ORDER_NOT_OPEN", f"order {payload.erp_order_number} is {order['state']} in the ERP")
        return str(order["id"])

    async def _take_components(self, order: dict[str, Any], payload: CompleteWorkOrder) -> None:
        if order["state"] == "waiting":
            used = [(used.item_id, used.lot_id, used.quantity) for used in payload.totals.consumptions]
            inputs = {
                "production_input": order["id"],
                "from_location": await self.storage(),
                "to_location": order["location"],
                "company": order["company"],
            }
            await self.shape_moves(order["inputs"], wanted(used), inputs)
            # The answer of assign_try differs by release (true, false or nothing): only the state counts.
            await self.press("production", "assign_try", order["id"])
        if await self.state("production", order["id"]) != "assigned":
            raise NotYet(f"components of order {payload.erp_order_number} are not all in the ERP's stock")
        await self.press("production", "run", order["id"])
        if await self.state("production", order["id"]) != "running":
            raise Refused("ERP_ORDER_NOT_RUNNING", f"order {payload.erp_order_number} did not start in the ERP")

    async def _work(self, order: dict[str, Any], payload: CompleteWorkOrder) -> None:
        """One cycle a work, with the labour that was confirmed, so that its cost reaches the order."""
        works = await self.client.model("production.work", "read", order["works"], ["sequence", "state", "cycles"])
        labour = {line.operation_sequence: Decimal(line.labour.value) for line in payload.totals.labours}
        for number, work in enumerate(sorted(works, key=lambda w: (w["sequence"] or 0, w["id"])), 1):
            spent = timedelta(microseconds=int(labour.get(number * 10, Decimal(0)) * 1_000_000))
            await self._cycle(work, spent)

    async def _cycle(self, work: dict[str, Any], spent: timedelta) -> None:
        cycles = await self.client.model("production.work.cycle", "read", work["cycles"], ["state"])
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
        storage, scrap = await self.storage(), await self.place("SCRAP")
        moves = await self.client.model("stock.move", "read", order["outputs"], ["to_location"])
        good = [move["id"] for move in moves if move["to_location"] != scrap]
        lost = [move["id"] for move in moves if move["to_location"] == scrap]
        base = {"production_output": order["id"], "from_location": order["location"], "company": order["company"]}
        made = [(payload.item_id, output.lot_id, output.quantity) for output in payload.totals.outputs]
        await self.shape_moves(good, wanted(made), {**base, "to_location": storage})
        # No price and no currency with scrap: 8.x refuses a currency here.
        await self.shape_moves(lost, await self._scrap(payload), {**base, "to_location": scrap})

    async def _scrap(self, payload: CompleteWorkOrder) -> list[Want]:
        total = sum((Decimal(scrap.quantity.value) for scrap in payload.totals.scraps), Decimal(0))
        if not total:
            return []
        needs_lot = "storage" in ((await self.product(payload.item_id))["lot_required"] or ())
        outputs = payload.totals.outputs
        lot_id = (outputs[0].lot_id if outputs else f"SCRAP-{payload.erp_order_number}") if needs_lot else ""
        return [Want(payload.item_id, lot_id, total)]

    async def book(self, posting: Posting, foreign_id: str) -> None:
        if await self.state("production", int(foreign_id)) == "done":
            return  # 8.x refuses the button once it did its work
        await self.press("production", self.client.dialect.finish_production, int(foreign_id))

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        (order,) = await self.client.model("production", "read", [int(foreign_id)], list(self.FIELDS))
        if order["state"] != "done":
            return Found(foreign_id, is_booked=False)
        await self._require_equal(order, posting.payload)
        return Found(foreign_id, is_booked=True, answer={"erp_order": order["number"], "cost": plain(order["cost"])})

    async def _require_equal(self, order: dict[str, Any], payload: CompleteWorkOrder) -> None:
        """Done, and done with our figures: another user may have completed it with others."""
        fields = ["product.code", "lot.number", "quantity", "to_location", "state"]
        moves = await self.client.model("stock.move", "read", [*order["inputs"], *order["outputs"]], fields)
        scrap = await self.place("SCRAP")
        have: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        for move in moves:
            if move["state"] == "done":
                side = "in" if move["to_location"] == order["location"] else "out"
                side = "scrap" if move["to_location"] == scrap else side
                lot = "" if side == "scrap" else (move.get("lot.") or {}).get("number") or ""
                have[side, move["product."]["code"], lot] += amount(move["quantity"])
        want: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        for used in payload.totals.consumptions:
            want["in", used.item_id, used.lot_id] += Decimal(used.quantity.value)
        for output in payload.totals.outputs:
            want["out", payload.item_id, output.lot_id] += Decimal(output.quantity.value)
        for lost in payload.totals.scraps:
            want["scrap", payload.item_id, ""] += Decimal(lost.quantity.value)
        if have != want:
            differing = {key for key in {*have, *want} if have.get(key, 0) != want.get(key, 0)}
            told = "; ".join(f"{key}: ERP {have.get(key, 0)}, plant {want.get(key, 0)}" for key in sorted(differing))
            raise Refused("ERP_ORDER_DIFFERS", f"order {payload.erp_order_number} was done with other figures: {told}")


class CorrectsWorkOrder(Tryton):
    """Corrects stock after completion: internal shipments between storage and the place for corrections."""

    async def _shipments(self, posting: Posting) -> list[tuple[str, list[Want], int, int]]:
        payload: CorrectWorkOrder = posting.payload
        storage, correction = await self.storage(), await self.place("CORRECTION")
        lines = [(payload.item_id, output.lot_id, Decimal(output.quantity.value)) for output in payload.totals.outputs]
        lines += [(used.item_id, used.lot_id, -Decimal(used.quantity.value)) for used in payload.totals.consumptions]
        into = [Want(item_id, lot, value) for item_id, lot, value in lines if value > 0]
        out = [Want(item_id, lot, -value) for item_id, lot, value in lines if value < 0]
        both = [(f"{posting.key}/in", into, correction, storage), (f"{posting.key}/out", out, storage, correction)]
        return [shipment for shipment in both if shipment[1]]

    async def _standing(self, reference: str) -> dict[str, Any] | None:
        """Of two drafts with our key the older stays; a late orphan is never booked."""
        return await self.one("stock.shipment.internal", [["reference", "=", reference]], ["state", "number", "moves"])

    async def find(self, posting: Posting) -> Found | None:
        standing = [await self._standing(reference) for reference, *_ in await self._shipments(posting)]
        if any(shipment is None for shipment in standing):
            return None
        return await self.read(posting, posting.key)

    async def draft(self, posting: Posting) -> str:
        company = self.client.context.get("company")
        for reference, wants, source, target in await self._shipments(posting):
            shipment = await self._standing(reference)
            base = {"from_location": source, "to_location": target, "company": company}
            if shipment is None:
                await self.client.model("stock.shipment.internal", "create", [{**base, "reference": reference}])
                shipment = await self._standing(reference)
            assert shipment is not None, "made just now"
            if shipment["state"] in ("draft", "request"):
                link = {"shipment": f"stock.shipment.internal,{shipment['id']}"}
                await self.shape_moves(shipment["moves"], wants, {**base, **link})
        return posting.key

    async def book(self, posting: Posting, foreign_id: str) -> None:
        for reference, *_ in await self._shipments(posting):
            shipment = await self._standing(reference)
            if shipment is None:
                raise NoAnswer(f"draft {reference} is not there")
            if shipment["state"] in ("done", "cancelled"):
                continue
            if shipment["state"] in ("draft", "request"):
                await self.press("stock.shipment.internal", "wait", shipment["id"])
            await self.press("stock.shipment.internal", "assign_try", shipment["id"])
            if await self.state("stock.shipment.internal", shipment["id"]) != "assigned":
                raise Refused("ERP_STOCK_SHORT", f"{reference}: not all of it is in the ERP's stock")
            for button in self.client.dialect.finish_internal:
                await self.press("stock.shipment.internal", button, shipment["id"])

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        standing = [await self._standing(reference) for reference, *_ in await self._shipments(posting)]
        is_booked = all(shipment is not None and shipment["state"] == "done" for shipment in standing)
        numbers = ", ".join(shipment["number"] or "" for shipment in standing if shipment is not None)
        return Found(posting.key, is_booked=is_booked, answer={"erp_shipments": numbers})


class ShipsDelivery(Tryton):
    """Finishes a customer delivery with the lots that left."""

    FIELDS = (
        "number",
        "state",
        "inventory_moves",
        "outgoing_moves",
        "company",
        "warehouse_storage",
        "warehouse_output",
    )

    async def _delivery(self, number: str) -> dict[str, Any]:
        record = await self.one("stock.shipment.out", [["number", "=", number]], list(self.FIELDS))
        if record is None:
            raise Refused("ERP_DELIVERY_MISSING", f"the ERP has no delivery {number}")
        return record

    async def find(self, posting: Posting) -> Found | None:
        delivery = await self._delivery(posting.payload.erp_delivery_number)
        found = await self.read(posting, str(delivery["id"]))
        return found if found.is_booked else None

    async def draft(self, posting: Posting) -> str:
        payload: ShipDelivery = posting.payload
        delivery = await self._delivery(payload.erp_delivery_number)
        number = delivery["id"]
        if delivery["state"] == "waiting":
            lots = [(lot.item_id, lot.lot_id, lot.quantity) for lot in payload.shipped_lots]
            base = {
                "shipment": f"stock.shipment.out,{number}",
                "from_location": delivery["warehouse_storage"],
                "to_location": delivery["warehouse_output"],
                "company": delivery["company"],
            }
            await self.shape_moves(delivery["inventory_moves"], wanted(lots), base)
            await self.press("stock.shipment.out", "assign_try", number)
            if await self.state("stock.shipment.out", number) != "assigned":
                raise NotYet(f"the lots of delivery {payload.erp_delivery_number} are not all in the ERP's stock")
        return str(number)

    async def book(self, posting: Posting, foreign_id: str) -> None:
        number = int(foreign_id)
        steps = {"assigned": "pick", "picked": "pack"}
        finishing = self.client.dialect.finish_shipment
        steps |= dict(zip(("packed", "shipped"), finishing, strict=False))
        while (state := await self.state("stock.shipment.out", number)) in steps:
            await self.press("stock.shipment.out", steps[state], number)
            if await self.state("stock.shipment.out", number) == state:
                raise Refused("ERP_DELIVERY_STUCK", f"delivery stays {state} after {steps[state]}")

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        (delivery,) = await self.client.model("stock.shipment.out", "read", [int(foreign_id)], list(self.FIELDS))
        answer = {"erp_delivery": delivery["number"]}
        return Found(foreign_id, is_booked=delivery["state"] == "done", answer=answer)


def posting_kinds(client: TrytonClient) -> dict[str, PostingKind]:
    """What the gateway can ask a Tryton for."""
    return {
        "complete_work_order": CompletesWorkOrder(client),
        "correct_work_order": CorrectsWorkOrder(client),
        "ship_delivery": ShipsDelivery(client),
    }
