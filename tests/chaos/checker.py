"""The checker: compares what was acknowledged with every system's books, as sets and sums. Shares no code with them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from deploy.local import readback
from tests.chaos import books
from tests.chaos.books import SCALE, Fact

KINDS = ("lost", "duplicated", "phantom", "inverted", "unbalanced")
Sums = dict[tuple[str, ...], Decimal]


@dataclass
class Verdict:
    """What is wrong, by kind, in words; and what was compared, so that an empty comparison is seen."""

    wrong: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    compared: dict[str, int] = field(default_factory=dict)

    def say(self, kind: str, texts: Iterable[str]) -> None:
        self.wrong[kind] += texts

    @property
    def is_clean(self) -> bool:
        return not any(self.wrong.values())

    def line(self) -> str:
        return " ".join(f"{kind}={len(self.wrong[kind])}" for kind in KINDS)

    def same_set(self, name: str, expected: Mapping[str, int], found: Mapping[str, int]) -> None:
        """Each expected once: what is missing is lost, what comes twice is duplicated."""
        self.compared[name] = len(expected)
        self.say("lost", (f"{name}: {number}" for number in expected if number not in found))
        self.no_more(name, expected, found)

    def no_more(self, name: str, allowed: Mapping[str, int], found: Mapping[str, int]) -> None:
        self.say("phantom", (f"{name}: {number}" for number in found if number not in allowed))
        self.say("duplicated", (f"{name}: {number} {count} times" for number, count in found.items() if count > 1))

    def same_sums(self, name: str, one: Sums, other: Sums) -> None:
        self.compared[name] = len({*one, *other})
        for key in sorted({*one, *other}):
            left, right = one.get(key, Decimal(0)), other.get(key, Decimal(0))
            if left != right:
                self.say("unbalanced", [f"{name}: {'/'.join(key)} is {left}, not {right}"])


@dataclass
class Journal:
    """What the load wrote down."""

    tried: dict[str, dict[str, Any]] = field(default_factory=dict)
    acked: dict[str, float] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Journal:
        journal = cls()
        for text in path.read_text().splitlines() if path.exists() else []:
            line = json.loads(text)
            if line["what"] == "try":
                journal.tried[line["number"]] = line
            elif line["what"] == "ack":
                journal.acked[line["number"]] = line["at"]
            else:
                journal.odd.append(f"{line['what']} {line['number']}: {line.get('text', '')}")
        return journal


def check(home: Path, story: Mapping[str, Any], erps: Iterable[str], verdict: Verdict) -> None:
    """Adds what is wrong to the verdict; what was found stays there if books further on can't be read.

    `story`: the plants' recipes. `erps`: plants whose ERP can be asked.
    """
    journal = Journal.read(home / "load.jsonl")
    hub = {
        row["confirmation_id"]: row
        for row in books.rows(home / "data" / "production.db", "SELECT * FROM confirmations")
    }
    verdict.say("phantom", journal.odd)
    _documents(home, verdict, journal, hub)
    _contents(verdict, journal, hub, story)
    _production_sums(home, verdict, hub)
    _facts(home, verdict, hub)
    if (home / "data" / "inventory.db").exists():
        _inventory(home, verdict, hub, story)
    _conservation(home, verdict)
    _conflicts(home, verdict)
    for plant in erps:
        _erp(home, verdict, plant)
    if (home / "wms" / "wms.db").exists():
        _warehouse(home, verdict)


def _documents(home: Path, verdict: Verdict, journal: Journal, hub: Mapping[str, Any]) -> None:
    """Acknowledged, entered in a MES, taken by a bridge, booked at the hub."""
    at_hub = Counter(row["operator_id"] for row in hub.values())
    mes, plant = books.mes_reports(home), books.plant_ledger(home)
    acked_by_mes = {n: 1 for n in journal.acked if journal.tried[n]["door"] == "mes"}
    acked_at_hub = {n: c for n, c in at_hub.items() if n in journal.acked}
    verdict.same_set("acknowledged documents at the hub", dict.fromkeys(journal.acked, 1), acked_at_hub)
    verdict.no_more("documents at the hub that nobody sent", journal.tried, at_hub)
    verdict.same_set(
        "acknowledged reports in the MES", acked_by_mes, {n: c for n, c in mes.items() if n in acked_by_mes}
    )
    verdict.no_more("reports in the MES that nobody entered", journal.tried, mes)
    verdict.same_set("reports of the MES in the plant's ledger", mes, plant)
    from_plants = Counter(row["operator_id"] for row in hub.values() if row["source_system"].startswith("mes-"))
    verdict.same_set("the plant's ledger at the hub", plant, from_plants)


def _contents(verdict: Verdict, journal: Journal, hub: Mapping[str, Any], story: Mapping[str, Any]) -> None:
    """What is booked is what was said."""
    for row in hub.values():
        said = journal.tried.get(row["operator_id"])
        if said is None:
            continue
        is_piece = not said["lot"]
        used = {item: Decimal(amount) for item, _, amount, _ in json.loads(row["consumptions"])}
        recipe = {i: Decimal(q) for i, q in story[row["plant_id"]]["recipe"].items()} if is_piece else {}
        booked = (row["work_order_id"], row["operation_sequence"], Decimal(row["good"]) / SCALE, row["output_lot_id"])
        if booked != (said["order"], said["operation"], Decimal(said["good"]), said["lot"]) or used != recipe:
            verdict.say("unbalanced", [f"{row['operator_id']} is booked as {booked}, {used}"])


def _conservation(home: Path, verdict: Verdict) -> None:
    """What each consumer counted as taken in is what it counted as done with, and what stands in its lanes."""
    for service, path in books.services(home).items():
        if not books.rows(path, "SELECT 1 FROM sqlite_master WHERE name = 'fact_count'"):
            continue
        sums = "SELECT consumer, outcome = 'in' AS is_in, SUM(facts) AS facts FROM fact_count GROUP BY 1, 2"
        lanes = "SELECT consumer, 0 AS is_in, COUNT(*) AS facts FROM lane_fact WHERE consumer NOT LIKE 'postings:%' GROUP BY 1"
        came: Sums = defaultdict(Decimal)
        became: Sums = defaultdict(Decimal)
        for row in [*books.rows(path, sums), *books.rows(path, lanes)]:
            (came if row["is_in"] else became)[row["consumer"],] += row["facts"]
        verdict.same_sums(f"facts that {service} took in", came, became)


def _standing(hub: Mapping[str, Any]) -> list[Any]:
    """Confirmations that were not taken back."""
    return [row for row in hub.values() if not row["is_reversed"]]


def _production_sums(home: Path, verdict: Verdict, hub: Mapping[str, Any]) -> None:
    """An order's running figures are the sums of its confirmations."""
    by_operation: Sums = defaultdict(Decimal)
    by_order: Sums = defaultdict(Decimal)
    totals: Sums = defaultdict(Decimal)
    for row in _standing(hub):
        order, good = row["work_order_id"], Decimal(row["good"]) / SCALE
        by_operation[order, str(row["operation_sequence"])] += good
        for item, lot, amount, _ in json.loads(row["consumptions"]):
            totals[order, "consumption", item, lot] += Decimal(amount)
        if row["output_lot_id"]:
            by_order[(order,)] += good
            totals[order, "output", row["output_lot_id"], ""] += good
    path = home / "data" / "production.db"
    operations = books.rows(path, "SELECT * FROM operations")
    orders = books.rows(path, "SELECT * FROM work_orders")
    running = books.rows(path, "SELECT * FROM work_order_totals WHERE total_kind <> 'labour'")
    verdict.same_sums(
        "operations",
        by_operation,
        {(r["work_order_id"], str(r["sequence"])): Decimal(r["good"]) / SCALE for r in operations},
    )
    verdict.same_sums("orders", by_order, {(r["work_order_id"],): Decimal(r["good"]) / SCALE for r in orders})
    names = ("work_order_id", "total_kind", "name", "lot_id")
    verdict.same_sums("totals", totals, {tuple(r[n] for n in names): Decimal(r["quantity"]) / SCALE for r in running})


