"""Plays an OPC UA line: stations with state, counters, cycle time and fault code, that run the jobs written to them.

Two node layouts, as two vendors would have: `stations` (objects and variables by browse name) and `cells` (flat string
node ids, other words for the states).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from asyncua import Server, ua  # type: ignore[attr-defined]

from simulators.stage import arguments, open_store, run

DDL = "CREATE TABLE IF NOT EXISTS counter (station TEXT PRIMARY KEY, good INTEGER, scrap INTEGER)"
STATIONS = {"idle": 0, "running": 1, "fault": 2}
CELLS = {"idle": "STOJI", "running": "BEZI", "fault": "PORUCHA"}
NAMES = {  # our word: (stations layout, cells layout)
    "state": ("State", "stav"),
    "good": ("GoodCount", "cntOK"),
    "scrap": ("ScrapCount", "cntNOK"),
    "cycle_ms": ("CycleTimeMs", "takt"),
    "fault": ("FaultCode", "chyba"),
    "order": ("ActiveOrder", "zakazka"),
    "operation": ("ActiveOperation", "operace"),
    "target": ("TargetCount", "davka"),
}
DRIVEN = ("good", "cycle_ms", "state", "scrap", "fault")  # what --changes changes
WRITABLE = ("order", "operation", "target", "fault")


@dataclass
class Station:
    """One station: its variables and what is left of its job."""

    name: str
    nodes: dict[str, Any] = field(default_factory=dict)
    good: int = 0
    scrap: int = 0


class Line:
    def __init__(self, layout: str, cycle_ms: int, scrap_every: int, seed: int, store: Any) -> None:
        self.layout, self.cycle_ms, self.scrap_every, self.store = layout, cycle_ms, scrap_every, store
        self.chance = random.Random(seed)
        self.stations: list[Station] = []

    async def build(self, server: Server, count: int) -> None:
        index = await server.register_namespace(f"urn:line:{self.layout}")
        objects = server.nodes.objects
        if self.layout == "stations":
            line = await objects.add_object(index, "Line1")
            parent = await line.add_object(index, "Stations")
        for number in range(1, count + 1):
            name = f"ST{number * 10}" if self.layout == "stations" else f"PLC.Cell{number}"
            station = Station(name)
            kept = self.store.execute("SELECT good, scrap FROM counter WHERE station = ?", (name,)).fetchone()
            if kept is not None:
                station.good, station.scrap = kept["good"], kept["scrap"]
            holder = await parent.add_object(index, name) if self.layout == "stations" else objects
            for word, names in NAMES.items():
                station.nodes[word] = await self._variable(holder, index, name, word, names)
            self.stations.append(station)

    async def _variable(self, holder: Any, index: int, station: str, word: str, names: tuple[str, str]) -> Any:
        kinds = {"order": ua.VariantType.String, "good": ua.VariantType.UInt32, "scrap": ua.VariantType.UInt32}
        kind = kinds.get(word, ua.VariantType.Int32)
        value: Any = "" if kind is ua.VariantType.String else 0
        if word == "state":
            value, kind = (STATIONS["idle"], ua.VariantType.Int32)
            if self.layout == "cells":
                value, kind = (CELLS["idle"], ua.VariantType.String)
        if self.layout == "stations":
            node = await holder.add_variable(index, names[0], ua.Variant(value, kind))
        else:
            node_id = ua.NodeId.from_string(f"ns={index};s={station}.{names[1]}")
            node = await holder.add_variable(node_id, f"{station}.{names[1]}", ua.Variant(value, kind))
        if word in WRITABLE:
            await node.set_writable()
        return node

    async def set(self, station: Station, word: str, value: Any) -> None:
        kinds = {"good": ua.VariantType.UInt32, "scrap": ua.VariantType.UInt32, "order": ua.VariantType.String}
        kind = kinds.get(word, ua.VariantType.Int32)
        if word == "state":
            value = STATIONS[value] if self.layout == "stations" else CELLS[value]
            kind = ua.VariantType.Int32 if self.layout == "stations" else ua.VariantType.String
        await station.nodes[word].write_value(ua.Variant(value, kind))

    async def play(self, station: Station) -> None:
        """Make pieces while there is a job and no fault."""
        await self.set(station, "good", station.good)
        await self.set(station, "scrap", station.scrap)
        while True:
            target = int(await station.nodes["target"].read_value())
            fault = int(await station.nodes["fault"].read_value())
            if fault or target <= 0:
                await self.set(station, "state", "fault" if fault else "idle")
                await asyncio.sleep(0.02)
                continue
            await self.set(station, "state", "running")
            begun = time.monotonic()
            await asyncio.sleep(self.cycle_ms / 1000 * self.chance.uniform(0.9, 1.1))
            await self._piece(station)
            await self.set(station, "cycle_ms", int((time.monotonic() - begun) * 1000))
            await self.set(station, "target", target - 1)

    async def drive(self, server: Server, changes: int, journal: TextIO) -> None:
        """Change five variables of every station in turn, so many changes a second, and keep a journal of the counters."""
        turns = itertools.cycle([(station, word) for word in DRIVEN for station in self.stations])
        begun, made = time.monotonic(), 0
        while True:
            await asyncio.sleep(0.01)
            for station, word in itertools.islice(turns, int((time.monotonic() - begun) * changes) - made):
                made += 1
                await self._step(server, station, word, made)
                if word in ("good", "scrap"):
                    journal.write(f"{time.time_ns()},{station.name},{word},{station.good},{station.scrap}\n")
            journal.flush()

    async def _step(self, server: Server, station: Station, word: str, made: int) -> None:
        station.good += word == "good"
        station.scrap += word == "scrap"
        kinds = {"good": ua.VariantType.UInt32, "scrap": ua.VariantType.UInt32}
        values = {"good": station.good, "scrap": station.scrap, "cycle_ms": 50 + made % 10, "fault": made % 3}
        kind = kinds.get(word, ua.VariantType.Int32)
        value: int | str = values.get(word, 0)
        if word == "state":
            state = "idle" if station.good % 2 else "running"
            value = STATIONS[state] if self.layout == "stations" else CELLS[state]
            kind = ua.VariantType.Int32 if self.layout == "stations" else ua.VariantType.String
        said = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=ua.DateTime.utcnow())
        await server.write_attribute_value(station.nodes[word].nodeid, said)

    async def _piece(self, station: Station) -> None:
        is_scrap = self.scrap_every > 0 and self.chance.randrange(self.scrap_every) == 0
        station.good += not is_scrap
        station.scrap += is_scrap
        self.store.execute(
            "INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT (station) DO UPDATE SET good = excluded.good, "
            "scrap = excluded.scrap",
            (station.name, station.good, station.scrap),
        )
        await self.set(station, "scrap" if is_scrap else "good", station.scrap if is_scrap else station.good)


async def serve(port: int, line: Line, count: int, changes: int, journal: Path) -> None:
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await line.build(server, count)
    async with server:
        if changes:
            with journal.open("w") as kept:
                await line.drive(server, changes, kept)
        await asyncio.gather(*(line.play(station) for station in line.stations))


def main() -> None:
    parser = arguments(__doc__ or "", "python -m simulators.opcua_line --port 4840 --state /tmp/line --layout stations")
    parser.add_argument("--layout", choices=("stations", "cells"), default="stations")
    parser.add_argument("--stations", type=int, default=3, help="how many stations")
    parser.add_argument("--cycle-ms", type=int, default=60, help="time for a piece, in milliseconds")
    parser.add_argument("--scrap-every", type=int, default=9, help="one piece in so many is scrap; 0: none")
    parser.add_argument("--changes", type=int, default=0, help="no jobs: this many changes a second over all stations")
    parser.add_argument("--seed", type=int, default=7)
    told = parser.parse_args()
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    store = open_store(told.state / "line.db", DDL)
    line = Line(told.layout, told.cycle_ms, told.scrap_every, told.seed, store)
    asyncio.run(run(None, 0, serve(told.port, line, told.stations, told.changes, told.state / "changes.csv")))


if __name__ == "__main__":
    main()
