"""The ERPs' orders as far as the plants were told, and how far each ERP is read.

Why:    the first tables of the gateway.
Phase:  first.
Locks:  new tables only.   Old code: there is none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "erp_orders",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("erp_order_number", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("is_completing", sa.Boolean, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
    )
    op.create_index("erp_orders_by_plant", "erp_orders", ["plant_id", "step"])
    op.create_table(
        "erp_feeds",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("watermark", sa.Text, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
    )
