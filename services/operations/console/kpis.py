"""Figures of all plants over time, as charts, as a table and as CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

from starlette.requests import Request

from isthmus.operations.v1 import operations_service_pb2 as messages
from servicekit import clock
from services.operations.console.asked import DEADLINE, Asked, rows
from services.operations.console.words import Shown, at

SAMPLES_MOST = 50_000
RANGES = {"1": 1, "7": 12, "30": 48}  # days, and how many intervals make one point
ACCEPTED, REFUSED = "orders-accepted", "orders-refused"
Series = dict[str, list[tuple[str, str]]]  # (time, value) by plant


async def page(asked: Asked, request: Request) -> Shown:
    """A chart for each figure, one line a plant."""
    days, step = _range(request)
    meanings, samples = await _read(asked, days, step)
    series: dict[str, Series] = {name: {} for name in meanings}
    for one in samples:
        series[one.kpi_id].setdefault(one.plant_id, []).append((_when(one), one.value))
    charts = [_chart(name, *meaning, series[name]) for name, meaning in meanings.items()]
    rates = _rates(series.get(ACCEPTED, {}), series.get(REFUSED, {}))
    charts.insert(0, _chart("order-success-rate", "Orders accepted by the MES, of those that it answered", "%", rates))
    return "kpis.html", {"charts": charts, "days": str(days), "ranges": list(RANGES)}


def _chart(kpi_id: str, text: str, unit: str, series: Series) -> dict[str, Any]:
    last = {plant: points[-1][1] for plant, points in sorted(series.items())}
    return {"kpi_id": kpi_id, "text": text, "unit": unit, "series": json.dumps(series, sort_keys=True), "last": last}


def _range(request: Request) -> tuple[int, int]:
    asked_for = request.query_params.get("days", "1")
    days = asked_for if asked_for in RANGES else "1"
    return int(days), RANGES[days]


def _when(one: Any) -> str:
    moment = at(one.sample_time)
    return moment.isoformat() if moment is not None else ""


async def _read(asked: Asked, days: int, step: int) -> tuple[dict[str, tuple[str, str]], list[Any]]:
    """Text and unit of every figure, and the samples of so many days."""
    now = clock.now()
    wanted = messages.ListKpisRequest(interval_count=step, page_size=5000)
    wanted.start_time.FromDatetime(now - timedelta(days=days))
    wanted.end_time.FromDatetime(now + timedelta(seconds=1))
    said = await asked.operations.ListKpis(wanted, timeout=DEADLINE)
    meanings = {one.kpi_id: (one.text, one.unit) for one in said.meanings}
    samples = list(said.kpis)
    if said.next_page_token:
        wanted.page_token = said.next_page_token
        samples += [one async for one in rows(asked.operations.ListKpis, wanted, "kpis", SAMPLES_MOST)]
    return meanings, [one for one in samples if one.kpi_id in meanings]


def _rates(accepted: Series, refused: Series) -> Series:
    """Per cent of the answered orders that were accepted; none where none was answered."""
    found: Series = {}
    for plant, points in accepted.items():
        no = {when: int(value) for when, value in refused.get(plant, [])}
        answered = [(when, int(value), int(value) + no.get(when, 0)) for when, value in points]
        rates = [(when, f"{100 * yes / both:.1f}") for when, yes, both in answered if both]
        if rates:
            found[plant] = rates
    return found


async def table(asked: Asked, request: Request) -> str:
    """The same figures as CSV, one line a sample."""
    days, step = _range(request)
    meanings, samples = await _read(asked, days, step)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["sample_time", "plant_id", "kpi_id", "value", "unit"])
    for one in samples:
        writer.writerow([_when(one), one.plant_id, one.kpi_id, one.value, meanings[one.kpi_id][1]])
    return text.getvalue()
