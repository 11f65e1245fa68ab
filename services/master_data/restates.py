"""Master data said again for a reader that is added later: items before what refers to them."""

from __future__ import annotations

from datetime import datetime

from servicekit.database import Tx
from servicekit.restate import Restates
from servicekit.use_case import Fact
from services.master_data import wire
from services.master_data.domain.unit_conversion import UnitConversion
from services.master_data.store import (
    BILLS_OF_MATERIALS,
    INVENTORY_POLICIES,
    ITEMS,
    PARTNERS,
    RESOURCES,
    ROUTINGS,
    UNIT_CONVERSIONS,
)


def entity(_tx: Tx, entity: wire.Entity, now: datetime) -> Fact:
    return wire.entity_fact(entity, now)


def unit_conversion(_tx: Tx, conversion: UnitConversion, now: datetime) -> Fact:
    return wire.conversion_fact(conversion, now)


RESTATES = (
    Restates(ITEMS, entity),
    Restates(BILLS_OF_MATERIALS, entity),
    Restates(ROUTINGS, entity),
    Restates(PARTNERS, entity),
    Restates(RESOURCES, entity),
    Restates(INVENTORY_POLICIES, entity),
    Restates(UNIT_CONVERSIONS, unit_conversion),
)
