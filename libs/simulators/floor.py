"""How both simulated MES work their orders: operation by operation, on an OPC UA line or by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Protocol

PIECE_MILLI = Decimal("0.001")


@dataclass(frozen=True)
class Made:
    good: int
    scrap: int


class Station(Protocol):
    """Where pieces are made."""

    async def make(self, order: str, operation: int, station: int, pieces: int) -> Made: ...


class Clock:
    """Makes pieces by the clock: no line."""

    def __init__(self, seconds_a_piece: float) -> None:
        self._seconds = seconds_a_piece

    async def make(self, order: str, operation: int, station: int, pieces: int) -> Made:
        await asyncio.sleep(self._seconds * pieces)
        return Made(pieces, 0)


LAYOUTS = {
    "stations": (
        "0:Objects/{i}:Line1/{i}:Stations/{i}:ST{n}0/{i}:{name}",
        ("GoodCount", "ScrapCount", "ActiveOrder", "ActiveOperation", "TargetCount"),
    ),
    "cells": ("ns={i};s=PLC.Cell{n}.{name}", ("cntOK", "cntNOK", "zakazka", "operace", "davka")),
}


class OpcUaLine:
    """Writes the job to the line and reads its counters before and after, as an MES does."""

    def __init__(self, url: str, layout: str) -> None:
        self._url, self._layout = url, layout

    async def make(self, order: str, operation: int, station: int, pieces: int) -> Made:
        while True:
            try:
                return await self._run_job(order, operation, station, pieces)
            except (OSError, TimeoutError):  # the line may be restarting
                await asyncio.sleep(0.5)

    async def _run_job(self, order: str, operation: int, station: int, pieces: int) -> Made:
        from asyncua import Client, ua  # type: ignore[attr-defined]

        async with Client(self._url, timeout=5) as client:
            index = await client.get_namespace_index(f"urn:line:{self._layout}")
            path, names = LAYOUTS[self._layout]
            places = [path.format(i=index, n=station, name=name) for name in names]
            if self._layout == "stations":
                nodes = [await client.nodes.root.get_child(place.split("/")) for place in places]
            else:
                nodes = [client.get_node(place) for place in places]
            good, scrap, active, step, target = nodes
            before = int(await good.read_value()), int(await scrap.read_value())
            await active.write_value(ua.Variant(order, ua.VariantType.String))
            await step.write_value(ua.Variant(operation, ua.VariantType.Int32))
            await target.write_value(ua.Variant(pieces, ua.VariantType.Int32))
            while sum(await self._read(good, scrap)) - sum(before) < pieces:
                await asyncio.sleep(0.02)
            after = await self._read(good, scrap)
            return Made(after[0] - before[0], after[1] - before[1])

    async def _read(self, good: Any, scrap: Any) -> tuple[int, int]:
        return int(await good.read_value()), int(await scrap.read_value())


def share(allocated: Decimal, planned: Decimal, pieces: int) -> Decimal:
    """What so many pieces take of an allocation, to a thousandth."""
    return (allocated * pieces / planned).quantize(PIECE_MILLI, ROUND_HALF_UP)


def split_by_lot(quantity: Decimal, lots: Sequence[str], number: int) -> list[tuple[str, Decimal]]:
    """Lots are taken in turn; every third order takes from two of them."""
    if not lots:
        return [("", quantity)]
    first = lots[number % len(lots)]
    if number % 3 or len(lots) < 2 or quantity != quantity.to_integral_value() or quantity < 2:
        return [(first, quantity)]
    part = Decimal(int(quantity) // 2)
    return [(first, part), (lots[(number + 1) % len(lots)], quantity - part)]


def lots_of(told: Sequence[str]) -> dict[str, list[str]]:
    """ITEM=LOT,LOT from the command line."""
    return {item: lots.split(",") for item, lots in (pair.split("=", 1) for pair in told)}


def line_of(told: Any, layout: str) -> Station:
    return OpcUaLine(told.line, layout) if told.line else Clock(told.piece_seconds)
