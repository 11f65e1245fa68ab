"""Rows as they go in and come back, on both databases: by whatever way a database takes them cheapest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from servicekit import claims, clock
from servicekit.claims import Claim
from servicekit.database import POSTGRES_WRITERS, Again, Database, Tx
from servicekit.domain import BusinessKey
from servicekit.rows import Rows, table
from tests.support import toy
from tests.support.postgres import Postgres

pytestmark = pytest.mark.connected


@dataclass(frozen=True, slots=True)
class Shelf:
    plant_id: str
    number: int
    text: str | None
    amount: int
    is_open: bool


SHELVES = Rows(
    table("shelves", "plant_id text", "amount", "number", "is_open"),
    Shelf,
    key=("plant_id", "number"),
    from_row=lambda r: Shelf(r.plant_id, r.number, r.text, r.amount, bool(r.is_open)),
    to_row=lambda s: {
        "plant_id": s.plant_id,
        "text": s.text,
        "amount": s.amount,
        "number": s.number,
        "is_open": s.is_open,
    },
)
TEXTS = ("", "a\tb\\n\\.\n\r", "\\N", "ä 'quoted' \"twice\" 100 % ?", "\x01\u2028\U0001f529", '{"a": [null]}', None)
MANY = 5000
SHELVED = [Shelf("aachen", n, text, (-1) ** n * (2**63 - 1 - n), n % 2 == 0) for n, text in enumerate(TEXTS)]


def make_shelves(database: Database) -> None:
    names = {"plant_id": sa.Text, "text": sa.Text, "amount": sa.BigInteger, "number": sa.Integer, "is_open": sa.Boolean}
    columns = [sa.Column(n, kind, primary_key=n in ("plant_id", "number")) for n, kind in names.items()]
    sa.Table("shelves", sa.MetaData(), *columns, sa.Column("bytes", sa.LargeBinary)).create(database.engines[0])


@pytest.fixture
async def shelves(database: Database) -> Database:
    make_shelves(database)
    await database.write(lambda tx: SHELVES.insert(tx, SHELVED))
    return database


async def held(database: Database) -> list[Shelf]:
    return await database.read(lambda tx: SHELVES.select(tx, "plant_id = ? ORDER BY number", ("aachen",)))


async def test_what_goes_in_comes_back(shelves: Database) -> None:
    assert await held(shelves) == SHELVED


async def test_updates_touch_their_rows_and_no_other(shelves: Database) -> None:
    changed = [replace(shelf, text=TEXTS[-1 - n], amount=n, is_open=True) for n, shelf in enumerate(SHELVED[:-1])]
    await shelves.write(lambda tx: SHELVES.update(tx, changed))
    assert await held(shelves) == [*changed, SHELVED[-1]]


async def test_a_row_that_vanished_fails_its_transaction(shelves: Database) -> None:
    gone = replace(SHELVED[0], number=99)
    with pytest.raises(Again):
        await shelves.write(lambda tx: SHELVES.update(tx, [replace(SHELVED[1], amount=5), gone]))
    assert await held(shelves) == SHELVED


async def test_a_key_that_is_there_fails_its_transaction(shelves: Database) -> None:
    with pytest.raises(Again):
        await shelves.write(lambda tx: SHELVES.insert(tx, [replace(SHELVED[0], number=99), SHELVED[1]]))
    assert await held(shelves) == SHELVED


async def test_a_part_that_met_a_key_is_undone_alone(shelves: Database) -> None:
    more = replace(SHELVED[0], number=99)

    def one_of_two(tx: Tx) -> None:
        with pytest.raises(Again), tx.part():
            SHELVES.insert(tx, [SHELVED[1]])
        SHELVES.insert(tx, [more])

    await shelves.write(one_of_two)
    assert await held(shelves) == [*SHELVED, more]


async def test_bytes_stay_bytes(shelves: Database) -> None:
    said = [bytes(range(256)), b"\\x00", b"\\N\n", b""]
    rows = [("ghent", n, one) for n, one in enumerate(said)]
    await shelves.write(lambda tx: tx.insert("shelves", "plant_id, number, bytes", rows))
    found = await shelves.read(lambda tx: tx.rows("SELECT bytes FROM shelves WHERE plant_id = 'ghent' ORDER BY number"))
    assert [bytes(row[0]) for row in found] == said


@pytest.fixture
def empty(postgres: Postgres, tmp_path: Path) -> Iterator[Database]:
    opened = toy.open_database(postgres.fresh(), tmp_path / "versions")
    make_shelves(opened)
    yield opened
    opened.close()


def read_of(table: str, look: Callable[[Tx], object]) -> Callable[[Tx], int]:
    """How many rows of a table PostgreSQL reads for a look at it."""

    def transaction(tx: Tx) -> int:
        look(tx)
        read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = ?"
        return int(tx.rows(read, (table,))[0][0])

    return transaction


@pytest.mark.parametrize(
    ("table", "look"),
    [
        ("claims", lambda tx: claims.read(tx, [("add", "toy", "output", "7", "")])),
        ("tallies", lambda tx: toy.TALLIES.load(tx, [("new-7",), ("new-8",)], is_shared=False)),
        ("shelves", lambda tx: SHELVES.load(tx, [("aachen", 7), ("ghent", 8)], is_shared=False)),
    ],
    ids=["texts", "a key", "a key of two columns"],
)
async def test_keys_go_by_their_index_though_the_plan_was_made_while_the_table_was_empty(
    empty: Database, table: str, look: Callable[[Tx], object]
) -> None:
    for _ in range(10 * POSTGRES_WRITERS):  # each connection keeps a plan of its own
        assert await empty.write(read_of(table, look)) == 0
    taken = [
        Claim("add", b"", BusinessKey("toy", "output", str(number)), 1, "{}", b"") for number in range(MANY, 2 * MANY)
    ]

    def fill(tx: Tx) -> None:
        claims.insert(tx, taken, clock.now())
        toy.TALLIES.insert(tx, [toy.Tally(f"new-{n}", Decimal(n)) for n in range(MANY)])
        SHELVES.insert(tx, [Shelf("aachen", n, "", n, True) for n in range(MANY)])

    await empty.write(fill)
    for _ in range(POSTGRES_WRITERS):
        assert await empty.write(read_of(table, look)) < 100
