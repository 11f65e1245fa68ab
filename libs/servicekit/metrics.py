"""Metrics, read from tables and states every few seconds: nothing is counted on the way, so nothing is slower for them.

Only who owns a service's loops emits, so replicas that share a database say each thing once. What may be emitted stands in
metrics.yaml; a name or label that does not is a bug, and fails here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import yaml

from servicekit import clock, counts, outbox, posting_table, telemetry
from servicekit.database import Again, Database, Tx
from servicekit.domain import DomainError

log = structlog.get_logger()
STOP_MILLIS = 1000  # a collector that is away must not hold up an orderly end
OUTBOX = "outbox"  # stands where a consumer does: the way from a service's database to its streams
REGISTRY = Path(__file__).with_name("metrics.yaml")


@dataclass(frozen=True, slots=True)
class Metric:
    """What may be emitted. `labels`: allowed values by name; none listed: names that the settings know."""

    name: str
    kind: str
    unit: str
    by: str
    text: str
    labels: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value now. Labels by name."""

    name: str
    value: float
    labels: Mapping[str, str]


Looks = Callable[[], Awaitable[Iterable[Sample]]]  # of a service's own


def registry() -> dict[str, Metric]:
    """All metrics by name."""
    said = yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))
    return {name: Metric(name=name, **row) for name, row in said.items()}


class Metrics:
    """Looks every few seconds, and hands the last look to whoever collects."""

    def __init__(self, database: Database, slots: Mapping[str, str], own: Looks | None = None) -> None:
        """`slots`: of the facts that this service tells, by plant."""
        self._database, self._slots, self._own = database, slots, own
        self._known = registry()
        self._last: dict[str, list[Sample]] = {}

    async def serve(self, endpoint: str, seconds: float) -> None:
        """Look and let it be collected, every so many seconds, until cancelled; then nothing more is said."""
        provider = telemetry.metrics_out(endpoint, seconds)
        meter = provider.get_meter("isthmus")
        for metric in self._known.values():
            made = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
            made(metric.name, [self._seen(metric.name)], metric.unit, metric.text)
        try:
            while True:
                await self.look()
                await asyncio.sleep(seconds)
        finally:
            self._last = {}
            provider.shutdown(timeout_millis=STOP_MILLIS)

    def _seen(self, name: str) -> Callable[[Any], Iterable[Any]]:
        from opentelemetry.metrics import Observation

        def observe(_options: Any) -> Iterable[Any]:
            return [Observation(one.value, dict(one.labels)) for one in self._last.get(name, ())]

        return observe

    async def look(self) -> None:
        """Read everything once. What can't be read now is left out until it can: an old value would be a lie."""
        try:
            found = [*await self._database.read(self._of_the_kit), *(await self._own() if self._own else ())]
        except (DomainError, Again) as fault:
            log.warning("metrics pause", fault=str(fault))
            found = []
        by_name: dict[str, list[Sample]] = {}
        for one in found:
            self._check(one)
            by_name.setdefault(one.name, []).append(one)
        self._last = by_name

    def _check(self, one: Sample) -> None:
        labels = self._known[one.name].labels
        if set(labels) != set(one.labels):
            raise ValueError(f"{one.name} has labels {sorted(labels)}, not {sorted(one.labels)}")
        for name, value in one.labels.items():
            if labels[name] and value not in labels[name]:
                raise ValueError(f"{one.name} knows no {name} {value}")

    def _of_the_kit(self, tx: Tx) -> list[Sample]:
        now = clock.micros(clock.now())
        return [*_facts(tx), *_lanes(tx, now), *self._outbox(tx, now), *_postings(tx, now), *_totals(tx)]

    def _outbox(self, tx: Tx, now: int) -> Iterable[Sample]:
        for plant, slot in self._slots.items():
            number, oldest = outbox.backlog(tx, slot)
            yield Sample("isthmus.outbox.facts", number, {"plant": plant})
            yield Sample("isthmus.outbox.age", _age(now, oldest), {"plant": plant})


def _age(now: int, since: int | None) -> float:
    """Seconds; 0 if there is nothing, or a clock was put back."""
    return max(0, now - since) / 1e6 if since else 0.0


def _facts(tx: Tx) -> Iterable[Sample]:
    found = counts.standing(tx)
    for one in found:
        at = {"consumer": one.consumer, "plant": one.plant_id}
        for outcome in (counts.IN, *counts.OUTCOMES):
            yield Sample("isthmus.facts", one.counted.get(outcome, 0), {**at, "outcome": outcome})
        for state, number in (("waiting", one.waiting), ("parked", one.parked)):
            yield Sample("isthmus.lane.facts", number, {**at, "state": state})
    for consumer, number in (counts.unaccounted(found) | {OUTBOX: counts.untold(tx)}).items():
        yield Sample("isthmus.facts.unaccounted", number, {"consumer": consumer})


def _lanes(tx: Tx, now: int) -> Iterable[Sample]:
    rows = tx.rows("SELECT consumer, plant_id, state, MIN(since_time) FROM lane GROUP BY consumer, plant_id, state")
    for consumer, plant, state, since in rows:
        yield Sample("isthmus.lane.age", _age(now, since), {"consumer": consumer, "plant": plant, "state": state})


def _postings(tx: Tx, now: int) -> Iterable[Sample]:
    marks = ", ".join("?" * len(posting_table.OPEN_STATES))
    rows = tx.rows(
        f"SELECT partner_id, state, COUNT(*), MIN(plan_time) FROM posting WHERE state IN ({marks}) "
        "GROUP BY partner_id, state",
        posting_table.OPEN_STATES,
    )
    numbers: Counter[tuple[str, str]] = Counter({(partner, state): number for partner, state, number, _ in rows})
    for partner in sorted({row[0] for row in rows}):
        for state in posting_table.OPEN_STATES:
            yield Sample("isthmus.postings", numbers[partner, state], {"partner": partner, "state": state})
        oldest = min(row[3] for row in rows if row[0] == partner)
        yield Sample("isthmus.posting.age", _age(now, oldest), {"partner": partner})


def _totals(tx: Tx) -> Iterable[Sample]:
    for name, sql in (
        ("isthmus.conflicts", "SELECT COUNT(*) FROM conflicts"),
        ("isthmus.slots.stopped", "SELECT COUNT(*) FROM slot_stop WHERE NOT is_accepted"),
        ("isthmus.audit.entries", "SELECT COALESCE(MAX(entry_number), 0) FROM audit"),
    ):
        yield Sample(name, tx.rows(sql)[0][0], {})
