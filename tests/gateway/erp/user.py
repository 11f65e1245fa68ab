"""A user of a real Tryton who speaks its JSON-RPC raw: plays planners and other people, and reads back what is so.

Standard library only, so that what the adapter does is judged by other code than its own.
"""

from __future__ import annotations

import base64
import gzip
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

RELEASED_BY = "wait"


@dataclass(frozen=True)
class Answer:
    """Status, headers and body as they came, and the JSON in it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        plain = gzip.decompress(self.body) if self.body[:2] == b"\x1f\x8b" else self.body
        return json.loads(plain, parse_float=Decimal)

    @property
    def error(self) -> list[Any] | None:
        return self.json.get("error") if self.status == 200 else None


class ErpError(Exception):
    """The ERP answered with an error."""


def today() -> date:
    return datetime.now(UTC).date()


def tagged_date(day: date) -> dict[str, Any]:
    return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}


def instant(value: Any) -> datetime | None:
    """A tagged datetime."""
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return datetime(*(value[part] for part in parts), tzinfo=UTC) if value else None


class TrytonUser:
    """One logged-in user."""

    def __init__(self, seed: dict[str, Any], user: str) -> None:
        self.seed, self.is_new = seed, int(seed["series"].split(".")[0]) >= 8
        self.unit = "unit" if self.is_new else "uom"
        self.finish = "do" if self.is_new else "done"
        self.root = f"http://localhost:{seed['port']}"
        self.path = "/erp/rpc/" if self.is_new else "/erp/"
        self.headers: dict[str, str] = {}
        self.context: dict[str, Any] = {}
        self.login = self.post(self.path, "common.db.login", [user, {"password": seed["users"][user]}, "en"]).json[
            "result"
        ]
        session = base64.b64encode(f"{user}:{self.login[0]}:{self.login[1]}".encode()).decode()
        self.headers = {"Authorization": f"Session {session}"}
        self.context = self.post(self.path, "model.res.user.get_preferences", [True, {}]).json["result"]

    def post(self, path: str, method: str, params: list[Any], **headers: str) -> Answer:
        """One request, whatever comes back."""
        said = {"Content-Type": "application/json", "Accept-Encoding": "gzip", **self.headers}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps({"id": 1, "method": method, "params": params}, default=float).encode()
        request = urllib.request.Request(f"{self.root}{path}", body, said)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, dict(refused.headers), refused.read())

    def ask(self, model: str, method: str, *arguments: Any, context: dict[str, Any] | None = None) -> Answer:
        """A method of a model, with the user's context; whatever comes back."""
        return self.post(self.path, f"model.{model}.{method}", [*arguments, {**self.context, **(context or {})}])

    def call(self, model: str, method: str, *arguments: Any, context: dict[str, Any] | None = None) -> Any:
        """The same, for its result."""
        answer = self.ask(model, method, *arguments, context=context)
        if answer.status != 200 or answer.error:
            raise ErpError(f"{model}.{method}: HTTP {answer.status} {answer.error}")
        return answer.json["result"]

    def read(self, model: str, number: int, *fields: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call(model, "read", [number], list(fields))[0]
        return found

    def search(self, model: str, domain: list[Any], *fields: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call(model, "search_read", domain, 0, None, [["id", "ASC"]], list(fields))
        return found

    def state(self, model: str, number: int) -> str:
        return str(self.read(model, number, "state")["state"])

    # --- what planners do

    def draft_order(self, quantity: str, reference: str = "") -> int:
        """A copy of the seeded draft, scaled: an order as a planner makes one."""
        (number,) = self.call("production", "copy", [self.seed["drafts"][0]["id"]], {})
        factor = Decimal(quantity) / Decimal(self.seed["drafts"][0]["quantity"])
        order = self.read("production", number, "inputs", "outputs")
        for move in self.moves([*order["inputs"], *order["outputs"]]):
            self.call("stock.move", "write", [move["id"]], {"quantity": Decimal(move["quantity"]) * factor})
        self.call("production", "write", [number], {"quantity": Decimal(quantity), "reference": reference})
        return int(number)

    def released_order(self, quantity: str) -> tuple[int, str]:
        """Id and number of a new waiting order."""
        number = self.draft_order(quantity)
        self.call("production", RELEASED_BY, [number])
        return number, str(self.read("production", number, "number")["number"])

    def delivery(self, quantity: str) -> tuple[int, str]:
        """Id and number of a new waiting delivery: of a sale that is served from stock."""
        template = self.read("product.product", self.seed["products"][self.seed["item"]], "template")["template"]
        rule = self.read("product.template", template, "supply_on_sale")
        self.call("product.template", "write", [template], {"supply_on_sale": None if self.is_new else False})
        try:
            sale = self._sale(quantity)
        finally:
            self.call("product.template", "write", [template], {"supply_on_sale": rule["supply_on_sale"]})
        (number,) = self.read("sale.sale", sale, "shipments")["shipments"]
        return int(number), str(self.read("stock.shipment.out", number, "number")["number"])

    def sold(self, quantity: str) -> tuple[str, int]:
        """Number of a new sale, and the production that it asks for, released by the planner."""
        sale = self._sale(quantity)
        (wanted,) = self.search("production", [["origin.sale", "=", sale, "sale.line"]], "state")
        seeded = self.read("production", self.seed["drafts"][0]["id"], "routing", "work_center")
        self.call("production", "write", [wanted["id"]], {name: seeded[name] for name in ("routing", "work_center")})
        for step in ("draft", RELEASED_BY):
            self.call("production", step, [wanted["id"]])
        return str(self.read("sale.sale", sale, "number")["number"]), int(wanted["id"])

    def _sale(self, quantity: str) -> int:
        """A copy of the seeded sale with another quantity, confirmed."""
        (sale,) = self.call("sale.sale", "copy", [self.seed["sales"][0]["id"]], {})
        lines = self.read("sale.sale", sale, "lines")["lines"]
        self.call("sale.line", "write", lines, {"quantity": Decimal(quantity)})
        for step in ("quote", "confirm", "process"):
            self.call("sale.sale", step, [sale])
        return int(sale)

    def count(self, item_id: str, lot_id: str, quantity: str) -> None:
        """A stock taking: so much is there now."""
        line: dict[str, Any] = {"product": self.seed["products"][item_id], "quantity": Decimal(quantity)}
        if lot_id:
            line["lot"] = self.lot(item_id, lot_id)
        values = {
            "location": self.seed["locations"]["storage"],
            "date": tagged_date(today()),
            "company": self.seed["company"],
            "lines": [["create", [line]]],
        }
        (number,) = self.call("stock.inventory", "create", [values])
        self.call("stock.inventory", "confirm", [number])

    def lots(self, item_id: str, lot_id: str) -> list[int]:
        domain = [["number", "=", lot_id], ["product", "=", self.seed["products"][item_id]]]
        return [lot["id"] for lot in self.search("stock.lot", domain, "number")]

    def lot(self, item_id: str, lot_id: str) -> int:
        found = self.lots(item_id, lot_id)
        if found:
            return found[0]
        values = {"number": lot_id, "product": self.seed["products"][item_id]}
        return int(self.call("stock.lot", "create", [values])[0])

    # --- what is so

    def moves(self, ids: list[int]) -> list[dict[str, Any]]:
        fields = ["product.code", "lot.number", "quantity", "state", "to_location", "unit_price", f"{self.unit}.symbol"]
        found = self.call("stock.move", "read", ids, fields) if ids else []
        return sorted(found, key=lambda move: move["id"])

    def sums(self, ids: list[int], state: str = "done") -> dict[tuple[str, str], Decimal]:
        """Quantities by item and lot."""
        sums: dict[tuple[str, str], Decimal] = {}
        for move in self.moves(ids):
            if move["state"] == state:
                key = (move["product."]["code"], (move["lot."] or {}).get("number") or "")
                sums[key] = sums.get(key, Decimal(0)) + Decimal(move["quantity"])
        return sums

    def stock(self, item_id: str, lot_id: str = "", place: str = "storage") -> Decimal:
        """What is there of an item, or of a lot."""
        places = {
            "locations": [self.seed["locations"][place]],
            "with_childs": True,
            "stock_date_end": tagged_date(today()),
        }
        model, number = "product.product", self.seed["products"][item_id]
        if lot_id:
            model, number = "stock.lot", self.lot(item_id, lot_id)
        return Decimal(self.call(model, "read", [number], ["quantity"], context=places)[0]["quantity"] or 0)
