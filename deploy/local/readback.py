"""Reads ERPs, MES and WMS back by their own HTTP and SQL and compares them: shares no code with what it checks.

Standard library only. What it says of a work order is four sets of sums: what went in by item and lot, what came out by
lot, what was lost, and what left by lot.
"""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import urllib.request
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

Sums = dict[str, Decimal]


@dataclass
class Books:
    """One system's view of one work order; amounts by "item/lot"."""

    consumed: Sums = field(default_factory=lambda: defaultdict(Decimal))
    produced: Sums = field(default_factory=lambda: defaultdict(Decimal))
    scrapped: Decimal = Decimal(0)
    is_closed: bool = False

    def figures(self) -> tuple[dict[str, Decimal], dict[str, Decimal], Decimal]:
        return _nonzero(self.consumed), _nonzero(self.produced), self.scrapped


def _nonzero(sums: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {key: value.normalize() for key, value in sorted(sums.items()) if value}


def fetch(url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        raw = answer.read()
    return json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw, parse_float=Decimal)


class Erp:
    """A Tryton, by its JSON-RPC, with what differs between the two releases said here again."""

    def __init__(self, seed: Mapping[str, Any], user: str = "gateway") -> None:
        self.is_new = int(seed["series"].split(".")[0]) >= 8
        self.url = f"http://localhost:{seed['port']}/erp/" + ("rpc/" if self.is_new else "")
        self.headers: dict[str, str] = {}
        self.context: dict[str, Any] = {}
        login = self.call("common.db.login", user, {"password": seed["users"][user]}, "en", plain=True)
        token = base64.b64encode(f"{user}:{login[0]}:{login[1]}".encode()).decode()
        self.headers = {"Authorization": f"Session {token}", "Accept-Encoding": "gzip"}
        self.context = self.call("model.res.user.get_preferences", True, {}, plain=True)

    def call(self, method: str, *arguments: Any, plain: bool = False) -> Any:
        parameters = list(arguments) if plain else [*arguments, self.context]
        answer = fetch(self.url, {"id": 1, "method": method, "params": parameters}, self.headers)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def search(self, model: str, domain: list[Any], fields: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call(f"model.{model}.search_read", domain, 0, None, [["id", "ASC"]], fields)
        return found

    def orders(self, plant: str) -> dict[str, Books]:
        """Every released order, with its corrections, by "<plant>-<number>"."""
        books: dict[str, Books] = {}
        fields = ["number", "state", "inputs", "outputs", "location"]
        for order in self.search("production", [["number", "!=", None]], fields):
            book = books[f"{plant}-{order['number']}"] = Books(is_closed=order["state"] == "done")
            for move in self._moves([*order["inputs"], *order["outputs"]]):
                value = Decimal(move["quantity"])
                if move["to_location"] == order["location"]:
                    book.consumed[_key(move)] += value
                elif (move["to_location."] or {}).get("code") == "SCRAP":
                    book.scrapped += value
                else:
                    book.produced[_key(move)] += value
        self._correct(books)
        return books

    def _correct(self, books: dict[str, Books]) -> None:
        """Internal shipments whose reference begins with an order's id put right what its completion said."""
        domain = [["state", "=", "done"], ["reference", "!=", None]]
        for shipment in self.search("stock.shipment.internal", domain, ["reference", "moves", "to_location.code"]):
            order = (shipment["reference"] or "").split("/")[0]
            if order not in books:
                continue
            sign = -1 if (shipment["to_location."] or {}).get("code") == "CORRECTION" else 1
            made = {key.split("/")[0] for key in books[order].produced}
            for move in self._moves(shipment["moves"]):
                value = sign * Decimal(move["quantity"])
                if move["product."]["code"] in made:
                    books[order].produced[_key(move)] += value
                else:
                    books[order].consumed[_key(move)] -= value

    def _moves(self, ids: list[int]) -> list[dict[str, Any]]:
        """Those that are done. Sought, not read: an ERP that makes moves anew while we read refuses ids that are gone."""
        fields = ["product.code", "lot.number", "quantity", "to_location", "to_location.code"]
        return self.search("stock.move", [["id", "in", ids], ["state", "=", "done"]], fields) if ids else []

    def deliveries(self) -> dict[str, tuple[bool, dict[str, Decimal]]]:
        """By number: whether it is done, and what left by item and lot."""
        found = {}
        for delivery in self.search("stock.shipment.out", [], ["number", "state", "outgoing_moves"]):
            left: Sums = defaultdict(Decimal)
            for move in self._moves(delivery["outgoing_moves"]):
                left[_key(move)] += Decimal(move["quantity"])
            found[delivery["number"]] = (delivery["state"] == "done", _nonzero(left))
        return found

    def sales(self) -> dict[str, tuple[str, list[str]]]:
        """By number: how far its goods are, and the orders that are made for it."""
        found = {
            sale["id"]: (sale["number"], sale["shipment_state"])
            for sale in self.search("sale.sale", [], ["number", "shipment_state"])
        }
        lines = {f"sale.line,{line['id']}": line["sale"] for line in self.search("sale.line", [], ["sale"])}
        orders = self.search("production", [["origin", "like", "sale.line,%"]], ["number", "origin"])
        return {
            number: (state, [order["number"] for order in orders if lines[order["origin"]] == sale])
            for sale, (number, state) in found.items()
        }

    def inspections(self) -> dict[str, tuple[str, int]]:
        """By our id of the inspection: its state, and how many alerts it raised."""
        found = self.search("quality.inspection", [], ["reference", "state", "alerts"])
        return {one["reference"]: (one["state"], len(one["alerts"])) for one in found}

    def lots_at(self, location: int, item: int) -> dict[str, Decimal]:
        """What a place holds of an item, by lot."""
        today = date.today()  # noqa: DTZ011 - a plant calendar day
        day = {"__class__": "date", "year": today.year, "month": today.month, "day": today.day}
        context = {**self.context, "locations": [location], "with_childs": True, "stock_date_end": day}
        domain = [["product", "=", item]]
        asked = [domain, 0, None, None, ["number", "quantity"], context]
        found = self.call("model.stock.lot.search_read", *asked, plain=True)
        return _nonzero({lot["number"]: Decimal(lot["quantity"] or 0) for lot in found})

    def spare_parts(self, like: str) -> list[str]:
        """What is requested for maintenance by references like this: "item quantity state"."""
        fields = ["reference", "state", "moves"]
        found = self.search("stock.shipment.internal", [["reference", "like", like]], fields)
        asked = []
        for shipment in found:
            moves = self.call("model.stock.move.read", shipment["moves"], ["product.code", "quantity"])
            asked += [
                f"{m['product.']['code']} {Decimal(m['quantity']).normalize():f} {shipment['state']}" for m in moves
            ]
        return sorted(asked)

    def notes(self, model: str) -> list[str]:
        """Notes on records of a model."""
        found = self.search("ir.note", [["resource", "like", f"{model},%"]], ["message"])
        return [str(note["message"]) for note in found]

    def costs(self) -> dict[str, Decimal]:
        return {
            o["number"]: Decimal(o["cost"]["decimal"])
            for o in self.search("production", [["state", "=", "done"]], ["number", "cost"])
        }


def _key(move: Mapping[str, Any]) -> str:
    lot = (move.get("lot.") or {}).get("number") or ""
    return f"{move['product.']['code']}/{lot}"


def rest_mes(url: str) -> dict[str, Books]:
    """The assembly MES, by the reference under which it was given each order."""
    names = {o["auftragsnummer"]: o for o in fetch(f"{url}/api/auftraege")["auftraege"]}
    reports: dict[str, Any] = {}
    cancelled = set()
    after = 0
    while page := fetch(f"{url}/api/meldungen?nach={after}&max=500")["meldungen"]:
        after = page[-1]["lfd"]
        for report in page:
            reports.setdefault(report["meldung"], report)  # a report sent again is the same report
            if report.get("storno_von"):
                cancelled.add(report["storno_von"])
    books = {order["fremdreferenz"]: Books(is_closed=order["status"] == "FERTIG") for order in names.values()}
    for number, report in reports.items():
        if number in cancelled or report.get("storno_von"):
            continue
        order = names[report["auftrag"]]
        last = order["arbeitsgaenge"][-1]["vorgang"]
        book = books[order["fremdreferenz"]]
        for used in report["verbrauch"]:
            book.consumed[f"{used['artikel']}/{used['charge']}"] += _comma(used["menge"])
        book.scrapped += sum((_comma(lost["menge"]) for lost in report["ausschuss"]), Decimal(0))
        if report["vorgang"] == last:
            book.produced[f"{order['artikel']}/{report['charge_aus']}"] += _comma(report["gut"])
    return books


def _comma(text: str) -> Decimal:
    return Decimal(str(text).replace(",", "."))


def staging_mes(path: Path, corrected: Mapping[int, Mapping[str, str]]) -> dict[str, Books]:
    """The legacy MES, by the order it was given. `corrected`: rows that a person set right, by row id."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        orders = {row["MES_NO"]: row for row in connection.execute("SELECT * FROM MES_ORDERS")}
        books = {row["EXT_ORDER"]: Books(is_closed=row["STATE"] == "HOTOVO") for row in orders.values()}
        rows = connection.execute("SELECT * FROM CONFIRM_OUT ORDER BY ROW_ID").fetchall()
        cancelled = {row["CANCELS"] for row in rows if row["CANCELS"]}
        for row in rows:
            if str(row["ROW_ID"]) in cancelled or row["CANCELS"]:
                continue
            values = {**dict(row), **corrected.get(row["ROW_ID"], {})}
            order = orders[values["MES_NO"]]
            book = books[order["EXT_ORDER"]]
            sql = "SELECT * FROM CONFIRM_PARTS_OUT WHERE CONFIRM_ROW = ?"
            for part in connection.execute(sql, (row["ROW_ID"],)):
                book.consumed[f"{part['ITEM']}/{part['LOT'] or ''}"] += Decimal(part["QTY"])
            book.scrapped += Decimal(values["SCRAP"] or 0)
            if values["LOT_OUT"]:
                book.produced[f"{order['ITEM']}/{values['LOT_OUT']}"] += Decimal(values["GOOD"])
    return books


def batch_mes(url: str) -> dict[str, Books]:
    """The batch executive, by the id under which each batch was created."""
    names = {batch["batch"]: batch for batch in fetch(f"{url}/batches")["batches"]}
    books = {batch["externalId"]: Books(is_closed=batch["state"] == "DONE") for batch in names.values()}
    records = fetch(f"{url}/records?limit=500")["records"]
    voided = {record["voids"] for record in records if record.get("voids")}
    for record in records:
        if record.get("voids") or record["record"] in voided:
            continue
        batch = names[record["batch"]]
        book = books[batch["externalId"]]
        for used in record["charged"]:
            book.consumed[f"{used['material']}/{used['lot']}"] += Decimal(used["value"])
        book.scrapped += Decimal(record["loss"])
        if record["outputLot"]:
            book.produced[f"{batch['recipe']}/{record['outputLot']}"] += Decimal(record["good"])
    return books


def ledger(lines: Iterable[Mapping[str, Any]]) -> dict[str, Books]:
    """The inventory ledger's lines, given as plain values, by work order."""
    books: dict[str, Books] = defaultdict(Books)
    for line in lines:
        key = f"{line['item']}/{line['lot']}"
        value = Decimal(line["quantity"])
        if line["movement"] == "CONSUMPTION":
            books[line["work_order"]].consumed[key] -= value
        elif line["movement"] == "OUTPUT":
            books[line["work_order"]].produced[key] += value
        elif line["movement"] == "SCRAP":
            books[line["work_order"]].scrapped += value
    return books


def differences(name: str, one: Mapping[str, Books], other: Mapping[str, Books]) -> list[str]:
    """Where two systems' books of an order are not equal, in words; an order that only one has is a difference."""
    told = []
    for order in sorted({*one, *other}):
        left, right = one.get(order, Books()).figures(), other.get(order, Books()).figures()
        for what, a, b in zip(("consumed", "produced", "scrap"), left, right, strict=True):
            if a != b:
                told.append(f"{name}: {order} {what}: {a} is not {b}")
    return told


class Wms:
    """The warehouse of these sites."""

    def __init__(self, url: str, api_key: str, sites: Collection[str]) -> None:
        self._url, self._headers, self._sites = url, {"x-api-key": api_key}, sites

    def _items(self, what: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = fetch(f"{self._url}/v2/{what}", headers=self._headers)["items"]
        return [item for item in items if item["site"] in self._sites]

    def blocked(self) -> list[str]:
        """The lots that it picks for nobody: of what was said of a lot, the last holds."""
        latest = {block["lot"]: block["blocked"] for block in self._items("lot-blocks")}
        return sorted(lot for lot, is_blocked in latest.items() if is_blocked)

    def partners(self) -> dict[str, str]:
        """Names of whom the sites deal with, by site and code."""
        return {f"{one['site']}/{one['code']}": one["name"] for one in self._items("directory") if one["active"]}

    def there(self) -> dict[str, Decimal]:
        """What lies in it, by site, item and lot."""
        there: Sums = defaultdict(Decimal)
        for held in self._items("stock"):
            there[f"{held['site']}/{held['sku']}/{held['lot']}"] += Decimal(held["quantity"])
        return _nonzero(there)

    def lots(self) -> dict[str, Decimal]:
        """What came in and is accounted for, by site, item and lot: what is there and what was picked."""
        lots: Sums = defaultdict(Decimal, self.there())
        for order in self._items("outbound-orders"):
            for pick in order["picks"]:
                lots[f"{order['site']}/{pick['sku']}/{pick['lot']}"] += Decimal(pick["quantity"])
        return _nonzero(lots)

    def shipped(self) -> dict[str, dict[str, Decimal]]:
        """What left, by our shipment id, item and lot."""
        found = {}
        for order in self._items("outbound-orders"):
            left: Sums = defaultdict(Decimal)
            for pick in order["picks"] if order["status"] == "shipped" else []:
                left[f"{pick['sku']}/{pick['lot']}"] += Decimal(pick["quantity"])
            found[order["clientReference"]] = _nonzero(left)
        return found


class Qms:
    def __init__(self, url: str, api_key: str) -> None:
        self._url, self._headers = f"{url}/api", {"authorization": f"Bearer {api_key}"}

    def decisions(self) -> dict[str, dict[str, Any]]:
        """What was asked, by lot."""
        found = fetch(f"{self._url}/decisions", headers=self._headers)["items"]
        return {decision["batch"]: decision for decision in found}

    def cases(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = fetch(f"{self._url}/cases", headers=self._headers)["items"]
        return found

    def decide(self, number: str, outcome: str, remark: str = "") -> None:
        """What a quality engineer does at the screen; said again it is a revision."""
        said = {"outcome": outcome, "by": "demo", "remark": remark}
        fetch(f"{self._url}/decisions/{number}/outcome", said, self._headers)


class Cmms:
    def __init__(self, url: str, api_key: str) -> None:
        self._url, self._headers = f"{url}/services/notifications", {"apikey": api_key}

    def notifications(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = fetch(self._url, headers=self._headers)["Notifications"]
        return found

    def complete(self, number: str) -> None:
        """What a planner does at the screen."""
        fetch(f"{self._url}/{int(number)}/complete", {}, self._headers)
