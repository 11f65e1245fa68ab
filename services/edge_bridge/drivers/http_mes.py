"""What MES that speak JSON over HTTP have in common: a feed that is never emptied, and a journal of what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx

from isthmus.edge.v1.mes_postings_pb2 import TellMaterial
from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from servicekit import foreign
from servicekit.postings import Away, Found, NoAnswer, Posting, Refused
from services.edge_bridge.driver import DriverAway

SETTLE = timedelta(seconds=12)
TIMEOUT = 4.0
PAGE = 100


async def page_of(http: httpx.AsyncClient, path: str, name: str, **params: str) -> list[dict[str, Any]]:
    """A page of a list, amounts exact. Raises DriverAway."""
    try:
        answer = await http.get(path, params=params)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json(parse_float=Decimal)[name]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise DriverAway(f"{type(error).__name__}: {error}") from error
    return found


class FeedMes:
    """An MES whose feed is never emptied, and so is its book as well: our position in it is enough."""

    def __init__(self, connector_id: str, url: str) -> None:
        self.connector_id = connector_id
        self.http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT)

    async def booked(self, position: str, most: int) -> Sequence[tuple[PlantRecord, str]]:
        raise NotImplementedError

    async def records(self, position: str) -> Sequence[tuple[PlantRecord, str]]:
        return await self.booked(position, PAGE)

    async def mark_read(self, record: PlantRecord) -> None:
        """There is nothing to mark."""


class MesStep:
    """One change at an MES that keeps our reference in a journal, so there is no draft: look, then ask."""

    settle_time = SETTLE
    fault_names: tuple[str, ...] = ("error",)  # fields of a refusal that say why

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        if method != "GET":
            foreign.note(f"{method} {path}", more.get("json"))
        try:
            answer = await self._http.request(method, path, **more)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Away(str(error)) from error
        except httpx.HTTPError as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        if answer.is_server_error:
            raise NoAnswer(f"HTTP {answer.status_code}")
        body: dict[str, Any] = answer.json()
        if answer.is_client_error:
            told = next((body[name] for name in self.fault_names if body.get(name)), answer.status_code)
            raise Refused("MES_REFUSED", str(told))
        return body

    async def asked_for(self, posting: Posting) -> str | None:
        """The MES's number of the order that its journal notes our reference for."""
        raise NotImplementedError

    async def find(self, posting: Posting) -> Found | None:
        number = await self.asked_for(posting)
        return None if number is None else Found(number, is_booked=True, answer={"mes_order_number": number})

    async def draft(self, posting: Posting) -> str:
        return ""

    async def book(self, posting: Posting, foreign_id: str) -> None:
        raise NotImplementedError

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        return await self.find(posting) or Found("", is_booked=False)


class MaterialStep(MesStep):
    """What is told of a material, where the MES keeps the last state by its number, and passes over an older one."""

    path: str
    items: str  # of the list that GET answers
    item: str  # field of the item, which GET is asked with
    number: str  # field of the state's number

    def body(self, told: TellMaterial) -> dict[str, Any]:
        """In this MES's words, with item and number."""
        raise NotImplementedError

    async def find(self, posting: Posting) -> Found | None:
        told: TellMaterial = posting.payload
        found = (await self.call("GET", self.path, params={self.item: told.item_id}))[self.items]
        is_there = bool(found) and int(found[0][self.number]) >= told.version
        return Found(told.item_id, is_booked=True) if is_there else None

    async def book(self, posting: Posting, foreign_id: str) -> None:
        await self.call("PUT", self.path, json=self.body(posting.payload))
