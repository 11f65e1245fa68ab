"""Assets, downtimes, condition rules with what they have seen, and work requests.

Why:    the first tables of maintenance.
Phase:  first.
Locks:  new tables only.   Old code: there is none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Big = sa.BigInteger


def _key(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in names]


def _text(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _big(*names: str) -> list[sa.Column]:
    return [sa.Column(name, Big, nullable=False) for name in names]


def _flag(name: str) -> sa.Column:
    return sa.Column(name, sa.Boolean, nullable=False)


def upgrade() -> None:
    op.create_table(
        "assets",
        *_key("plant_id", "asset_id"),
        *_text("description", "line_id", "cost_centre_id", "cmms_asset_number", "state"),
        _flag("stops_line"),
        sa.Column("state_time", Big),
        *_big("fault_code", "counter_epoch", "counted_runtime", "counted_cycles", "runtime_seconds", "cycle_count"),
        *_big("version"),
    )
    op.create_table(
        "downtimes",
        *_key("plant_id", "downtime_id"),
        *_text("asset_id", "line_id", "cost_centre_id"),
        _flag("stops_line"),
        *_big("fault_code", "start_time"),
        sa.Column("end_time", Big),
    )
    op.create_index("downtimes_by_time", "downtimes", ["plant_id", "start_time", "downtime_id"])
    op.create_table(
        "condition_rules",
        *_key("plant_id", "condition_rule_id"),
        *_text("asset_id", "problem", "spare_parts", "condition"),  # JSON: parts, condition
        sa.Column("priority", sa.Integer, nullable=False),
        _flag("is_retired"),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_index("condition_rules_by_asset", "condition_rules", ["plant_id", "asset_id"])
    op.create_table(
        "watches",
        *_key("plant_id", "condition_rule_id"),
        *_text("asset_id", "open_request_id", "buckets", "points"),  # JSON: buckets, points
        *_big("request_count", "since_runtime"),
        _flag("is_latched"),
        sa.Column("seen_time", Big),
    )
    op.create_table(
        "work_requests",
        *_key("work_request_id"),
        *_text("plant_id", "asset_id", "line_id", "condition_rule_id", "problem", "cause", "spare_parts", "state"),
        *_text("cost_centre_id", "cmms_asset_number", "cmms_request_number"),
        sa.Column("priority", sa.Integer, nullable=False),
        *_big("occurrence_count", "first_occur_time", "last_occur_time", "version"),
        sa.Column("expected_time", Big),
    )
    op.create_index("work_requests_by_plant", "work_requests", ["plant_id", "work_request_id"])
