"""Takes the figures of every plant once an interval, of what was heard and of what the desks and bridges say, and lists them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
import structlog

from isthmus.edge.v1.edge_service_pb2 import GetEdgeStatusRequest
from isthmus.edge.v1.edge_service_pb2_grpc import EdgeServiceStub
from isthmus.operations.v1 import lane_service_pb2
from isthmus.operations.v1 import operations_service_pb2 as messages
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceStub
from servicekit import clock, paging
from servicekit.channel import channel
from servicekit.clock import instant, micros
from servicekit.database import Again, Database, Tx
from servicekit.domain import GROUP, DomainError
from servicekit.facts import time_of
from servicekit.rows import scaled, unscaled
from servicekit.wire import timestamp
from services.operations.domain import kpi
from services.operations.domain.reconciliation import State
from services.operations.pages import pages
from services.operations.settings import Settings

log = structlog.get_logger()
DEADLINE = 5.0
ENTRIES_MOST = 200_000  # of an interval and plant; more would not change a percentile that a person sees
KEPT = timedelta(days=400)
PARKED, REPEATS, LOTS_FAILED, REPLAYED = "parked", "duplicates-prevented", "lot-updates-failed", "replayed"
STUCK, RELEASE = "replays-stuck", "release"
OF_DESKS = (PARKED, REPEATS, LOTS_FAILED, REPLAYED, STUCK)
ACTIONS = ("correct", RELEASE, "discard")
LOT_POSTINGS = ("announce_receipt", "hold_lot", "release_lot", "block_lot", "record_inspection")  # the gateway's kinds
COUNTED = f"fact_type IN ({', '.join(map(repr, kpi.COUNTED))})"  # to the letter as the index has it


class Sampler:
    """Takes samples at whole multiples of the interval, so that two processes, or one after a restart, take the same."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._plants = database, settings.plants
        self._every = timedelta(seconds=settings.kpi_seconds)
        self._desks = {name: LaneServiceStub(channel(at)) for name, at in settings.desks.items()}
        self._bridges = {plant: EdgeServiceStub(channel(at)) for plant, at in settings.edge_bridges.items()}
        self._repeats: Counter[str] | None = None  # of the sample before: the first after a start has no difference

    async def serve(self) -> None:
        """Run until cancelled."""
        while True:
            now = clock.now()
            end = instant(micros(now) // micros_of(self._every) * micros_of(self._every))
            try:
                await self.sample(end)
            except (DomainError, Again) as fault:
                log.warning("figures pause", fault=str(fault))
            await asyncio.sleep(max(0.05, (end + self._every - clock.now()).total_seconds()))

    async def sample(self, end: datetime) -> None:
        """Everything of the interval that ends then. What does not answer is left out: nothing is not zero."""
        said: dict[tuple[str, str], Decimal] = {}
        for name, by_plant in (await self._of_desks(end)).items():
            places = [GROUP] if name in (REPLAYED, STUCK) else self._plants  # the audit tells no plant
            said |= {(place, name): Decimal(by_plant[place]) for place in places}
        for plant, bridge in self._bridges.items():
            try:
                status = await bridge.GetEdgeStatus(GetEdgeStatusRequest(), timeout=DEADLINE)
            except grpc.aio.AioRpcError:
                continue
            said[plant, "backlog"] = Decimal(status.backlog_count)
        await self._database.write(lambda tx: self._save(tx, end, said))

    def _save(self, tx: Tx, end: datetime, said: Mapping[tuple[str, str], Decimal]) -> None:
        found = dict(said)
        for plant in self._plants:
            heard = kpi.of_entries(_heard(tx, plant, end - self._every, end))
            found |= {(plant, name): value for name, value in heard.items()}
            variances = _open_variances(tx, plant)
            if variances is not None:
                found[plant, "inventory-variances"] = Decimal(variances)
        tx.many(
            "INSERT INTO kpi_samples (sample_time, plant_id, kpi_id, value) VALUES (?,?,?,?) "
            "ON CONFLICT (sample_time, plant_id, kpi_id) DO NOTHING",
            [(micros(end), plant, name, scaled(value)) for (plant, name), value in sorted(found.items())],
        )

    async def _of_desks(self, end: datetime) -> dict[str, Counter[str]]:
        """Figures of all desks together, by name and plant; none of them unless every desk answered."""
        if not self._desks:
            return {}
        try:
            asked = await asyncio.gather(*(_of_desk(desk, end - self._every, end) for desk in self._desks.values()))
        except grpc.aio.AioRpcError as fault:
            log.warning("figures of the desks are left out", fault=fault.details())
            self._repeats = None
            return {}
        totals = {name: sum((one[name] for one in asked), Counter[str]()) for name in OF_DESKS}
        before, self._repeats = self._repeats, totals[REPEATS]
        if before is None:
            del totals[REPEATS]
        else:
            totals[REPEATS] = totals[REPEATS] - before
        return totals


async def _of_desk(desk: Any, begin: datetime, end: datetime) -> dict[str, Counter[str]]:
    """Figures by name and plant, of now; what operators did, of the interval."""
    found: dict[str, Counter[str]] = {name: Counter() for name in OF_DESKS}
    for one in await pages(desk.ListFactCounts, lane_service_pb2.ListFactCountsRequest(), "fact_counts"):
        found[PARKED][one.plant_id] += one.parked_count
        found[REPEATS][one.plant_id] += one.repeat_count + one.refused_count
    for posting in await pages(desk.ListPostings, lane_service_pb2.ListPostingsRequest(state="refused"), "postings"):
        if posting.posting_kind in LOT_POSTINGS:
            found[LOTS_FAILED][posting.plant_id] += 1
    found[REPLAYED][GROUP], released = await _actions(desk, begin, end)
    found[STUCK][GROUP] = await _still_parked(desk, released)
    return found


async def _actions(desk: Any, begin: datetime, end: datetime) -> tuple[int, set[str]]:
    """What operators did in this time, and the lanes that they released; the newest entries come first."""
    released: set[str] = set()
    request, number = lane_service_pb2.ListAuditEntriesRequest(page_size=500), 0
    while True:
        page = await desk.ListAuditEntries(request, timeout=DEADLINE)
        for entry in page.entries:
            at = time_of(entry.audit_time)
            if at < begin:
                return number, released
            if at < end and entry.action in ACTIONS:
                number += 1
                released |= {entry.subject} if entry.action == RELEASE else set()
        if not page.next_page_token:
            return number, released
        request.page_token = page.next_page_token


async def _still_parked(desk: Any, released: set[str]) -> int:
    if not released:
        return 0
    request = lane_service_pb2.ListLanesRequest(state=lane_service_pb2.LANE_STATE_PARKED)
    return sum(f"{one.consumer} {one.order_key}" in released for one in await pages(desk.ListLanes, request, "lanes"))


def _heard(tx: Tx, plant: str, begin: datetime, end: datetime) -> list[kpi.Heard]:
    rows = tx.rows(
        f"SELECT fact_type, record_time, occur_time, is_late FROM timeline_entries WHERE {COUNTED} "
        "AND record_time >= ? AND record_time < ? AND plant_id = ? LIMIT ?",
        (micros(begin), micros(end), plant, ENTRIES_MOST),
    )
    return [kpi.Heard(row[0], timedelta(microseconds=row[1] - row[2]), bool(row[3])) for row in rows]


def _open_variances(tx: Tx, plant: str) -> int | None:
    rows = tx.rows(
        "SELECT open_variances FROM reconciliations WHERE plant_id = ? AND state = ? ORDER BY end_time DESC LIMIT 1",
        (plant, State.COMPLETED.value),
    )
    return int(rows[0][0]) if rows else None


def micros_of(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def prune(tx: Tx, before: datetime) -> int:
    return tx.run("DELETE FROM kpi_samples WHERE sample_time < ?", (micros(before),))


def list_kpis(tx: Tx, request: messages.ListKpisRequest, every: timedelta) -> messages.ListKpisResponse:
    """A page of samples, so many intervals put together to one, told by the end of the last of them."""
    most = paging.size(request, 1000, 5000)
    step = micros_of(every) * max(1, request.interval_count)
    worst = [name for name, meaning in kpi.KPIS.items() if meaning.over is kpi.Over.WORST]
    marks = ", ".join("?" * len(worst))
    at, plant, name = paging.after(request) or [0, "", ""]
    start, end = (micros(time_of(stamp)) for stamp in (request.start_time, request.end_time))
    rows = tx.rows(
        f"SELECT * FROM (SELECT (sample_time + ? - 1) / ? * ? AS at, plant_id, kpi_id, "
        f"CASE WHEN kpi_id IN ({marks}) THEN MAX(value) ELSE SUM(value) END AS value FROM kpi_samples "
        "WHERE sample_time >= ? AND sample_time < ? AND (? = '' OR plant_id = ?) GROUP BY 1, 2, 3) AS summed "
        "WHERE (at, plant_id, kpi_id) > (?, ?, ?) ORDER BY at, plant_id, kpi_id LIMIT ?",
        (step, step, step, *worst, start, end, request.plant_id, request.plant_id, at, plant, name, most),
    )
    last = list(rows[-1][:3]) if len(rows) == most else None
    found = [
        messages.Kpi(sample_time=timestamp(instant(row[0])), plant_id=row[1], kpi_id=row[2], value=_decimal(row[3]))
        for row in rows
    ]
    meanings = [messages.KpiMeaning(kpi_id=name, text=one.text, unit=one.unit) for name, one in kpi.KPIS.items()]
    return messages.ListKpisResponse(kpis=found, next_page_token=paging.token(request, last), meanings=meanings)


def _decimal(value: Any) -> str:
    return f"{unscaled(int(value)).normalize():f}"
