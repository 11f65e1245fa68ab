"""Add stored_mark: how far a slot's stream was known to hold it, by hour.

Why:    outbox rows stay for a time after they were stored, not after they were recorded: a plant that was away for a month
        would else lose its insurance the day after it came back.
Phase:  expand.
Locks:  new table; building the index stops writes to claims for a moment.   Old code: knows neither.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "stored_mark",
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),  # since 1970
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_index("claims_by_age", "claims", ["claim_time"])