def _facts(home: Path, verdict: Verdict, hub: Mapping[str, Any]) -> None:
    """Each booking was said once, and effects follow the order in which their causes were committed."""
    documents = {f"{r['source_system']}/{r['document_number']}": 1 for r in hub.values()}
    confirmed = books.facts(home / "data" / "production.db", "OperationConfirmed")
    verdict.same_set("bookings that were said", documents, Counter(fact.document for fact in confirmed))
    for plant, path in books.bridges(home).items():
        _in_order(verdict, f"bridge of {plant} and production", books.facts(path, "ConfirmationReported"), confirmed)
    moved = books.facts(home / "data" / "inventory.db", "InventoryMoved")
    moved = [fact for fact in moved if fact.document in documents]
    verdict.no_more("movements that were said", documents, Counter(fact.document for fact in moved))
    _in_order(verdict, "production and inventory", confirmed, moved)


def _in_order(verdict: Verdict, name: str, causes: list[Fact], effects: list[Fact]) -> None:
    """Per order key: the effects' documents in the order of their causes."""
    rank = {fact.document: fact.sequence for fact in causes}
    last: dict[str, tuple[int, str]] = {}
    seen: set[str] = set()
    count = 0
    for fact in effects:
        if fact.document not in rank or fact.document in seen:
            continue
        seen.add(fact.document)
        count += 1
        before = last.get(fact.order_key, (0, ""))
        if rank[fact.document] < before[0]:
            verdict.say("inverted", [f"{name}: {fact.document} after {before[1]} in {fact.order_key}"])
        last[fact.order_key] = (rank[fact.document], fact.document)
    verdict.compared[f"order of {name}"] = count


