"""Add an index of lanes by age.

Why:    the list of exceptions is read page by page, oldest first; with thousands of lanes each page sorted all of them.
Phase:  expand.
Locks:  an index of a small table.   Old code: does not need it.
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index("lane_by_age", "lane", ["since_time", "consumer", "order_key"])
