"""On which days bills and routings are in use, and which resources are retired.

Why:    an order is planned by what is in use on the day it starts, on work centres that are offered.
Phase:  expand.
Locks:  columns with a constant default, which rewrite no rows; a new table.   Old code: reads and writes as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for name in ("bills_of_materials", "routings"):
        for column in ("effective_start_date", "effective_end_date"):
            op.add_column(name, sa.Column(column, sa.Text, nullable=False, server_default=""))
        op.add_column(name, sa.Column("is_retired", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "resources",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("resource_id", sa.Text, primary_key=True),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
