"""The kit against its model, with crashes at any statement; and the same machine must catch bugs that are planted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from servicekit import inbox
from servicekit.database import Tx
from servicekit.domain import DomainError
from tests.servicekit.machine import Kit
from tests.servicekit.model import TOGETHER
from tests.servicekit.planted import BUGS
from tests.support import toy
from tests.support.crashing import Crash, CrashingDatabase

pytestmark = pytest.mark.connected
SHORT = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(SHORT, max_examples=3000, derandomize=False)
HUNT = settings(SHORT, max_examples=1500, phases=[Phase.generate], report_multiple_bugs=False)


def fast_database(path: Path, versions: Path) -> CrashingDatabase:
    """A crash here is of our process, not of the machine: nothing needs to be forced to disk."""
    url = f"sqlite:///{path}"
    toy.open_database(url, versions).close()
    database = CrashingDatabase(url)
    for engine in database.engines:
        sa.event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=OFF"))
    return database


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Kit]]:
    home = tmp_path_factory.mktemp("model")
    loop = asyncio.new_event_loop()
    patch = pytest.MonkeyPatch()
    patch.setattr(inbox, "LANE_MOST", TOGETHER)
    said_by, heard_by = (fast_database(home / f"{name}.db", home / "versions") for name in ("said_by", "heard_by"))
    yield type("Kit", (Kit,), {"said_by": said_by, "heard_by": heard_by, "loop": loop})
    said_by.close()
    heard_by.close()
    loop.close()
    patch.undo()


async def test_a_crash_comes_before_the_statement_that_it_is_told(tmp_path: Path) -> None:
    database, ran = fast_database(tmp_path / "cut.db", tmp_path / "versions"), []

    def work(tx: Tx) -> None:
        for number in (1, 2, 3):
            tx.run("SELECT 1")
            ran.append(number)

    database.die_in(1, 3)
    with pytest.raises(Crash):
        await database.write(work)
    database.close()
    assert ran == [1, 2]


def test_the_kit_stands_as_its_model_through_every_crash(machine: type[Kit]) -> None:
    run_state_machine_as_test(machine, settings=SHORT)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_kit_stands_as_its_model_through_very_many_crashes(machine: type[Kit]) -> None:
    run_state_machine_as_test(machine, settings=LONG)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(machine: type[Kit], bug: object, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    with pytest.raises((AssertionError, DomainError)):  # the latter: what the model holds is not there
        run_state_machine_as_test(machine, settings=HUNT)