def _inventory(home: Path, verdict: Verdict, hub: Mapping[str, Any], story: Mapping[str, Any]) -> None:
    """The ledger holds each booking's lines, and stock is the sum of the ledger."""
    path = home / "data" / "inventory.db"
    lines = books.rows(path, "SELECT * FROM inventory_transactions")
    of_orders = [line for line in lines if line["movement"] in ("consumption", "output", "scrap")]
    documents = (line["document_id"].removesuffix("/reversed") for line in of_orders)
    verdict.same_set("bookings in the ledger", hub, dict.fromkeys(documents, 1))
    wanted: Sums = defaultdict(Decimal)
    for row in _standing(hub):
        for item, lot, amount, _ in json.loads(row["consumptions"]):
            wanted[row["work_order_id"], item, lot] -= Decimal(amount)
        if row["output_lot_id"]:
            item = story[row["plant_id"]]["item"]
            wanted[row["work_order_id"], item, row["output_lot_id"]] += Decimal(row["good"]) / SCALE
    booked: Sums = defaultdict(Decimal)
    for line in of_orders:
        booked[line["work_order_id"], line["item_id"], line["lot_id"]] += Decimal(line["quantity"]) / SCALE
    verdict.same_sums("ledger by order", wanted, booked)
    places = ("plant_id", "item_id", "lot_id", "location_id")
    ledger: Sums = defaultdict(Decimal)
    for line in lines:
        ledger[tuple(line[name] for name in places)] += Decimal(line["quantity"]) / SCALE
    stocks = {
        tuple(s[n] for n in places): Decimal(s["quantity"]) / SCALE for s in books.rows(path, "SELECT * FROM stocks")
    }
    verdict.same_sums("stock", ledger, stocks)


def stream_in_order(verdict: Verdict, slot: str, numbers: Iterable[int]) -> None:
    """Where nobody asked for a repeat and nothing was lost, a stream holds each fact once and in order."""
    last = 0
    for number in numbers:
        if number != last + 1:
            verdict.say("inverted", [f"stream {slot}: {number} stands behind {last}"])
        last = number
    verdict.compared[f"stream {slot}"] = last


def _conflicts(home: Path, verdict: Verdict) -> None:
    """The load never says two things under one key."""
    for name, path in books.services(home).items():
        for row in books.rows(path, "SELECT * FROM conflicts"):
            verdict.say("phantom", [f"{name} keeps a conflict: {row['document_number']}"])


