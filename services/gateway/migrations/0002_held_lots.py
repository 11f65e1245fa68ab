"""Lots that the ERPs must set aside, and decisions that wait for their order's completion in the ERP.

Why:    a hold moves stock in the ERP, and there is none before the order is complete there.
Phase:  expand.
Locks:  new tables only.   Old code: ignores them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "held_lots",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("lot_id", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("hold_reason", sa.Text, nullable=False),
        sa.Column("is_held", sa.Boolean, nullable=False),
        sa.Column("is_asked", sa.Boolean, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
    )
    op.create_index("held_lots_by_order", "held_lots", ["work_order_id"])
    op.create_table(
        "erp_inspections",
        sa.Column("inspection_id", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("is_asked", sa.Boolean, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
    )
    op.create_index("erp_inspections_by_order", "erp_inspections", ["work_order_id"])
