"""An OPC UA line: a subscription to every tag of the map, observations in the order of the device's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from servicekit import clock
from services.edge_bridge.domain.station import StationState
from services.edge_bridge.driver import DriverAway, Observation
from services.edge_bridge.tag_map import TagMap

PUBLISH_MS = 25  # how often the device sends what changed
GATHER_SECONDS = 0.02  # changes are handed on together; more of them while those before are being saved
CHECK_SECONDS = 1.0  # how often the session is asked whether it lives
SILENT_SECONDS = 10.0
CHANGES_MOST = 100_000  # changes that wait; more, and the session is taken as lost and made anew


@dataclass(frozen=True, slots=True)
class Change:
    source_time: datetime
    station: int
    word: str
    value: Any
    is_good: bool


class OpcUaLine:
    """Follows one line. A lost session is a new client: the old one may hang for ever."""

    name = "opc_ua"

    def __init__(self, connector_id: str, url: str, tag_map: TagMap, stations: int) -> None:
        self.connector_id = connector_id
        self._url, self._map, self._stations = url, tag_map, stations
        self._changes: list[Change] = []

    async def observations(self) -> AsyncIterator[Sequence[Observation]]:
        from asyncua import Client  # type: ignore[attr-defined]  # 0.9 s to import: only bridges with a line pay it

        values: dict[int, dict[str, Any]] = {n: {} for n in range(1, self._stations + 1)}
        try:
            async with Client(self._url, timeout=4) as client:
                self._changes, checked = [], 0.0
                await self._subscribe(client)
                while True:
                    await asyncio.sleep(GATHER_SECONDS)
                    if clock.monotonic() - checked > CHECK_SECONDS:
                        await client.check_connection()
                        checked = clock.monotonic()
                    if len(self._changes) > CHANGES_MOST:
                        raise DriverAway("changes come faster than they can be taken")
                    seen = self._take(values)
                    if seen:
                        yield seen
        except (OSError, TimeoutError) as error:
            raise DriverAway(f"{type(error).__name__}: {error}") from error

    async def _subscribe(self, client: Any) -> None:
        index = await client.get_namespace_index(self._map.namespace)
        names: dict[Any, tuple[int, str]] = {}
        for number in range(1, self._stations + 1):
            for word, tag in self._map.tags.items():
                place = self._map.path.format(i=index, n=number, tag=tag)
                if self._map.is_browse_path:
                    node = await client.nodes.root.get_child(place.split("/"))
                else:
                    node = client.get_node(place)
                names[node.nodeid] = (number, word)
        subscription = await client.create_subscription(PUBLISH_MS, Heard(self._changes, names))
        await subscription.subscribe_data_change([client.get_node(node_id) for node_id in names], queuesize=100)

    def _take(self, values: dict[int, dict[str, Any]]) -> list[Observation]:
        """Apply changes by the device's clock; each counter or state change is one observation of its station."""
        changes, self._changes[:] = sorted(self._changes, key=lambda change: change.source_time), []
        seen: list[Observation] = []
        for change in changes:
            station = values[change.station]
            if change.word in ("order", "operation") and station.get("dirty"):
                seen.append(self._observation(change.station, station))
            station[change.word] = change.value
            station["time"], station["is_good"] = change.source_time, change.is_good
            station["dirty"] = station.get("dirty") or change.word in ("good", "scrap", "state", "fault")
        seen += [self._observation(n, station) for n, station in values.items() if self._is_due(station)]
        return seen

    @staticmethod
    def _is_due(station: dict[str, Any]) -> bool:
        return bool(station.get("dirty")) and {"good", "scrap", "state"} <= station.keys()

    def _observation(self, number: int, station: dict[str, Any]) -> Observation:
        station["dirty"] = False
        return Observation(
            station_id=self._map.station_id.format(n=number),
            good=int(station.get("good", 0)),
            scrap=int(station.get("scrap", 0)),
            state=self._map.states.get(str(station.get("state")), StationState.UNKNOWN),
            cycle_time_ms=int(station.get("cycle_ms", 0)),
            fault_code=int(station.get("fault", 0)),
            mes_order_number=str(station.get("order") or ""),
            operation_sequence=int(station.get("operation") or 0),
            source_time=station["time"],
            is_uncertain=not station["is_good"],
        )


class Heard:
    """asyncua calls this for every change."""

    def __init__(self, changes: list[Change], names: dict[Any, tuple[int, str]]) -> None:
        self._changes, self._names = changes, names

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        station, word = self._names[node.nodeid]
        stamp = data.monitored_item.Value.SourceTimestamp
        source_time = stamp.replace(tzinfo=UTC) if stamp is not None else clock.now()
        is_good = data.monitored_item.Value.StatusCode.is_good()
        self._changes.append(Change(source_time, station, word, value, is_good))
