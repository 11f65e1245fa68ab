"""Samples by the laboratory's numbers, and questions to the historian that stand until they are answered.

Why:    a plant's laboratory and historian are asked when an inspection opens.
Phase:  expand.
Locks:  new tables only.   Old code: does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "samples",
        sa.Column("sample_number", sa.Text, primary_key=True),
        sa.Column("inspection_id", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
    )
    op.create_table(
        "historian_reads",
        sa.Column("inspection_id", sa.Text, primary_key=True),
        sa.Column("characteristic_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("tag_id", sa.Text, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("start_time", sa.BigInteger, nullable=False),
        sa.Column("end_time", sa.BigInteger, nullable=False),
        sa.Column("lower_limit", sa.BigInteger),
        sa.Column("upper_limit", sa.BigInteger),
        sa.Column("allowed_gap", sa.BigInteger, nullable=False),
        sa.Column("is_answered", sa.Boolean, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
    )
    op.create_index(
        "historian_reads_open",
        "historian_reads",
        ["end_time"],
        sqlite_where=sa.text("is_answered = 0"),
        postgresql_where=sa.text("NOT is_answered"),
    )
