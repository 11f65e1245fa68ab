"""A toy of lines and the orders on them: a set that is read under its owner's lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from servicekit import migrate
from servicekit.database import Database
from servicekit.domain import DomainError, Kind
from servicekit.rows import Rows, table
from servicekit.use_case import Decision, Seen, Store, UseCase


class LineBlocked(DomainError):
    """The line takes no work now."""

    reason, kind = "LINE_BLOCKED", Kind.PRECONDITION


class NounMissing(DomainError):
    """There is no such line or order."""

    reason, kind = "NOUN_MISSING", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Line:
    line_id: str
    is_blocked: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    order_id: str
    line_id: str
    state: str = "planned"


LINES = Rows(
    table("lines", "line_id", flags="is_blocked"),
    Line,
    key=("line_id",),
    from_row=lambda r: Line(r.line_id, bool(r.is_blocked)),
    to_row=lambda line: {"line_id": line.line_id, "is_blocked": line.is_blocked},
    missing=NounMissing,
)
ORDERS = Rows(
    table("orders", "order_id line_id state"),
    Order,
    key=("order_id",),
    from_row=lambda r: Order(*r),
    to_row=lambda o: {"order_id": o.order_id, "line_id": o.line_id, "state": o.state},
    missing=NounMissing,
    owner=("line_id",),
)
STORE = Store("production", (LINES, ORDERS))


@dataclass(frozen=True, slots=True)
class OnLine:
    """A command for an order on a line; `order_id` empty: for the line."""

    line_id: str
    order_id: str = ""


def decide_release(seen: Seen, command: OnLine, now: datetime) -> Decision:
    """Release a planned order, unless its line is blocked."""
    order = seen.one(ORDERS.key(command.order_id))
    if seen.one(LINES.key(order.line_id)).is_blocked:
        raise LineBlocked(line_id=order.line_id)
    return Decision(changed=[replace(order, state="released")])


def decide_add(seen: Seen, command: OnLine, now: datetime) -> Decision:
    """A new order that is released at once joins the line's set."""
    if seen.one(LINES.key(command.line_id)).is_blocked:
        raise LineBlocked(line_id=command.line_id)
    return Decision(changed=[Order(command.order_id, command.line_id, "released")])


def decide_block(seen: Seen, command: OnLine, now: datetime) -> Decision:
    """Block the line and hold what is released on it."""
    line = seen.one(LINES.key(command.line_id))
    released = [order for order in seen.all(ORDERS.of(line.line_id)) if order.state == "released"]
    held = [replace(order, state="held") for order in released]
    return Decision(changed=[replace(line, is_blocked=True), *held])


# The caller knows the line: both are locked in one round, tables in name order.
release = UseCase(
    name="release",
    loads=lambda c, seen: [LINES.shared(c.line_id), ORDERS.key(c.order_id)],
    decide=decide_release,
)
# The line is known from the order only: the other way round than `block` locks, so that the two can meet in a deadlock.
release_unknown = UseCase(
    name="release_unknown",
    loads=lambda c, seen: [
        ORDERS.key(c.order_id),
        *([LINES.shared(order.line_id)] if (order := seen.get(ORDERS.key(c.order_id))) is not None else []),
    ],
    decide=decide_release,
)
add = UseCase(name="add", loads=lambda c, seen: [LINES.shared(c.line_id), ORDERS.key(c.order_id)], decide=decide_add)
block = UseCase(name="block", loads=lambda c, seen: [LINES.key(c.line_id), ORDERS.of(c.line_id)], decide=decide_block)


def open_database(url: str, versions: Path) -> Database:
    database = Database(url)
    versions.mkdir(parents=True, exist_ok=True)
    (versions / "0001_shop.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '0001', None\n\n"
        "def upgrade():\n    op.create_table('lines', sa.Column('line_id', sa.Text, primary_key=True),\n"
        "        sa.Column('is_blocked', sa.Boolean, nullable=False))\n"
        "    op.create_table('orders', sa.Column('order_id', sa.Text, primary_key=True),\n"
        "        sa.Column('line_id', sa.Text, nullable=False), sa.Column('state', sa.Text, nullable=False))\n"
    )
    migrate.migrate(database.engines[0], "shop", versions)
    return database
