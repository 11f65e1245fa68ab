"""Every system's books as its own files tell them, by sqlite3 alone: shares no code with what is checked."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

SCALE = Decimal(1000000)  # amounts are whole millionths
HEARD = {  # whose facts a service takes; a plant's bridge hears its own plant only
    "production": ("edge_bridge", "master_data"),
    "inventory": ("production",),
    "gateway": ("production", "inventory"),
    "operations": ("master_data", "production", "inventory", "edge_bridge", "gateway"),
    "edge_bridge": ("production",),
}
DONE_POSTINGS = ("acknowledged", "discarded")
Row = sqlite3.Row
# Held while books are read, and while a power cut takes a log from under them: a reader in the middle would go on with an
# index of the log that was, and find a healthy database malformed.
LOOKING = threading.Lock()


def rows(path: Path, sql: str, values: tuple[Any, ...] = ()) -> list[Row]:
    """Read only: this reader must never checkpoint or mend what it looks at. Nothing there: no rows."""
    if not path.exists():
        return []
    with LOOKING, closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql, values).fetchall()


def services(home: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted((home / "data").glob("*.db"))}


def bridges(home: Path) -> dict[str, Path]:
    """By plant."""
    return {n.removeprefix("edge_bridge-"): p for n, p in services(home).items() if n.startswith("edge_bridge-")}


# --- envelopes: a protobuf message is a list of (number, value)


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind, number = tag & 7, tag >> 3
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
        elif kind == 2:
            size, at = _varint(data, at)
            yield number, data[at : at + size]
            at += size
        else:
            size = {1: 8, 5: 4}[kind]
            yield number, data[at : at + size]
            at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


class Fact(NamedTuple):
    slot: str
    sequence: int
    order_key: str
    document: str  # source/number of the business key behind it
    kind: str


BUSINESS_KEY, SOURCE, NUMBER = 11, 1, 3


def facts(path: Path, kind: str) -> list[Fact]:
    """Facts of a kind from an outbox, as they were committed."""
    sql = "SELECT slot, sequence, order_key, fact_type, envelope FROM outbox WHERE fact_type LIKE ? ORDER BY slot, sequence"
    found = []
    for row in rows(path, sql, (f"%.{kind}",)):
        key = next((value for number, value in fields(bytes(row["envelope"])) if number == BUSINESS_KEY), b"")
        said = dict(fields(key))
        document = f"{said.get(SOURCE, b'').decode()}/{said.get(NUMBER, b'').decode()}"
        found.append(Fact(row["slot"], row["sequence"], row["order_key"], document, kind))
    return found


# --- plants


def mes_reports(home: Path) -> dict[str, int]:
    """What the plants' MES hold: how many documents bear each number; sent again is the same document."""
    found: dict[str, int] = {}
    for path in home.glob("mes-*/mes.db"):
        seen = {}
        for row in rows(path, "SELECT nummer, inhalt FROM meldung"):
            seen[row["nummer"]] = json.loads(row["inhalt"]).get("werker", "")
        for number in seen.values():
            found[number] = found.get(number, 0) + 1
    for row in rows(home / "mes-brno" / "staging.db", "SELECT OPERATOR FROM CONFIRM_OUT"):
        found[row["OPERATOR"]] = found.get(row["OPERATOR"], 0) + 1
    return found


def plant_ledger(home: Path) -> dict[str, int]:
    """What the bridges took on their plant's disk."""
    found: dict[str, int] = {}
    for path in bridges(home).values():
        for row in rows(path, "SELECT content FROM claims WHERE command = 'confirm_operation'"):
            number = json.loads(row["content"]).get("operator_id", "")
            found[number] = found.get(number, 0) + 1
    return found


def dispatched(home: Path) -> set[str]:
    """Orders whose MES number both the hub and the plant know."""
    sql = "SELECT work_order_id FROM work_orders WHERE mes_order_number <> ''"
    try:
        hub = {row[0] for row in rows(home / "data" / "production.db", sql)}
        plants = {
            row[0] for path in bridges(home).values() for row in rows(path, "SELECT work_order_id FROM mes_numbers")
        }
    except sqlite3.OperationalError:  # tables are being made
        return set()
    return hub & plants


def booked(home: Path) -> int:
    """How many confirmations the hub has: quick, for it is asked all the time."""
    try:
        found = rows(home / "data" / "production.db", "SELECT MAX(rowid) FROM confirmations")
        return int(found[0][0] or 0) if found else 0
    except sqlite3.OperationalError:
        return 0


# --- what is still under way


def backlog(home: Path) -> dict[str, int]:
    """By service and kind of work: what is not done yet. Empty: all is quiet."""
    found: dict[str, int] = {}
    said = {row["slot"]: row for path in services(home).values() for row in rows(path, "SELECT * FROM producer")}
    for slot, row in said.items():
        found[f"{slot} not told"] = row["last_sequence"] - row["stored_sequence"]
    for name, path in services(home).items():
        for consumer, slot, behind in _behind(name, path, said):
            found[f"{consumer} has not taken {slot}"] = behind
        lanes = rows(path, "SELECT state, COUNT(*) AS n FROM lane GROUP BY state")
        found |= {f"{name} lanes {row['state']}": row["n"] for row in lanes}
        marks = ",".join("?" * len(DONE_POSTINGS))
        sql = f"SELECT partner_id, state, COUNT(*) AS n FROM posting WHERE state NOT IN ({marks}) GROUP BY 1, 2"
        for row in rows(path, sql, DONE_POSTINGS):
            found[f"{name} postings {row['partner_id']} {row['state']}"] = row["n"]
    for plant, path in bridges(home).items():
        found[f"edge_bridge-{plant} unread reports"] = _unread(home, plant, path)
    hooks = rows(home / "wms" / "wms.db", "SELECT COUNT(*) FROM webhook WHERE status = 'open'")
    found["wms webhooks"] = hooks[0][0] if hooks else 0
    return {what: count for what, count in found.items() if count}


def _behind(name: str, path: Path, said: dict[str, Row]) -> Iterator[tuple[str, str, int]]:
    service, _, plant = name.partition("-")
    at = {row["slot"]: row["producer_sequence"] for row in rows(path, "SELECT * FROM position")}
    for slot, row in said.items():
        producer, _, place = slot.partition("-")
        if producer not in HEARD.get(service, ()) or (plant and place != plant):
            continue
        if place == "group" and service != "operations":
            continue
        yield name, slot, row["last_sequence"] - at.get(slot, 0)


def _unread(home: Path, plant: str, path: Path) -> int:
    if plant == "brno":
        found = rows(home / "mes-brno" / "staging.db", "SELECT COUNT(*) FROM CONFIRM_OUT WHERE STATUS = 'N'")
        return found[0][0] if found else 0
    last = rows(home / f"mes-{plant}" / "mes.db", "SELECT MAX(lfd) FROM meldung")
    read = rows(path, "SELECT position FROM feeds")
    return ((last[0][0] or 0) if last else 0) - (int(read[0][0] or 0) if read else 0)
