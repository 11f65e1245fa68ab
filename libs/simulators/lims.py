"""Plays the laboratory's system of plant ghent: requests and results as files, Dutch words, decimal commas, its own numbers.

It writes straight under the final name, as old systems do, and tells by an end mark with the count of rows what is whole.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.stage import BadRequest, application, arguments, body, open_store, run

DDL = """
CREATE TABLE IF NOT EXISTS monster (nr INTEGER PRIMARY KEY AUTOINCREMENT, aanvraag TEXT UNIQUE, bepalingen TEXT,
  status TEXT, opmerking TEXT, gereed INTEGER DEFAULT 0, sinds REAL);
CREATE TABLE IF NOT EXISTS uitslag (monster TEXT, bepaling TEXT, revisie INTEGER, waarde TEXT, tijd TEXT,
  PRIMARY KEY (monster, bepaling, revisie));
CREATE TABLE IF NOT EXISTS besturing (naam TEXT PRIMARY KEY, waarde TEXT);
"""
HEADER = ["Monsternr", "Bepaling", "Revisie", "Meetwaarde", "Eenheid", "Meettijd", "Analist"]
TESTS = {"VISC-20": ("212.5", "mPa.s"), "DROGE-STOF": ("48.2", "%"), "PH": ("7.1", "pH")}
ONCE = ("afgebroken", "dubbel", "kopregel", "formule", "buiten_grens", "weiger")  # what a person can provoke, once each


def sheet(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows([header, *rows, ["EINDE", str(len(rows))]])
    return text.getvalue()


def rows_of(path: Path) -> list[dict[str, str]] | None:
    """A request's rows; None while its end mark is not there."""
    lines = [line for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")), delimiter=";") if line]
    if len(lines) < 2 or lines[-1] != ["EINDE", str(len(lines) - 2)]:
        return None
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[1:-1]]


