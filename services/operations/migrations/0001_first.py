"""Timelines, the numbers that orders are known by, and spans.

Why:    the first tables of operations.
Phase:  first.
Locks:  new tables only.   Old code: there is none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Big = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "order_references",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
    )
    op.create_table(
        "order_numbers",
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, primary_key=True),
    )
    op.create_table(
        "timeline_entries",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("occur_time", Big, nullable=False),
        sa.Column("record_time", Big, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("fact_type", sa.Text, nullable=False),
        sa.Column("is_late", sa.Boolean, nullable=False),
        sa.Column("is_alarm", sa.Boolean, nullable=False),
        sa.Column("is_variance", sa.Boolean, nullable=False),
        sa.Column("sequence", Big, nullable=False),
    )
    op.create_index("timeline_by_order", "timeline_entries", ["work_order_id", "record_time"])
    op.create_index("timeline_by_variance", "timeline_entries", ["is_variance", "record_time"])
    op.create_table(
        "spans",
        sa.Column("trace_id", sa.Text, primary_key=True),
        sa.Column("span_id", sa.Text, primary_key=True),
        sa.Column("parent_span_id", sa.Text, nullable=False),
        sa.Column("service_name", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("start_ns", Big, nullable=False),
        sa.Column("end_ns", Big, nullable=False),
        sa.Column("is_error", sa.Boolean, nullable=False),
    )
    op.create_index("spans_by_age", "spans", ["end_ns"])
