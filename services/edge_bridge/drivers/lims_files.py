"""A laboratory's system that speaks by files: requests written, acceptances and sheets of results read, each only when whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import structlog

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from servicekit import clock, foreign
from servicekit.postings import Away, Found, NoAnswer, Posting, PostingKind, Refused
from services.edge_bridge.driver import DriverAway, Sheet
from services.edge_bridge.drivers.lims_sheet import BYTES_MOST, Broken, Cells, Unfinished, read_sheet, write_sheet
from services.edge_bridge.lims_map import LimsMap

log = structlog.get_logger()
FEED = "results"
FILES_MOST = 10_000  # of a folder, in one look
SETTLE = timedelta(seconds=15)
TAKEN_WITHIN = 5.0  # seconds in which the laboratory usually takes a request
PLAIN_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
UNUSUAL = re.compile(r"[^A-Za-z0-9-]+")
Mark = tuple[int, int, int]


class LimsFiles:
    """Reads `results/`, puts what was taken into `done/` and what can't be trusted into `quarantine/`, with the reason."""

    name = "lims_files"

    def __init__(self, connector_id: str, folder: Path, lims_map: LimsMap, quiet_seconds: float) -> None:
        self.connector_id = connector_id
        self._folder, self._map, self._quiet_seconds = folder, lims_map, quiet_seconds
        self._unchanged: dict[str, tuple[Mark, float]] = {}  # unfinished file -> how it stands, since when
        self._put_aside: list[str] = []

    async def next_sheet(self) -> Sheet | None:
        try:
            return await asyncio.to_thread(self._next_sheet)
        except OSError as error:
            raise DriverAway(f"{type(error).__name__}: {error}") from error

    async def mark_read(self, sheet: Sheet) -> None:
        try:
            await asyncio.to_thread(self._put_done, sheet)
        except OSError as error:
            raise DriverAway(f"{type(error).__name__}: {error}") from error

    def quarantined(self) -> str:
        if not self._put_aside:
            return ""
        return f"{len(self._put_aside)} files in quarantine, the first is {self._put_aside[0]}"

    def posting_kinds(self) -> Mapping[str, PostingKind]:
        return {"take_sample": TakesSample(self._folder, self._map)}

    def _next_sheet(self) -> Sheet | None:
        found = self._files()
        self._unchanged = {name: known for name, known in self._unchanged.items() if name in {f.name for f in found}}
        for path in found:
            try:
                mark = mark_of(path)
                rows = read_sheet(read_bounded(path), self._map.end_mark, list(self._map.result.values()))
            except Unfinished as gap:
                if self._is_quiet(path.name, mark):
                    self._quarantine(path, f"it was cut off: {gap}, and nothing came for {self._quiet_seconds:g} s")
                continue
            except Broken as fault:
                self._quarantine(path, str(fault))
                continue
            if mark_of(path) == mark:  # else it was written on while we read
                return Sheet(path.name, mark, [self._row(cells) for cells in rows])
        self._put_aside = sorted(p.name for p in self._place("quarantine").iterdir() if p.suffix == ".csv")[:FILES_MOST]
        return None

    def _files(self) -> list[Path]:
        """Result files, the oldest first."""
        with os.scandir(self._folder / "results") as entries:
            found = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                for entry, _ in zip(entries, range(FILES_MOST), strict=False)
                if entry.name.lower().endswith(".csv") and not entry.name.startswith(".")
            ]
        return [self._folder / "results" / name for _, name in sorted(found)]

    def _is_quiet(self, name: str, mark: Mark) -> bool:
        known, since = self._unchanged.get(name, (mark, clock.monotonic()))
        if known != mark:
            since = clock.monotonic()
        self._unchanged[name] = (mark, since)
        return clock.monotonic() - since >= self._quiet_seconds

    def _row(self, cells: Cells) -> tuple[str, PlantRecord]:
        """A row as a record under the laboratory's own words; one that names no sample has a lane of its own."""
        values = cells.values
        number, code, revision = (values[self._map.result[name]] for name in ("sample_number", "test_code", "revision"))
        record_id = f"{number}/{code}/{revision}"
        if not all(map(PLAIN_NUMBER.fullmatch, (number, code, revision))):
            record_id = hashlib.sha256("\x1f".join(f"{k}={v}" for k, v in sorted(values.items())).encode()).hexdigest()
        record = foreign.record_of(self.connector_id, FEED, record_id, values)
        return f"sample:{number if PLAIN_NUMBER.fullmatch(number) else record_id}", record

    def _put_done(self, sheet: Sheet) -> None:
        path = self._folder / "results" / sheet.file_name
        if mark_of(path) == sheet.mark:  # else the laboratory wrote on: it is read again, and known rows are known
            self._move(path, "done")

    def _quarantine(self, path: Path, reason: str) -> None:
        """The reason first: a file in quarantine is never without one."""
        place = self._place("quarantine")
        target = free_name(place, path.name)
        write_durably(place / f"{target}.reason.txt", f"{path.name} was not taken: {reason}.\n".encode())
        log.error("laboratory file in quarantine", connector=self.connector_id, file=path.name, reason=reason)
        self._move(path, "quarantine", target)

    def _move(self, path: Path, where: str, target: str = "") -> None:
        place = self._place(where)
        path.rename(place / (target or free_name(place, path.name)))
        sync_folder(place)
        sync_folder(path.parent)

    def _place(self, where: str) -> Path:
        place = self._folder / where
        place.mkdir(exist_ok=True)
        return place