class Lims:
    def __init__(self, store: sqlite3.Connection, told: Any) -> None:
        self.store, self.folder, self.seconds = store, told.folder, told.result_seconds
        self.encoding, self.zone = told.encoding, ZoneInfo(told.zone)
        for name in ("requests", "accepted", "results"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    # --- what a person sets

    def setting(self, name: str) -> str:
        row = self.store.execute("SELECT waarde FROM besturing WHERE naam = ?", (name,)).fetchone()
        return str(row["waarde"]) if row is not None else ""

    def set(self, name: str, value: str) -> None:
        self.store.execute("INSERT OR REPLACE INTO besturing VALUES (?, ?)", (name, value))

    def once(self, name: str) -> bool:
        """Whether this was asked for; asked once, done once."""
        is_asked = self.setting(name) == "1"
        if is_asked:
            self.set(name, "")
        return is_asked

    async def control(self, request: Request) -> Response:
        said = await body(request)
        unknown = set(said) - {*ONCE, "stop"}
        if unknown:
            raise BadRequest(f"onbekend: {sorted(unknown)}")
        for name, value in said.items():
            self.set(name, "1" if value else "")
        return JSONResponse({name: self.setting(name) == "1" for name in (*ONCE, "stop")})

    async def correct(self, request: Request) -> Response:
        """A result was wrong: the next revision, in a file of its own."""
        said = await body(request)
        monster, code, value = (str(said.get(name, "")) for name in ("monster", "bepaling", "waarde"))
        sql = "SELECT MAX(revisie) AS last FROM uitslag WHERE monster = ? AND bepaling = ?"
        last = self.store.execute(sql, (monster, code)).fetchone()["last"]
        if last is None:
            raise BadRequest("uitslag onbekend")
        self._note(monster, code, last + 1, value)
        self._drop(f"{monster}-{code}-r{last + 1}.csv", [self._row(monster, code, last + 1)])
        return JSONResponse({"revisie": last + 1}, status_code=201)

    async def again(self, request: Request) -> Response:
        """All results of a sample once more, under another file name."""
        monster = str((await body(request)).get("monster", ""))
        sql = "SELECT * FROM uitslag WHERE monster = ? ORDER BY bepaling, revisie"
        rows = [self._row(r["monster"], r["bepaling"], r["revisie"]) for r in self.store.execute(sql, (monster,))]
        if not rows:
            raise BadRequest("monster onbekend")
        name = f"{monster}-herhaling-{datetime.now(UTC):%H%M%S%f}.csv"
        self._drop(name, rows)
        return JSONResponse({"bestand": name}, status_code=201)

    async def samples(self, _request: Request) -> Response:
        rows = self.store.execute("SELECT * FROM monster ORDER BY nr").fetchall()
        return JSONResponse({"monsters": [{**dict(row), "monsternr": _number(row["nr"])} for row in rows]})

    # --- work

    async def work(self) -> None:
        while True:
            for path in sorted((self.folder / "requests").glob("[!.]*.csv")):
                self._accept(path)
            self._measure()
            await asyncio.sleep(0.05)

    def _accept(self, path: Path) -> None:
        rows = rows_of(path)
        if not rows:
            return
        key = rows[0]["Aanvraag"]
        codes = [row["Bepaling"] for row in rows]
        if self._sample(key) is None:
            known = set(codes) <= TESTS.keys()
            is_refused = self.once("weiger") or not known
            remark = "" if not is_refused else "bepaling onbekend" if not known else "geen capaciteit"
            self.store.execute(
                "INSERT INTO monster (aanvraag, bepalingen, status, opmerking, sinds) VALUES (?, ?, ?, ?, ?)",
                (key, json.dumps(codes), "GEWEIGERD" if is_refused else "AANVAARD", remark, _now()),
            )
        sample = self._sample(key)
        number = _number(sample["nr"]) if sample["status"] == "AANVAARD" else ""
        answer = sheet(
            ["Aanvraag", "Monsternr", "Status", "Opmerking"], [[key, number, sample["status"], sample["opmerking"]]]
        )
        (self.folder / "accepted" / path.name).write_bytes(answer.encode(self.encoding))
        path.unlink()

    def _sample(self, key: str) -> Any:
        return self.store.execute("SELECT * FROM monster WHERE aanvraag = ?", (key,)).fetchone()

    def _measure(self) -> None:
        """Results of samples that lay long enough."""
        if self.setting("stop") == "1":
            return
        sql = "SELECT * FROM monster WHERE status = 'AANVAARD' AND gereed = 0 AND sinds <= ? ORDER BY nr"
        for sample in self.store.execute(sql, (_now() - self.seconds,)).fetchall():
            number, is_outside = _number(sample["nr"]), self.once("buiten_grens")
            codes = json.loads(sample["bepalingen"])
            for at, code in enumerate(codes):
                value = Decimal(TESTS[code][0]) * (Decimal("1.5") if is_outside and at == 0 else 1)
                self._note(number, code, 1, f"{value.quantize(Decimal('0.1'), ROUND_HALF_UP):f}")
            self._drop(f"{number}.csv", [self._row(number, code, 1) for code in codes])
            self.store.execute("UPDATE monster SET gereed = 1 WHERE nr = ?", (sample["nr"],))

    def _note(self, monster: str, code: str, revision: int, value: str) -> None:
        told = datetime.now(self.zone).strftime("%d-%m-%Y %H:%M")
        self.store.execute(
            "INSERT OR IGNORE INTO uitslag VALUES (?, ?, ?, ?, ?)", (monster, code, revision, value, told)
        )

    def _row(self, monster: str, code: str, revision: int) -> list[str]:
        sql = "SELECT * FROM uitslag WHERE monster = ? AND bepaling = ? AND revisie = ?"
        row = self.store.execute(sql, (monster, code, revision)).fetchone()
        value = str(row["waarde"]).replace(".", ",")
        return [monster, code, str(revision), value, TESTS[code][1], row["tijd"], "jvdb"]

    def _drop(self, name: str, rows: list[list[str]]) -> None:
        """A file of results, with what was provoked."""
        header = [
            "Resultaat" if column == "Meetwaarde" and self.setting("kopregel") == "1" else column for column in HEADER
        ]
        self.once("kopregel")
        if self.once("formule"):
            rows = [[*rows[0][:6], '=HYPERLINK("http://x")'], *rows[1:]]
        raw = sheet(header, rows).encode(self.encoding)
        if self.once("afgebroken"):
            raw = raw[: len(raw) * 2 // 3]
        names = [name, name.replace(".csv", "-kopie.csv")] if self.once("dubbel") else [name]
        for one in names:
            (self.folder / "results" / one).write_bytes(raw)

    def routes(self) -> list[Route]:
        return [
            Route("/besturing", self.control, methods=["POST"]),
            Route("/correctie", self.correct, methods=["POST"]),
            Route("/herhaling", self.again, methods=["POST"]),
            Route("/monsters", self.samples),
        ]


def _number(number: int) -> str:
    return f"M26-{number:05d}"


def _now() -> float:
    return datetime.now(UTC).timestamp()


def main() -> None:
    parser = arguments(
        __doc__ or "", "python -m simulators.lims --port 18121 --state /tmp/lims --folder /tmp/lims/share"
    )
    parser.add_argument("--folder", type=Path, required=True, help="the shared folder: requests, accepted, results")
    parser.add_argument("--result-seconds", type=float, default=1.0, help="how long a measurement takes")
    parser.add_argument("--encoding", choices=("cp1252", "utf-8-sig"), default="cp1252", help="of what it writes")
    parser.add_argument("--zone", default="Europe/Brussels", help="time zone of its clock")
    told = parser.parse_args()
    lims = Lims(open_store(told.state / "lims.db", DDL), told)
    asyncio.run(run(application(lims.routes()), told.port, lims.work()))


if __name__ == "__main__":
    main()
