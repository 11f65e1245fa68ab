"""The load: operators and API clients of three plants in a process of their own, which is never killed.

SIGTERM ends it: what is under way is retried until it is acknowledged, then every order of an ERP is completed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from tests.chaos.doors import CallDoor, Document, MesDoor, NotTaken, Refused, RestDoor, StagingDoor
from tests.chaos.journal import Journal
from tests.chaos.plants import HOT_ORDER, PLANTS, Plant

TICK = 0.02
UNDER_WAY_MOST = 250
HOT_SHARE, CALL_SHARE, AGAIN_SHARE, PALLET_SHARE = 0.3, 0.5, 0.1, 0.01
# Orders in which people slip: a lane is worked off fact by fact, and must catch up with what arrives.
QUIET = ("-5", "-6")
PALLET = 20
LOTS_AN_ORDER = 3
SLIP = 5  # an operation that no order has
PAUSES = (0.1, 0.2, 0.5, 1.0)


@dataclass
class Order:
    order_id: str
    plant: Plant
    under_way: int = 0
    is_open: bool = True
    quiet: asyncio.Event = field(default_factory=asyncio.Event)


class Load:
    def __init__(self, told: argparse.Namespace) -> None:
        places = json.loads(told.places.read_text())
        self.rate, self.finishing = told.rate, told.finish_seconds
        self.slip_seconds = told.slip_seconds
        self.chance, self.slips = random.Random(told.seed), told.slips.split(",")
        self.journal = Journal(told.journal)
        self.call = CallDoor(places["production"])
        self.mes: dict[str, MesDoor] = {
            plant: RestDoor(where) if PLANTS[plant].driver == "rest_mes" else StagingDoor(Path(where))
            for plant, where in places["mes"].items()
        }
        self.orders = [Order(order, PLANTS[order.split("-")[0]]) for order in places["orders"]]
        self.counts: Counter[str] = Counter()
        self.next: dict[str, int] = defaultdict(int)
        self.tasks: set[asyncio.Task[None]] = set()
        self.status = told.status
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None

    # --- what is made

    def _document(self, order: Order, kind: str, lot: str = "") -> Document:
        """`lot`: that of what is weighed, where it is to be a new one."""
        plant = order.plant
        self.next[plant.plant_id] += 1
        count = self.next[plant.plant_id]
        number = f"{plant.plant_id}-{kind}-{count:07d}"
        first, last = plant.operations[0], plant.operations[-1]
        if kind in ("piece", "operation", "unit"):
            used = tuple((item, lots[count % len(lots)], quantity, unit) for item, lots, quantity, unit in plant.recipe)
            if lot:  # what is weighed is of a lot of its own, and its unit may be typed wrongly
                said = "GRM" if kind == "unit" else "KGM"
                used = tuple((i, lot, q, said) if u == "KGM" else (i, at, q, u) for i, at, q, u in used)
            step = first + SLIP if kind == "operation" else first
            return Document(number, plant, order.order_id, step, 1, "", used, is_final=False)
        made = f"L-{order.order_id}-{count % LOTS_AN_ORDER}"
        good = PALLET if kind == "pallet" else 1
        return Document(number, plant, order.order_id, last, good, made, (), is_final=kind == "final")

    def _pick(self) -> Order | None:
        pool = [order for order in self.orders if order.is_open]
        hot = [order for order in pool if order.order_id == HOT_ORDER]
        if hot and self.chance.random() < HOT_SHARE:
            return hot[0]
        cold = [order for order in pool if order not in hot]
        return self.chance.choice(cold or pool) if pool else None

    # --- how it enters

    def _enter(self, order: Order, kind: str, lot: str = "", *, by_call: bool) -> Coroutine[Any, Any, None]:
        """It is under way from now on, not only once its task runs: else an order's last word could pass it by."""
        order.under_way += 1
        return self._entered(order, self._document(order, kind, lot), kind, by_call=by_call)

    async def _entered(self, order: Order, document: Document, kind: str, *, by_call: bool) -> None:
        door = "call" if by_call else "mes"
        try:
            more = {"order": order.order_id, "door": door, "good": document.good, "lot": document.lot}
            right = document.operation - (SLIP if kind == "operation" else 0)  # as a person will put it right
            more |= {"operation": right, "is_final": document.is_final}
            await self.journal.write("try", document.number, **more)
            if by_call:
                await self._call(document)
            else:
                await self._report(document)
        finally:
            order.under_way -= 1
            if not order.under_way:
                order.quiet.set()

    async def _call(self, document: Document) -> None:
        if not await self._until_taken(document, is_again=False):
            return
        await self.journal.write("ack", document.number)
        self.counts["acked"] += 1
        if self.chance.random() < AGAIN_SHARE:
            self.counts["again"] += 1
            await self._until_taken(document, is_again=True)

    async def _until_taken(self, document: Document, *, is_again: bool) -> bool:
        tries = 0
        while True:
            try:
                is_known = await self.call.send(document)
            except NotTaken:
                self.counts["retries"] += 1
                await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
                continue
            except Refused as refusal:
                self.counts["refused"] += 1
                await self.journal.write("refused", document.number, text=str(refusal))
                return False
            if is_again and not is_known:
                await self.journal.write("odd", document.number, text="a repeat was not known")
            return True

    async def _report(self, document: Document) -> None:
        door = self.mes[document.plant.plant_id]
        number = await door.send(document)
        await self.journal.write("ack", document.number, mes=number)
        self.counts["acked"] += 1
        if self.chance.random() < AGAIN_SHARE:
            self.counts["again"] += 1
            await door.again(number)

    # --- the shift

    def _begin(self, order: Order, kind: str, *, by_call: bool) -> None:
        order.quiet.clear()
        task = asyncio.create_task(self._enter(order, kind, by_call=by_call))
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()
            self.stopping.set()

    async def run(self) -> None:
        for door in self.mes.values():
            await door.learn_orders()
        finishing = asyncio.gather(self._finish_some(), self._slip())
        begun, made = time.monotonic(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - begun) * self.rate) - made
            for _ in range(due):
                made += 1
                order = self._pick()
                if order is None or len(self.tasks) >= UNDER_WAY_MOST:
                    self.counts["held"] += 1
                    continue
                kind = "pallet" if self.chance.random() < PALLET_SHARE else "piece"
                self._begin(order, kind, by_call=self.chance.random() < CALL_SHARE)
            self._tell()
            await asyncio.sleep(TICK)
        finishing.cancel()
        if self.failure is not None:
            raise self.failure
        await self._finish([order for order in self.orders if order.is_open and order.plant.has_erp])
        while self.tasks:
            await asyncio.wait(self.tasks)
        self._tell()

    def _tell(self) -> None:
        part = self.status.with_suffix(".part")
        part.write_text(json.dumps({**self.counts, "under_way": len(self.tasks), "at": time.time()}))
        part.replace(self.status)

    async def _slip(self) -> None:
        """Now and then someone names an operation that is none, or the wrong unit; the support desk puts it right."""
        chance = random.Random(len(self.orders))
        count = 0
        while self.slips != [""]:
            await asyncio.sleep(self.slip_seconds)
            count += 1
            quiet = [o for o in self.orders if o.is_open and o.order_id.endswith(QUIET)]
            if "operation" in self.slips and quiet:
                self._begin(chance.choice(quiet), "operation", by_call=False)
            if "unit" in self.slips:  # production takes it, for the order has no other unit yet; the ledger does not
                # The first use of the lot is by an order whose ledger lane is never parked, so that its unit stands first.
                one, *others = [o for o in self.orders if not o.plant.has_erp]
                other = chance.choice(others)
                await self._enter(one, "piece", f"U-{count}", by_call=True)
                await self._enter(other, "unit", f"U-{count}", by_call=True)

    async def _finish_some(self) -> None:
        """One cold order after another is completed while the load goes on, as far as half of them."""
        cold = [order for order in self.orders if order.plant.has_erp and order.order_id != HOT_ORDER]
        for order in sorted(cold, key=lambda o: o.order_id[::-1])[: len(cold) // 2]:
            await asyncio.sleep(self.finishing)
            await self._finish([order])

    async def _finish(self, orders: list[Order]) -> None:
        """The last confirmation of an order stands behind all others of it: in its MES, after the calls are answered."""
        for order in orders:
            order.is_open = False
        for order in orders:
            while order.under_way:
                order.quiet.clear()
                await order.quiet.wait()
            await self._enter(order, "final", by_call=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--status", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=220)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--finish-seconds", type=float, default=30)
    parser.add_argument("--slip-seconds", type=float, default=8)
    parser.add_argument("--slips", default="", help="mistakes of people: operation, unit")
    told = parser.parse_args()

    async def serve() -> None:
        load = Load(told)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, load.stopping.set)
        await load.run()

    uvloop.run(serve())


if __name__ == "__main__":
    main()
