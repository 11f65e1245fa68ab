"""How much of each item can be used, as it was said last.

Why:    it reaches the plant's MES.
Phase:  expand.
Locks:  a new table only.   Old code: does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Big = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "availabilities",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("on_hand", Big, nullable=False),
        sa.Column("held", Big, nullable=False),
        sa.Column("allocated", Big, nullable=False),
        sa.Column("version", Big, nullable=False),
    )
