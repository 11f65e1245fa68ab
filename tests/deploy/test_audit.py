"""`isthmus audit` asked of real desks: every service holds, or the one that does not is named with its entry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from deploy.local import calls, ports
from isthmus.operations.v1.lane_service_pb2_grpc import add_LaneServiceServicer_to_server
from servicekit.audit import Action, append
from servicekit.database import Database
from servicekit.desk import Desk
from servicekit.errors import Refusals
from tests.support import toy
from tests.support.isthmus import Answer, Isthmus, free_base, is_one_sentence

pytestmark = pytest.mark.connected
PLANT = "aachen"


@dataclass(frozen=True)
class Desks:
    """The desks of a system: production's with a database of its own, all others with one that nobody acted on."""

    isthmus: Isthmus
    production: Database

    async def act(self, operator: str) -> None:
        action = Action("discard", "production order-1", "fact-1", operator, "came twice", "desk/test/1")
        await self.production.write(lambda tx: append(tx, action))

    async def run(self, *arguments: str) -> Answer:
        return await asyncio.to_thread(self.isthmus.run, "audit", *arguments)


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    isthmus = Isthmus(free_base(), tmp_path / "home", plants=(PLANT,))
    databases = [toy.open_database(f"sqlite:///{tmp_path / name}.db", tmp_path / name) for name in ("one", "others")]
    servers = [grpc.aio.server(interceptors=[Refusals()]) for _ in databases]
    for database, server in zip(databases, servers, strict=True):
        add_LaneServiceServicer_to_server(Desk(database, {}), server)
    for name in calls.services([PLANT]):
        servers[0 if name == "production" else 1].add_insecure_port(f"127.0.0.1:{ports.table(isthmus.base)[name]}")
    await asyncio.gather(*(server.start() for server in servers))
    yield Desks(isthmus, databases[0])
    await asyncio.gather(*(server.stop(None) for server in servers))
    for database in databases:
        database.close()


async def test_every_service_is_asked_and_holds(desks: Desks) -> None:
    await desks.act("kim")
    answer = await desks.run("verify", "--json")
    assert answer.code == 0, answer.err
    rows = {row["service"]: row for row in json.loads(answer.out)}
    assert rows.keys() == set(calls.services([PLANT]))
    assert {name for name, row in rows.items() if row["entries"]} == {"production"}
    assert all(row["holds"] for row in rows.values())


async def test_a_chain_that_does_not_hold_is_a_sentence_with_service_and_entry_and_code_1(desks: Desks) -> None:
    for operator in ("kim", "lee", "sam"):
        await desks.act(operator)
    await desks.production.write(lambda tx: tx.run("UPDATE audit SET operator_id = 'kim' WHERE entry_number = 2"))
    answer = await desks.run("verify", "--json")
    assert answer.code == 1
    assert is_one_sentence(answer), answer.err
    assert "The audit of production does not hold at entry 2: " in answer.err
    assert [row["service"] for row in json.loads(answer.out) if not row["holds"]] == ["production"]


async def test_a_tail_cut_with_its_head_is_told_by_what_was_kept_elsewhere(desks: Desks, tmp_path: Path) -> None:
    await desks.act("kim")
    kept = tmp_path / "heads.json"
    kept.write_text((await desks.run("verify", "--json")).out)
    assert (await desks.run("verify", "--known", str(kept))).code == 0
    no_hash = "0" * 64
    await desks.production.write(lambda tx: tx.run("DELETE FROM audit"))
    await desks.production.write(
        lambda tx: tx.run("UPDATE audit_head SET entry_number = 0, chain_hash = ?", (no_hash,))
    )
    assert (await desks.run("verify")).code == 0, "in itself it holds"
    answer = await desks.run("verify", "--known", str(kept))
    assert answer.code == 1
    assert "The audit of production does not hold at entry 1: " in answer.err
    kept.write_text("{}")
    assert "heads.json is not what" in (await desks.run("verify", "--known", str(kept))).err


async def test_who_did_what_is_listed_newest_first_for_one_service_or_all(desks: Desks) -> None:
    await desks.act("kim")
    await desks.act("lee")
    everything = json.loads((await desks.run("list", "--json")).out)
    assert [(row["service"], row["operator"], row["event"]) for row in everything] == [
        ("production", "lee", "fact-1"),
        ("production", "kim", "fact-1"),
    ]
    assert json.loads((await desks.run("list", "--service", "gateway", "--json")).out) == []
    assert "There is no service warehouse" in (await desks.run("list", "--service", "warehouse")).err
