"""How much of an item a plant wants to have.

Why:    safety stock and reorder point reach the plant's MES.
Phase:  expand.
Locks:  a new table only.   Old code: does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Big = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "inventory_policies",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("safety_stock", Big, nullable=True),
        sa.Column("reorder_point", Big, nullable=True),
        sa.Column("target_stock", Big, nullable=True),
        sa.Column("version", Big, nullable=False),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
