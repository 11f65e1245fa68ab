"""Add the samples of figures over time, and what finds the entries that they are made of.

Why:    a plant's figures are asked for over days; the timeline is kept for orders, not for sums.
Phase:  expand.
Locks:  a new table; an index is built over the confirmations and answers of the MES, some seconds for millions.   Old code: does
        not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

COUNTED = (
    "fact_type IN ('isthmus.edge.v1.WorkOrderAccepted', 'isthmus.edge.v1.WorkOrderRefused', "
    "'isthmus.production.v1.OperationConfirmed', 'isthmus.gateway.v1.PostingRefused')"
)


def upgrade() -> None:
    op.create_table(
        "kpi_samples",
        sa.Column("sample_time", sa.BigInteger, primary_key=True),
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("kpi_id", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),  # millionths
    )
    op.create_index(
        "timeline_counted",
        "timeline_entries",
        ["record_time", "plant_id"],
        sqlite_where=sa.text(COUNTED),
        postgresql_where=sa.text(COUNTED),
    )
