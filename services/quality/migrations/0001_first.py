"""Test specifications, inspections with what was said for them, and nonconformances.

Why:    the first tables of quality.
Phase:  first.
Locks:  new tables only.   Old code: there is none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Big = sa.BigInteger


def _text(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "test_specifications",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("test_specification_id", sa.Text, primary_key=True),
        *_text("item_id", "version", "effective_start_date", "characteristics"),  # characteristics: JSON
        sa.Column("effective_end_date", sa.Text),
        sa.Column("checkpoint_operation_sequence", sa.Integer, nullable=False),
        sa.Column("needs_verdict", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_index("test_specifications_by_item", "test_specifications", ["plant_id", "item_id"])
    op.create_table(
        "batches",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("start_time", Big, nullable=False),
    )
    op.create_table(
        "samples",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("sample_number", sa.Text, primary_key=True),
        *_text("inspection_id"),
    )
    op.create_table(
        "inspections",
        sa.Column("inspection_id", sa.Text, primary_key=True),
        *_text("plant_id", "work_order_id", "item_id", "lot_id", "sample_number", "disposition", "traceparent"),
        *_text("specification", "results", "evidences", "verdict", "disposition_reasons", "missing_evidences"),  # JSON
        sa.Column("operation_sequence", sa.Integer, nullable=False),
        sa.Column("batch_start_time", Big, nullable=False),
        sa.Column("checkpoint_time", Big, nullable=False),
        sa.Column("disposition_time", Big),
        sa.Column("version", Big, nullable=False),
    )
    op.create_index("inspections_by_time", "inspections", ["plant_id", "checkpoint_time", "inspection_id"])
    op.create_table(
        "nonconformances",
        sa.Column("nonconformance_id", sa.Text, primary_key=True),
        *_text("plant_id", "inspection_id", "work_order_id", "item_id", "lot_id", "failure_reasons", "qms_case_number"),
        sa.Column("is_after_release", sa.Boolean, nullable=False),
        sa.Column("open_time", Big, nullable=False),
    )
    op.create_index("nonconformances_by_time", "nonconformances", ["plant_id", "open_time", "nonconformance_id"])
