"""What the plant's MES is told of items.

Why:    inventory policy and material availability reach the MES.
Phase:  expand.
Locks:  a new table only.   Old code: does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Big = sa.BigInteger
AMOUNTS = ("on_hand", "available", "safety_stock", "reorder_point")


def upgrade() -> None:
    op.create_table(
        "materials",
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in AMOUNTS),  # "12.5 C62"; empty: none
        sa.Column("version", Big, nullable=False),
        sa.Column("is_asked", sa.Boolean, nullable=False),
    )
