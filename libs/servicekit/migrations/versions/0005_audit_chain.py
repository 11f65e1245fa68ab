"""Chain the audit: each entry with its number and the hash over the entry before it; and audit_head, the last of them.

Why:    whoever may write to the database could change what an operator did and why, and nobody would know.
Phase:  expand; entries that are older are chained in the order of their time, and one that says so stands behind them.
Locks:  audit is written anew, a few rows.   Old code: its desk refuses to act, for it would write an entry without a
        chain; all else goes on.
"""

import hashlib
import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NO_HASH = "0" * 64


def upgrade() -> None:
    op.rename_table("audit", "audit_before")
    op.create_table(
        "audit",
        sa.Column("entry_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("audit_id", sa.Text, nullable=False, unique=True),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("operator_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("audit_time", sa.BigInteger, nullable=False),
        sa.Column("chain_hash", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("head_id", sa.Integer, primary_key=True, autoincrement=False),  # one row: 1
        sa.Column("entry_number", sa.BigInteger, nullable=False),
        sa.Column("chain_hash", sa.Text, nullable=False),
    )
    number, last = _chain_what_is_there()
    statement = sa.text("INSERT INTO audit_head (head_id, entry_number, chain_hash) VALUES (1, :number, :last)")
    op.get_bind().execute(statement, {"number": number, "last": last})
    op.drop_table("audit_before")


def _chain_what_is_there() -> tuple[int, str]:
    """Number and hash of the last entry."""
    columns = "audit_id, what, subject, operator_id, reason, detail, audit_time"
    rows = op.get_bind().exec_driver_sql(f"SELECT {columns} FROM audit_before ORDER BY audit_time, audit_id").fetchall()
    if not rows:
        return 0, NO_HASH
    entries = [(row[0], row[1], row[2], "", *row[3:]) for row in rows]
    said = f"{len(rows)} entries before this one are older than the chain: it vouches for them as they stood now"
    now = time.time_ns() // 1000
    entries.append((uuid.uuid4().hex, "chained", f"audit 1-{len(rows)}", "", "migration 0005", said, "", now))
    last = NO_HASH
    for number, entry in enumerate(entries, start=1):
        last = _hash(last, number, *entry)
        _insert((number, *entry, last))
    return len(entries), last


def _hash(*values: object) -> str:
    """As audit.py has it; written out, for what a migration did must not change with the code."""
    made = hashlib.sha256(b"isthmus.audit.1")
    for value in values:
        data = str(value).encode()
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def _insert(entry: tuple[object, ...]) -> None:
    columns = "entry_number, audit_id, what, subject, event_id, operator_id, reason, detail, audit_time, chain_hash"
    names = columns.split(", ")
    marks = ", ".join(f":{name}" for name in names)
    statement = sa.text(f"INSERT INTO audit ({columns}) VALUES ({marks})")
    op.get_bind().execute(statement, dict(zip(names, entry, strict=True)))
