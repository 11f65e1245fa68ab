"""Add epoch_start and slot_stop, drop what was kept for epochs in producer.

Why:    a producer whose database was put back raises its epoch and says, with every heartbeat, where each one began; a
        reader that is beyond that point stands still until a person decides, and that must outlive its process.
Phase:  expand; the dropped columns were never written or read.
Locks:  two new tables, and two columns dropped from a table of a few rows.   Old code: knows neither.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "epoch_start",
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("continues_sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "slot_stop",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("since_time", sa.BigInteger, nullable=False),
        sa.Column("is_accepted", sa.Boolean, nullable=False),
    )
    op.drop_column("producer", "continues_epoch")
    op.drop_column("producer", "continues_sequence")
