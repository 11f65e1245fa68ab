"""Ownership rules and refusals, foreign ids and unit conversions.

Why:    master data gets owners, other systems' ids and exact units.
Phase:  first.
Locks:  new tables only.   Old code: does not read them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "ownership_rules",
        sa.Column("entity_type", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("field_name", sa.Text, primary_key=True),
        sa.Column("source_system", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "ownership_refusals",
        sa.Column("refusal_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("entity_type", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("field_name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("source_system", sa.Text, nullable=False),
        sa.Column("kept", sa.Text, nullable=False),
        sa.Column("offered", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decide_reason", sa.Text, nullable=False),
        sa.Column("operator_id", sa.Text, nullable=False),
        sa.Column("offer_count", sa.BigInteger, nullable=False),
        sa.Column("offer_time", sa.BigInteger, nullable=False),
        sa.Column("decide_time", sa.BigInteger, nullable=False),  # 0: not decided
    )
    op.create_index("ownership_refusals_by_plant", "ownership_refusals", ["plant_id", "refusal_id"])
    op.create_table(
        "foreign_ids",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("entity_type", sa.Text, primary_key=True),
        sa.Column("source_system", sa.Text, primary_key=True),
        sa.Column("foreign_id", sa.Text, primary_key=True),
        sa.Column("entity_id", sa.Text, nullable=False),
    )
    own = ["plant_id", "entity_type", "source_system", "entity_id"]
    op.create_index("foreign_ids_by_entity", "foreign_ids", own, unique=True)
    op.create_table(
        "unit_conversions",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("units", sa.Text, primary_key=True),  # both codes in order, so that a pair has one rule
        sa.Column("from_unit", sa.Text, nullable=False),
        sa.Column("to_unit", sa.Text, nullable=False),
        sa.Column("numerator", sa.Text, nullable=False),
        sa.Column("denominator", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
