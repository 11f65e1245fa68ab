"""Production's own copy of which bills of materials and routings a plant has.

Why:    an order must not reach the plant before the bill and the routing that it names.
Phase:  first.
Locks:  new tables only.   Old code: does not read them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "bills_of_materials",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("bill_of_materials_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.Text, nullable=False),
    )
    op.create_table(
        "routings",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("routing_id", sa.Text, primary_key=True),
    )