def _erp(home: Path, verdict: Verdict, plant: str) -> None:
    """What an ERP booked for a completed order is what the hub collected; what is complete here is complete there."""
    path = home / "data" / "production.db"
    seed = json.loads((home / "erp" / plant / "seed.json").read_text())
    erp = readback.Erp(seed).orders(plant)
    sql = "SELECT work_order_id FROM work_orders WHERE state = 'completed' AND plant_id = ?"
    complete = {row[0]: 1 for row in books.rows(path, sql, (plant,))}
    closed = {order: 1 for order, book in erp.items() if book.is_closed}
    verdict.same_set(f"orders completed in the ERP of {plant}", complete, closed)
    wanted: Sums = defaultdict(Decimal)
    found: Sums = defaultdict(Decimal)
    for row in books.rows(path, "SELECT * FROM work_order_totals"):
        if row["work_order_id"] not in complete or row["total_kind"] == "labour":
            continue
        is_used = row["total_kind"] == "consumption"
        name = f"{row['name']}/{row['lot_id']}" if is_used else f"{seed['item']}/{row['name']}"
        wanted[row["work_order_id"], row["total_kind"], name] += Decimal(row["quantity"]) / SCALE
    for order in complete:
        for kind, sums in (("consumption", erp[order].consumed), ("output", erp[order].produced)):
            for name, value in sums.items():
                found[order, kind, name] += value
    verdict.same_sums(f"ERP of {plant}", wanted, found)


def _warehouse(home: Path, verdict: Verdict) -> None:
    """Each output was announced once, was taken in once, and what left is what the ledger says left."""
    wms, path = home / "wms" / "wms.db", home / "data" / "inventory.db"
    lines = books.rows(path, "SELECT * FROM inventory_transactions")
    outputs = {line["document_id"]: 1 for line in lines if line["movement"] == "output"}
    inbound = books.rows(wms, "SELECT client_reference, content FROM inbound")
    verdict.same_set("outputs announced to the warehouse", outputs, Counter(row["client_reference"] for row in inbound))
    taken_in: Sums = defaultdict(Decimal)
    for row in inbound:
        said = json.loads(row["content"])
        taken_in[said["site"], said["sku"], said["lot"]] += Decimal(said["quantity"])
    received: Sums = defaultdict(Decimal)
    for line in lines:
        if line["movement"] == "transfer" and line["quantity"] > 0:
            received[line["plant_id"], line["item_id"], line["lot_id"]] += Decimal(line["quantity"]) / SCALE
    verdict.same_sums("receipts", taken_in, received)
    shipped: Sums = defaultdict(Decimal)
    for row in books.rows(wms, "SELECT site, picks FROM outbound WHERE status = 'shipped'"):
        for pick in json.loads(row["picks"]):
            shipped[row["site"], pick["sku"], pick["lot"]] -= Decimal(pick["quantity"])
    left: Sums = defaultdict(Decimal)
    for line in lines:
        if line["movement"] == "shipment":
            left[line["plant_id"], line["item_id"], line["lot_id"]] += Decimal(line["quantity"]) / SCALE
    verdict.same_sums("shipments", shipped, left)


def recoveries(home: Path, ends: Iterable[tuple[float, Iterable[tuple[str, str]]]]) -> list[float]:
    """For the end of each fault, and each plant and door ("": any) that it touched: seconds until a confirmation that
    was begun afterwards was acknowledged and stood in the hub's ledger. Never: left out, for the load was over."""
    journal = Journal.read(home / "load.jsonl")
    sql = "SELECT document_id, MIN(record_time) AS at FROM inventory_transactions GROUP BY document_id"
    ledger = {row["document_id"]: row["at"] / 1e6 for row in books.rows(home / "data" / "inventory.db", sql)}
    sql = "SELECT confirmation_id, operator_id, plant_id FROM confirmations"
    known: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for row in books.rows(home / "data" / "production.db", sql):
        number = row["operator_id"]
        if number in journal.acked and row["confirmation_id"] in ledger:
            said = journal.tried[number]
            done = max(journal.acked[number], ledger[row["confirmation_id"]])
            known[row["plant_id"]].append((said["at"], done, said["door"]))
    found = []
    for end, touched in ends:
        for plant, door in touched:
            after = [done - end for begun, done, by in known[plant] if begun >= end and door in ("", by)]
            if after:
                found.append(round(min(after), 2))
    return found
