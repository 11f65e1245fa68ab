"""What the cloud WMS holds of a plant: its documents, each with our reference, and its stock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from servicekit import clock
from servicekit.domain import Quantity
from servicekit.postings import Away, NoAnswer
from services.gateway.books import Booking
from services.gateway.partner_http import TIMEOUT
from services.gateway.wms import CODES

# Kinds of documents in the order of their places; a place is the number times this many, plus the kind's.
KINDS = ("inbound-notices", "adjustments", "outbound-orders")


class WmsBooks:
    """Reads the WMS. What it was told of and has not taken in counts as there: it is accounted for."""

    def __init__(self, url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT, headers={"x-api-key": api_key})

    async def _items(self, what: str) -> list[dict[str, Any]]:
        try:
            answer = await self._http.get(f"/v2/{what}")
            answer.raise_for_status()
            items: list[dict[str, Any]] = answer.json(parse_float=Decimal)["items"]
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Away(str(error)) from error
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        return items

    async def bookings(self, plant_id: str, after: int, most: int) -> Sequence[Booking]:
        lines = []
        for number, kind in enumerate(KINDS):
            for item in await self._items(kind):
                place = int(item["id"]) * len(KINDS) + number
                if item["site"] == plant_id and place > after:
                    lines += [_booking(place, item, *line) for line in _lines(kind, item)]
        lines.sort(key=lambda line: (line.place, line.item_id, line.lot_id))
        # A document is never cut in two by the end of a page: its place is one.
        page = lines[:most]
        return [*page, *(line for line in lines[most:] if line.place == page[-1].place)]

    async def stocks(self, plant_id: str) -> Mapping[tuple[str, str], Quantity]:
        """On its shelves, announced to it, and picked but not shipped."""
        sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        units: dict[str, str] = {}
        for kind in KINDS:
            for item in await self._items(kind):
                for sku, lot, quantity, uom in _lines(kind, item) if item["site"] == plant_id else ():
                    units[sku] = uom
                    sums[sku, lot] += quantity if item["status"] == "open" and kind == KINDS[0] else 0
                if item["site"] == plant_id and item["status"] == "picked":
                    for pick in item["picks"]:
                        sums[pick["sku"], pick["lot"]] += Decimal(pick["quantity"])
        for held in await self._items("stock"):
            if held["site"] == plant_id:
                sums[held["sku"], held["lot"]] += Decimal(held["quantity"])
        # Its stock list names no unit: that of its documents holds, and pieces where it has none.
        return {(sku, lot): Quantity(value, CODES[units.get(sku, "EA")]) for (sku, lot), value in sums.items() if value}


def _lines(kind: str, item: Mapping[str, Any]) -> Iterator[tuple[str, str, Decimal, str]]:
    """SKU, lot, signed amount, unit: what came in, was taken back, or left."""
    if kind != "outbound-orders":
        yield item["sku"], item.get("lot") or "", Decimal(str(item["quantity"])), item["uom"]
        return
    units = {line["sku"]: line["uom"] for line in item["lines"]}
    for pick in item["picks"] if item["status"] == "shipped" else ():
        yield pick["sku"], pick["lot"], -Decimal(str(pick["quantity"])), units[pick["sku"]]


def _booking(place: int, item: Mapping[str, Any], sku: str, lot: str, quantity: Decimal, uom: str) -> Booking:
    # The WMS keeps no time of booking that it would tell: nothing of it is older than the ledger.
    return Booking(place, item["clientReference"], True, sku, lot, Quantity(quantity, CODES[uom]), clock.now())
