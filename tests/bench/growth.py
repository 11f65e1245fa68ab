"""Does it stay as fast, and as small? Documents with a million known keys against none; memory over a million facts."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import sqlalchemy as sa

from deploy.local.report import Report
from tests.bench import work
from tests.bench.pipeline import ROOT, command, databases
from tests.support import toy
from tests.support.broker import Broker

KNOWN, DOCUMENTS, FACTS = 1_000_000, 10_000, 1_000_000
LEAST = 0.9  # of the rate without known keys
MOST_GROWTH = 1.1  # memory at the end over memory at a quarter of the way
SAMPLE_SECONDS = 1.0
Say = Callable[[str], None]
COLUMNS = (
    "claim_id, command, key_hash, source_system, document_type, document_number, document_line, "
    "fingerprint_version, content, answer, claim_time"
)
NUMBERS = {  # of the known documents, where i counts them
    "sqlite": {"following": "CAST(i AS TEXT)", "scattered": "lower(hex(randomblob(16)))"},
    "postgresql": {"following": "i::text", "scattered": "md5(i || 'known')"},
}
CONTENT = '{"quantity":{"unit_code":"C62","value":"1"},"tally_id":"new-000001"}'
FILL = {
    "sqlite": (
        f"INSERT INTO claims ({COLUMNS}) WITH RECURSIVE n(i, h) AS (SELECT 1, randomblob(16) UNION ALL "
        f"SELECT i + 1, randomblob(16) FROM n WHERE i < {KNOWN}) SELECT 'add:' || lower(hex(h)), 'add', h, 'mes', 'output', "
        f"%s, '', 1, '{CONTENT}', randomblob(30), 1790000000000000 FROM n"
    ),
    "postgresql": (
        f"INSERT INTO claims ({COLUMNS}) SELECT 'add:' || md5(i::text), 'add', decode(md5(i::text), 'hex'), 'mes', 'output', "
        f"%s, '', 1, '{CONTENT}', decode(md5(i::text), 'hex'), 1790000000000000 FROM generate_series(1, {KNOWN}) AS i"
    ),
}


def prepared(kind: str, numbers: str, url: str, versions: Path) -> str:
    """The database with a million keys claimed, whose numbers follow one another or are scattered."""
    database = toy.open_database(url, versions)
    database.close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(FILL[kind] % NUMBERS[kind][numbers])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for settle in ("VACUUM ANALYZE", "CHECKPOINT") if kind == "postgresql" else ("ANALYZE",):
            connection.exec_driver_sql(settle)  # what the filling left to do would fall into some of the runs
    engine.dispose()
    return url


def once(url: str, known: int, done_before: int, versions: Path, numbers: str = "following") -> float:
    """Documents a second of a database with so many known keys, and so many documents of the runs before."""
    asked = [sys.executable, "-m", "tests.bench.claimer", url, str(known + done_before + 1), str(DOCUMENTS)]
    asked += ["--numbers", numbers, "--versions", str(versions)]
    done = subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        claimed = connection.exec_driver_sql("SELECT COUNT(*) FROM claims").scalar_one() - known
        told = connection.exec_driver_sql("SELECT COUNT(*) FROM outbox").scalar_one()
    engine.dispose()
    if not claimed == told == done_before + DOCUMENTS:
        raise RuntimeError(f"{done_before + DOCUMENTS} documents, {claimed} claims, {told} facts")
    return DOCUMENTS / float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def measure(kind: str, repetitions: int, home: Path, report: Report, say: Say) -> None:
    with databases(kind, home) as fresh:
        versions = home / "versions"
        grown = {numbers: prepared(kind, numbers, fresh(), versions) for numbers in NUMBERS[kind]}
        rates: dict[str, list[float]] = {"empty": [], **{numbers: [] for numbers in grown}}
        for repetition in range(repetitions):
            rates["empty"].append(once(fresh(), 0, 0, versions))
            for numbers, url in grown.items():
                rates[numbers].append(once(url, KNOWN, repetition * DOCUMENTS, versions, numbers))
            say(
                f"{kind}, run {repetition + 1}: {' '.join(f'{who} {r[-1]:,.0f} documents/s' for who, r in rates.items())}"
            )
    median = {who: round(statistics.median(found)) for who, found in rates.items()}
    report.figures[f"{kind}, documents/s, with {KNOWN:,} known keys and none"] = median
    ratio = round(median["following"] / median["empty"], 2)
    report.at_least(f"{kind}: documents with {KNOWN:,} known keys, of the rate with none", ratio, LEAST)
    report.figures[f"{kind}: the same where numbers are scattered"] = round(median["scattered"] / median["empty"], 2)


def memory(home: Path, report: Report, say: Say, facts: int = FACTS) -> None:
    """Resident memory of the kit's reader, inbox and relay while they take a million facts."""
    broker = Broker(home / "broker", sync_interval="2m")
    broker.start()
    try:
        asyncio.run(work.fill(broker.url, facts))
        url = f"sqlite:///{home / 'memory.db'}"
        child = subprocess.Popen(command("kit", broker.url, url, facts, home), cwd=ROOT, stdout=subprocess.PIPE)
        sizes = watched(child, say)
    finally:
        broker.kill()
    if child.returncode:
        raise RuntimeError("the consumer failed")
    quarter, end = (
        statistics.median(sizes[len(sizes) // 5 : len(sizes) // 3]),
        statistics.median(sizes[-len(sizes) // 10 :]),
    )
    report.figures[f"memory over {facts:,} facts, MiB at a quarter, at the end"] = [round(quarter), round(end)]
    report.at_most(f"memory after {facts:,} facts, times that at a quarter", round(end / quarter, 2), MOST_GROWTH)


def watched(child: subprocess.Popen[bytes], say: Say) -> list[float]:
    """MiB each second until it ends."""
    sizes: list[float] = []
    done = threading.Event()
    waiting = threading.Thread(target=lambda: (child.wait(), done.set()))
    waiting.start()
    process = psutil.Process(child.pid)
    while not done.wait(SAMPLE_SECONDS):
        sizes.append(process.memory_info().rss / 2**20)
        if len(sizes) % 30 == 0:
            say(f"after {len(sizes)} s: {sizes[-1]:.0f} MiB")
    waiting.join()
    return sizes
