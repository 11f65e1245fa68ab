"""Add fact_count: what a consumer took in and what became of it, counted in the transactions that did it.

Why:    a fact that is lost between two tables shows as a difference, within seconds and by itself.
Phase:  expand.
Locks:  new table only; what stands in lanes now is counted as taken in.   Old code: does not know it, and does not count:
        what a replica of the release before does beside new ones stays as a difference.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "fact_count",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("outcome", sa.Text, primary_key=True),
        sa.Column("facts", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO fact_count (consumer, plant_id, outcome, facts) SELECT l.consumer, l.plant_id, 'in', COUNT(*) "
        "FROM lane l JOIN lane_fact f ON f.consumer = l.consumer AND f.order_key = l.order_key "
        "WHERE l.consumer NOT LIKE 'postings:%' GROUP BY l.consumer, l.plant_id"
    )
