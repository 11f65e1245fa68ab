"""A small service of tallies, for tests of the kit: one noun, one document, one fact, on real databases."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from google.protobuf import json_format
from google.protobuf.message import Message

from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from isthmus.inventory.v1.inventory_service_pb2 import ConfirmReceiptRequest, ConfirmReceiptResponse
from isthmus.inventory.v1.stock_pb2 import Stock
from servicekit import migrate
from servicekit.database import Database
from servicekit.domain import BusinessKey, DomainError, Kind, Quantity
from servicekit.facts import Do, EventMeta, consumes
from servicekit.rows import Rows, scaled, table, unscaled
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, Store, UseCase
from servicekit.wire import key_of_message, quantity_message, quantity_of

PLANT = "aachen"


class TallyMissing(DomainError):
    """There is no such tally."""

    reason, kind = "TALLY_MISSING", Kind.MISSING


class TallyClosed(DomainError):
    """The tally takes no more."""

    reason, kind = "TALLY_CLOSED", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class Tally:
    tally_id: str
    amount: Decimal
    is_closed: bool = False


TALLIES = Rows(
    table("tallies", "tally_id", "amount", flags="is_closed"),
    Tally,
    key=("tally_id",),
    from_row=lambda r: Tally(r.tally_id, unscaled(r.amount), bool(r.is_closed)),
    to_row=lambda t: {"tally_id": t.tally_id, "amount": scaled(t.amount), "is_closed": t.is_closed},
    missing=TallyMissing,
)
STORE = Store("inventory", (TALLIES,))


@dataclass(frozen=True, slots=True)
class Add:
    business_key: BusinessKey
    tally_id: str
    quantity: Quantity
    note: str = ""


def decide_grow(seen: Seen, command: Add, now: datetime) -> Decision:
    """Add to a tally; "new-..." are made on the fly, "bug" raises."""
    key = TALLIES.key(command.tally_id)
    if command.note == "bug":
        raise ZeroDivisionError("a bug in a decision")
    tally = (
        seen.get(key) or Tally(command.tally_id, Decimal(0)) if command.tally_id.startswith("new") else seen.one(key)
    )
    if tally.is_closed:
        raise TallyClosed(tally_id=tally.tally_id)
    after = replace(tally, amount=tally.amount + command.quantity.value)
    stored = OutputStored(
        plant_id=PLANT,
        work_order_id=command.tally_id,
        lot_id=command.business_key.document_number,
        quantity=quantity_message(command.quantity),
    )
    fact = Fact(stored, PLANT, command.tally_id, command.tally_id, now, command.business_key)
    return Decision(changed=[after], facts=[fact])


def decide_add(seen: Seen, command: Add, now: datetime) -> Decision:
    """The same, for who waits for an answer: the tally's new amount."""
    decision = decide_grow(seen, command, now)
    (after,) = decision.changed
    assert isinstance(after, Tally)
    total = Stock(quantity=quantity_message(Quantity(after.amount, command.quantity.unit_code)))
    return decision._replace(answer=ConfirmReceiptResponse(stock=total))


add = UseCase(
    name="add",
    loads=lambda c, seen: [TALLIES.key(c.tally_id)],
    decide=decide_add,
    fingerprint=Fingerprint.of("tally_id", "quantity"),
    answers=ConfirmReceiptResponse,
)

grow = UseCase(name="grow", loads=add.loads, decide=decide_grow)


@consumes(OutputStored)
def hear(event: OutputStored, meta: EventMeta) -> Do:
    """When output is stored, add it to its tally."""
    key = BusinessKey("toy", "output", event.lot_id)
    return Do(add, Add(key, event.work_order_id, quantity_of(event.quantity)), is_document=meta.producer_slot == "")


HANDLERS = {"isthmus.inventory.v1.OutputStored": hear}


def an_add(number: str, tally_id: str = "new-1", amount: str = "1", note: str = "") -> Add:
    return Add(BusinessKey("mes", "output", number), tally_id, Quantity(Decimal(amount), "C62"), note)


def a_document(number: str, tally: str = "new-1", amount: str = "1", unit: str = "C62") -> ConfirmReceiptRequest:
    """The same as it comes in a call; "new-bug" raises."""
    document = ConfirmReceiptRequest()
    document.business_key.source_system, document.business_key.document_type = "mes", "output"
    document.business_key.document_number = number
    document.plant_id, document.item_id, document.lot_id = PLANT, tally, f"L-{number}"
    document.quantity.value, document.quantity.unit_code = amount, unit
    document.occur_time.FromSeconds(1_790_000_000)
    return document


def add_of(document: ConfirmReceiptRequest) -> Add:
    note = "bug" if document.item_id == "new-bug" else ""
    return Add(key_of_message(document.business_key), document.item_id, quantity_of(document.quantity), note)


def database_of_before(url: str, versions: Path, newest: int) -> Database:
    """A database with the kit's tables as they were after this migration."""
    before = versions / "kit"
    before.mkdir(parents=True)
    for path in (migrate.KIT / "versions").glob("[0-9]*.py"):
        if int(path.name.split("_")[0]) <= newest:
            shutil.copy(path, before)
    database = Database(url)
    migrate._upgrade(database.engines[0], before, "kit_version")
    return database


def open_database(url: str, versions: Path) -> Database:
    """A database with the kit's tables and the toy's."""
    database = Database(url)
    versions.mkdir(parents=True, exist_ok=True)
    (versions / "0001_toy.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '0001', None\n\n"
        "def upgrade():\n    op.create_table('tallies', sa.Column('tally_id', sa.Text, primary_key=True),\n"
        "        sa.Column('amount', sa.BigInteger, nullable=False), sa.Column('is_closed', sa.Boolean, nullable=False))\n"
    )
    migrate.migrate(database.engines[0], STORE.service, versions)
    return database


async def rows(database: Database, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await database.read(lambda tx: tx.rows(sql, parameters))]


async def snapshot(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the database, for tests that nothing changed."""
    names = sa.inspect(database.engines[1]).get_table_names()
    return {name: sorted(map(repr, await rows(database, f"SELECT * FROM {name}"))) for name in sorted(names)}  # type: ignore[misc]


def json_of(message: Message) -> str:
    """Content as a person at the desk types it."""
    return json_format.MessageToJson(message, indent=None)
