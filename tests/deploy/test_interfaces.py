"""What `isthmus interfaces` shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from deploy.local.interfaces import row
from isthmus.operations.v1 import interface_pb2 as messages


def an_interface(state: messages.InterfaceState.ValueType) -> messages.Interface:
    one = messages.Interface(
        interface_id="mes-acceptance", plant_id="aachen", name="Orders to the MES", owner="plant IT"
    )
    one.sla_tier, one.state = messages.SLA_TIER_NEAR_REAL_TIME, state
    one.limit_duration.FromTimedelta(timedelta(seconds=90))
    return one


def test_a_breached_interface_is_shown_with_its_begin_and_its_oldest_order() -> None:
    one = an_interface(messages.INTERFACE_STATE_BREACHED)
    one.since_time.FromDatetime(datetime(2026, 11, 25, 12, tzinfo=UTC))
    one.open_count, one.oldest_work_order_id = 3, "aachen-1"
    assert row(one) == {
        "plant": "aachen",
        "interface": "mes-acceptance",
        "name": "Orders to the MES",
        "tier": "near real time",
        "limit": "0:01:30",
        "state": "breached",
        "since": "2026-11-25 12:00:00",
        "open": 3,
        "oldest order": "aachen-1",
        "last good": "",
        "owner": "plant IT",
    }


def test_an_interface_that_was_never_used_has_no_times() -> None:
    shown = row(an_interface(messages.INTERFACE_STATE_OK))
    assert (shown["state"], shown["since"], shown["last good"], shown["oldest order"]) == ("ok", "", "", "")
