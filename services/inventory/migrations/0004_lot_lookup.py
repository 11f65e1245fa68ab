"""Add an index of transactions by lot.

Why:    a lot's genealogy is asked lot by lot, both ways; over a ledger of years each answer read all of a plant's lines.
Phase:  expand.
Locks:  an index is built while writers wait: some seconds for millions of lines.   Old code: does not need it.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("transactions_by_lot", "inventory_transactions", ["plant_id", "lot_id"])
