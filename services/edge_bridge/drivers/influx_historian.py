"""An InfluxDB 1.x historian: one measurement, a tag that names the point, a value and an OPC quality code a reading."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import httpx

from servicekit import clock
from servicekit.domain import AMOUNT_LIMIT, MILLIONTH
from services.edge_bridge.domain.evidence import HistorianRead, Reading
from services.edge_bridge.driver import DriverAway

TIMEOUT = 10.0
CHUNK = 5_000  # readings of one line of the answer
CHUNK_BYTES_MOST = 4_000_000
READINGS_MOST = 500_000  # of one window: a reading a second for more than five days
GOOD_QUALITY = 192  # OPC DA quality: 192 to 255 is good
WINDOW = 'SELECT "value", "quality" FROM {0} WHERE "tag" = $tag AND time >= $start AND time <= $end ORDER BY time'
OF_TAG_SINCE = 'SELECT "value", "quality" FROM {0} WHERE "tag" = $tag AND time >= $since LIMIT 1'
OF_ANY_SINCE = 'SELECT "value", "quality" FROM {0} WHERE time >= $since LIMIT 1'


@dataclass(frozen=True, slots=True)
class Place:
    """Where readings stand. `grace`: how much later than any other tag a tag may be written."""

    url: str
    database: str
    measurement: str
    grace: timedelta


def identifier(name: str) -> str:
    """A name quoted as InfluxQL wants it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def instant_text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


class InfluxHistorian:
    """Asks by bound parameters: tag ids are data, and never part of a statement."""

    name = "influx_historian"

    def __init__(self, connector_id: str, place: Place) -> None:
        self.connector_id = connector_id
        self._place = place
        self.http = httpx.AsyncClient(base_url=place.url, timeout=TIMEOUT)

    async def check(self) -> None:
        try:
            (await self.http.get("/ping")).raise_for_status()
        except httpx.HTTPError as error:
            raise DriverAway(f"{type(error).__name__}: {error}") from error

    async def is_written(self, read: HistorianRead) -> bool:
        """By the historian's own clock: the tag is past the window, or others are so far past it that it is silent."""
        end = read.question.end_time
        if await self._has_any(OF_TAG_SINCE, tag=read.tag_id, since=instant_text(end)):
            return True
        return await self._has_any(OF_ANY_SINCE, since=instant_text(end + self._place.grace))

    async def readings(self, read: HistorianRead) -> Sequence[Reading]:
        start, end = instant_text(read.question.start_time), instant_text(read.question.end_time)
        found: list[Reading] = []
        async for row in self._rows(WINDOW, tag=read.tag_id, start=start, end=end):
            if len(found) >= READINGS_MOST:
                raise DriverAway(f"{read.tag_id} has more than {READINGS_MOST} readings from {start} to {end}")
            found.append(reading_of(row))
        return found

    async def _has_any(self, statement: str, **parameters: str) -> bool:
        is_there = False
        async for _ in self._rows(statement, **parameters):
            is_there = True
        return is_there

    async def _rows(self, statement: str, **parameters: str) -> AsyncIterator[list[Any]]:
        """The rows of an answer, chunk by chunk; one that breaks off is no answer."""
        asked = {"q": statement.format(identifier(self._place.measurement)), "params": json.dumps(parameters)}
        how = {"db": self._place.database, "epoch": "u", "chunked": "true", "chunk_size": str(CHUNK)}
        is_whole = False
        try:
            async with self.http.stream("POST", "/query", params=how, data=asked) as answer:
                async for line in lines_of(answer):
                    values, is_whole = chunk_of(line)
                    for row in values:
                        yield row
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise DriverAway(f"{type(error).__name__}: {error}") from error
        if not is_whole:
            raise DriverAway("the historian's answer broke off")


async def lines_of(answer: httpx.Response) -> AsyncIterator[str]:
    """Lines of the body that say something, none longer than it may be."""
    rest = b""
    async for part in answer.aiter_bytes():
        *whole, rest = (rest + part).split(b"\n")
        for line in filter(None, map(bytes.strip, whole)):
            yield line.decode()
        if len(rest) > CHUNK_BYTES_MOST:
            raise ValueError("a line of the historian's answer is too long")
    if rest.strip():
        yield rest.decode()


def chunk_of(line: str) -> tuple[list[list[Any]], bool]:
    """The rows of one line, and whether it is the answer's last."""
    said = json.loads(line, parse_float=Decimal, parse_int=Decimal)
    if "error" in said:
        raise ValueError(said["error"])
    rows: list[list[Any]] = []
    is_partial = False
    for result in said["results"]:
        if "error" in result:
            raise ValueError(result["error"])
        is_partial |= bool(result.get("partial"))
        for series in result.get("series", []):
            rows += series["values"]
    return rows, not is_partial


def reading_of(row: Sequence[Any]) -> Reading:
    """A row as a reading. What is no number, or not said to be good, is a bad one."""
    time, value, quality = row
    number = value if isinstance(value, Decimal) and value.is_finite() and abs(value) < AMOUNT_LIMIT else None
    is_good = number is not None and isinstance(quality, Decimal) and GOOD_QUALITY <= quality <= 255
    exact = None if number is None else number.quantize(MILLIONTH, ROUND_HALF_EVEN)  # sensors give no millionths
    return Reading(clock.instant(int(time)), exact, is_good)
