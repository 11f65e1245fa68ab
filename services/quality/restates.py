"""Test specifications said again for a reader that is added later."""

from __future__ import annotations

from datetime import datetime

from servicekit.database import Tx
from servicekit.restate import Restates
from servicekit.use_case import Fact
from services.quality import wire
from services.quality.domain.test_specification import TestSpecification
from services.quality.store import TEST_SPECIFICATIONS


def specification(_tx: Tx, found: TestSpecification, now: datetime) -> Fact:
    return wire.specification_fact(found, now)


RESTATES = (Restates(TEST_SPECIFICATIONS, specification),)
