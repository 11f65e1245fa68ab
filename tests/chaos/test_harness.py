"""The harness's own parts: a plan that its seed makes, a power cut that costs what was not synced, a checker that counts."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from tests.chaos import books, crash_points, faults, mischief, power
from tests.chaos.checker import Verdict, stream_in_order
from tests.chaos.faults import DOERS, KINDS, Fault
from tests.chaos.harness import Outcome, Plan, Run, judge
from tests.chaos.mischief import Tally
from tests.chaos.planted import BUGS
from tests.chaos.selftest import SCENARIOS, caught_it
from tests.chaos.topology import OURS, Place, free_base, table

WRITER = """
import os, sqlite3, sys
from pathlib import Path
from tests.chaos import power
home, synchronous = Path(sys.argv[1]), sys.argv[2]
power.watch(home / "unsynced")
connection = sqlite3.connect(home / "books.db", isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE books (number INTEGER)")
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
connection.execute(f"PRAGMA synchronous={synchronous}")
for number in range(200):
    connection.execute("INSERT INTO books VALUES (?)", (number,))
os.kill(os.getpid(), 9)
"""


OPENER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1] + "/books.db")
print(*connection.execute("PRAGMA integrity_check").fetchone(), *connection.execute("SELECT COUNT(*) FROM books").fetchone())
"""


@pytest.mark.parametrize(("synchronous", "left"), [("FULL", 200), ("OFF", 0)])
def test_a_power_cut_costs_what_was_not_synced_and_nothing_else(tmp_path: Path, synchronous: str, left: int) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path), synchronous], check=False)
    power.cut(tmp_path / "books.db", tmp_path / "unsynced")
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM books").fetchone() == (left,)


def test_a_power_cut_is_one_although_somebody_looks_at_the_books(tmp_path: Path) -> None:
    """A reader keeps the log's index alive; a real power cut leaves neither reader nor index."""
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path), "OFF"], check=False)
    with closing(sqlite3.connect(f"file:{tmp_path / 'books.db'}?mode=ro", uri=True)) as reader:
        reader.execute("SELECT COUNT(*) FROM books").fetchone()
        power.cut(tmp_path / "books.db", tmp_path / "unsynced")
        again = subprocess.run(
            [sys.executable, "-c", OPENER, str(tmp_path)], check=False, capture_output=True, text=True
        )
    assert again.stdout.split() == ["ok", "0"], again.stderr


def test_a_seed_says_which_faults_come() -> None:
    def first(seed: int, worker: int) -> list[faults.Fault]:
        return list(islice(faults.plan(seed, worker), 50))

    assert first(7, 0) == first(7, 0)
    assert first(7, 0) != first(7, 1)
    assert first(7, 0) != first(8, 0)


def test_every_kind_of_fault_can_be_done_and_comes_up() -> None:
    assert KINDS.keys() == DOERS.keys()
    seen = {fault.kind for fault in islice(faults.plan(1, 0), 1000)}
    assert seen == KINDS.keys() - {"lost_store"}


def test_every_service_is_killed_within_one_round_of_kills() -> None:
    assert {fault.target for fault in islice(faults.kills(1), 14)} >= {*OURS, "nats", "erp-aachen", "erp-brno"}


def test_every_planted_bug_has_a_scenario() -> None:
    assert BUGS.keys() == SCENARIOS.keys()
    assert len(BUGS) == 9


def test_every_crash_point_is_at_services_that_run() -> None:
    assert {service for service, _ in crash_points.everywhere()} <= set(OURS)


def test_the_checker_tells_lost_twice_and_from_nowhere() -> None:
    verdict = Verdict()
    verdict.same_set("documents", {"A": 1, "B": 1, "C": 1}, {"B": 2, "C": 1, "D": 1})
    assert verdict.line() == "lost=1 duplicated=1 phantom=1 inverted=0 unbalanced=0"
    assert not verdict.is_clean


@pytest.mark.parametrize(("numbers", "wrong"), [([1, 2, 3], 0), ([1, 2, 2, 3], 1), ([1, 3, 2], 2), ([2, 3], 1)])
def test_a_stream_with_a_fact_twice_or_out_of_order_is_told(numbers: list[int], wrong: int) -> None:
    verdict = Verdict()
    stream_in_order(verdict, "production-graz", numbers)
    assert len(verdict.wrong["inverted"]) == wrong


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of which nothing was started."""
    (tmp_path / "data").mkdir()
    return Run(Place(tmp_path, table(free_base()), frozenset({"nats"})), Plan(1))


def test_a_fault_whose_target_another_has_is_not_counted_and_the_plan_goes_on(run: Run) -> None:
    tally = Tally()
    assert not mischief.do(run, Fault("repeat", "graz", 0.1, 0.5), tally)  # there is no broker
    assert not tally.hit


def test_a_repeat_that_the_broker_did_not_pass_on_is_none(run: Run) -> None:
    with socket.create_server(("127.0.0.1", run.place.ports["nats"])) as server:

        def hang_up() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)

        broker = threading.Thread(target=hang_up)
        broker.start()
        with pytest.raises(faults.NotNow):
            DOERS["repeat"](run.crew, Fault("repeat", "graz", 0.1, 0.5))
        broker.join()


def test_a_run_whose_books_can_not_all_be_reached_is_no_clean_run_and_no_catch(run: Run) -> None:
    (run.place.home / "load.jsonl").mkdir()
    outcome = Outcome(1)
    judge(run, outcome)
    assert not outcome.ok
    assert outcome.line() == "lost=0 duplicated=0 phantom=0 inverted=0 unbalanced=0 unread"
    assert not caught_it(outcome)


def test_what_was_found_before_a_damaged_database_stays_in_the_verdict(run: Run) -> None:
    sent = {"number": "R-1", "door": "api", "at": 1.0}
    lines = [{"what": "try", **sent}, {"what": "ack", **sent}]
    (run.place.home / "load.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (run.place.home / "data" / "inventory.db").write_text("no database at all" * 100)
    outcome = Outcome(1)
    judge(run, outcome)
    assert outcome.line() == "lost=1 duplicated=0 phantom=0 inverted=0 unbalanced=0 stuck"
    assert caught_it(outcome)


def test_a_process_is_killed_only_by_the_fault_that_has_taken_it(run: Run) -> None:
    """The watch starts again what nobody has taken: a power cut would wipe the log of a process that runs."""
    with pytest.raises(LookupError, match="not taken"):
        run.crew.kill("nats")


def test_no_power_is_cut_while_books_are_read(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path), "OFF"], check=False)
    cut = threading.Thread(target=power.cut, args=(tmp_path / "books.db", tmp_path / "unsynced"))
    read = threading.Thread(target=books.rows, args=(tmp_path / "books.db", "SELECT * FROM books"))
    with books.LOOKING:
        for thread in (cut, read):
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
    cut.join()
    read.join()
    assert books.rows(tmp_path / "books.db", "SELECT * FROM books") == []