class TakesSample:
    """A request is a file under a name made of our key; the laboratory answers with a file of the same name."""

    settle_time = SETTLE

    def __init__(self, folder: Path, lims_map: LimsMap) -> None:
        self._folder, self._map = folder, lims_map

    async def find(self, posting: Posting) -> Found | None:
        try:
            return await asyncio.to_thread(self._find, posting)
        except OSError as error:
            raise Away(str(error)) from error

    async def draft(self, posting: Posting) -> str:
        found = await self.find(posting)
        if found is None:
            content = self._request(posting)
            foreign.note(f"file requests/{file_name(posting)}", content.decode("utf-8-sig"))
            try:
                await asyncio.to_thread(write_durably, self._folder / "requests" / file_name(posting), content)
            except OSError as error:  # under its name or not at all: what is there is looked for first
                raise Away(str(error)) from error
        return posting.key

    async def book(self, posting: Posting, foreign_id: str) -> None:
        """Nothing to send: the laboratory takes the request in its own time."""
        deadline = clock.monotonic() + TAKEN_WITHIN
        while not (await self.read(posting, foreign_id)).is_booked:
            if clock.monotonic() > deadline:
                raise NoAnswer("the laboratory did not take the request yet")
            await asyncio.sleep(0.1)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        return await self.find(posting) or Found(posting.key, is_booked=False)

    def _find(self, posting: Posting) -> Found | None:
        answered = self._folder / "accepted" / file_name(posting)
        requested = self._folder / "requests" / file_name(posting)
        if not answered.parent.is_dir():
            raise FileNotFoundError(f"{answered.parent} is not there")
        try:
            mark_of(answered)
            (cells,) = read_sheet(read_bounded(answered), self._map.end_mark, list(self._map.answer.values()))
        except (FileNotFoundError, Unfinished):
            return Found(posting.key, is_booked=False) if requested.exists() else None
        except (Broken, ValueError) as fault:
            raise Refused("LIMS_ANSWER_UNREADABLE", f"{answered.name}: {fault}") from fault
        said = {name: cells.values[column].strip() for name, column in self._map.answer.items()}
        if said["request_key"] != posting.key:
            raise Refused("LIMS_ANSWER_UNREADABLE", f"{answered.name} answers {said['request_key']!r}")
        if said["status"] != self._map.accepted_status:
            raise Refused("LIMS_REFUSED", said["remark"] or said["status"])
        if not PLAIN_NUMBER.fullmatch(said["sample_number"]):
            raise Refused("LIMS_ANSWER_UNREADABLE", f"{said['sample_number']!r} is no sample number")
        return Found(said["sample_number"], is_booked=True, answer={"sample_number": said["sample_number"]})

    def _request(self, posting: Posting) -> bytes:
        asked = posting.payload
        rows = []
        for characteristic in asked.characteristics:
            code = self._map.test_code_of(characteristic.characteristic_id)
            if code is None:
                text = f"the map of the laboratory has no test code for {characteristic.characteristic_id}"
                raise Refused("LIMS_TEST_UNKNOWN", text)
            values = {"request_key": posting.key, "item_id": asked.item_id, "lot_id": asked.lot_id, "test_code": code}
            rows.append([values[name] for name in self._map.request])
        return write_sheet(self._map.end_mark, list(self._map.request.values()), rows)


def file_name(posting: Posting) -> str:
    """A name that any file system takes, for a key of any characters; keys that look alike differ by their hash."""
    plain = UNUSUAL.sub("-", posting.key)[:60]
    return f"{plain}-{hashlib.sha256(posting.key.encode()).hexdigest()[:12]}.csv"


def mark_of(path: Path) -> Mark:
    """Tells whether a file is still the one that was read. Raises Broken for what is no plain file."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise Broken("it is no plain file")
    return found.st_ino, found.st_size, found.st_mtime_ns


def read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BYTES_MOST + 1)


def free_name(folder: Path, name: str) -> str:
    """The name, with a number where the folder has one like it: nothing is written over."""
    stem, suffix = name[: -len(".csv")], name[-len(".csv") :]
    names = (f"{stem}{f'.{n}' if n else ''}{suffix}" for n in range(FILES_MOST))
    return next(free for free in names if not (folder / free).exists())


def write_durably(path: Path, content: bytes) -> None:
    """Whole under its name or not at all, on the disk when this returns."""
    aside = path.with_name(f".{path.name}.part")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
