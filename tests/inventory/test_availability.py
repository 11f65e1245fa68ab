"""How much of an item can be used: what is compared, and what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from isthmus.inventory.v1.inventory_events_pb2 import MaterialAvailabilityChanged
from servicekit.domain import Quantity
from services.inventory import stock_wire
from services.inventory.domain.availability import Availability
from services.inventory.stock_use_cases import decide_availability
from services.inventory.store import STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


def pieces(value: str) -> Quantity:
    return Quantity(Decimal(value), "C62")


SEALS = Availability("aachen", "SEAL-7", pieces("500"), pieces("20"), pieces("30.5"))


def test_held_and_allocated_stock_can_t_be_used() -> None:
    assert SEALS.available == pieces("449.5")


def test_what_differs_is_said_with_the_next_version_and_what_does_not_is_not() -> None:
    first = decide_availability(seen(STORE), stock_wire.TellAvailability("aachen", (SEALS,)), NOW)
    assert facts_of(first) == ["MaterialAvailabilityChanged"]
    said = first.facts[0].data
    assert isinstance(said, MaterialAvailabilityChanged)
    assert (said.material_availability.available.value, said.material_availability.version) == ("449.5", 1)
    again = decide_availability(seen(STORE, *first.changed), stock_wire.TellAvailability("aachen", (SEALS,)), NOW)
    assert (again.changed, again.facts) == ([], [])
    less = replace(SEALS, on_hand=pieces("499"))
    after = decide_availability(seen(STORE, *first.changed), stock_wire.TellAvailability("aachen", (less,)), NOW)
    assert after.changed == [replace(less, version=2)]
