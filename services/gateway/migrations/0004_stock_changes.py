"""Adjustments and transfers of lots that wait for their order's completion in the ERP.

Why:    the ERP has nothing of a lot before its order is complete there.
Phase:  expand.
Locks:  a new table only.   Old code: does not read it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "stock_changes",
        sa.Column("document_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("lot_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_index("stock_changes_by_order", "stock_changes", ["work_order_id"])
