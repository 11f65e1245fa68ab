"""What the supervisor needs of a plant system, whatever its protocol: MES, line, laboratory, historian."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from servicekit.postings import PostingKind
from services.edge_bridge.domain.evidence import HistorianRead, Reading
from services.edge_bridge.domain.machine import Look
from services.edge_bridge.domain.station import StationState
from services.edge_bridge.signal_map import SignalMap


class DriverAway(Exception):
    """The plant system does not answer; the text says how."""


class MesDriver(Protocol):
    """A plant's MES: a feed of records to read, and changes to ask for."""

    connector_id: str
    name: str

    async def records(self, position: str) -> Sequence[tuple[PlantRecord, str]]:
        """Records after a position, each with the position behind it. Raises DriverAway."""

    async def booked(self, position: str, most: int) -> Sequence[tuple[PlantRecord, str]]:
        """What it has after a position, read before or not; positions are whole numbers that rise. Raises DriverAway."""

    async def mark_read(self, record: PlantRecord) -> None:
        """The record is on our disk; sources that keep a flag get it now. Raises DriverAway."""

    def posting_kinds(self) -> Mapping[str, PostingKind]:
        """What the MES can be asked for."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a station said at one moment of its own clock."""

    station_id: str
    good: int
    scrap: int
    state: StationState
    cycle_time_ms: int
    fault_code: int
    mes_order_number: str
    operation_sequence: int
    source_time: datetime
    is_uncertain: bool


class LineDriver(Protocol):
    """A line: observations as they come. Ends by raising DriverAway."""

    connector_id: str
    name: str

    def observations(self) -> AsyncIterator[Sequence[Observation]]:
        """Changes of stations, in the order of the device's clock."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole file of results: each row as a record, with the lane that it belongs to. `mark` tells if the file changed."""

    file_name: str
    mark: tuple[int, int, int]
    rows: Sequence[tuple[str, PlantRecord]]


class LaboratoryDriver(Protocol):
    """A laboratory's system: sheets of results to read, and samples to ask for."""

    connector_id: str
    name: str

    async def next_sheet(self) -> Sheet | None:
        """The oldest whole sheet; broken ones are put aside on the way. Raises DriverAway."""

    async def mark_read(self, sheet: Sheet) -> None:
        """The sheet's rows are on our disk. Raises DriverAway."""

    def quarantined(self) -> str:
        """What was put aside and still waits for a person, in plant words; empty: nothing."""

    def posting_kinds(self) -> Mapping[str, PostingKind]:
        """What the laboratory can be asked for."""


class HistorianDriver(Protocol):
    """A historian: it is asked, never changed."""

    connector_id: str
    name: str

    async def check(self) -> None:
        """It answers. Raises DriverAway."""

    async def is_written(self, read: HistorianRead) -> bool:
        """The historian has all that it will have of the window. Raises DriverAway."""

    async def readings(self, read: HistorianRead) -> Sequence[Reading]:
        """What it has of the window, good or bad. Raises DriverAway."""


class SignalDriver(Protocol):
    """Machines whose signals are read again and again."""

    connector_id: str
    name: str

    async def looks(self) -> tuple[Sequence[Look], str]:
        """(every machine that answered, why others did not). Raises DriverAway when none did."""


@dataclass(slots=True)
class Health:
    """How a connector does, for the status page."""

    connector_id: str
    driver: str
    is_connected: bool = False
    last_record_time: datetime | None = None
    last_error: str = ""


class Counts(Protocol):
    """How many looks at machines went to the telemetry stream, and how many were dropped."""

    sent: int
    dropped: int


@dataclass(slots=True)
class Connectors:
    """What this bridge is connected to."""

    mes: MesDriver
    line: LineDriver | None
    laboratory: LaboratoryDriver | None = None
    historian: HistorianDriver | None = None
    machines: SignalDriver | None = None
    signals: SignalMap | None = None
    health: dict[str, Health] = field(default_factory=dict)
    telemetry: Counts | None = None
