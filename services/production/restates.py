"""Open work orders said again, as they stand, for a reader that is added later. Closed ones are history: nobody waits for them."""

from __future__ import annotations

from datetime import datetime

from isthmus.production.v1.production_events_pb2 import WorkOrderReleased
from servicekit.database import Tx
from servicekit.restate import Restates
from servicekit.use_case import Fact
from services.production import wire
from services.production.domain.work_order import CLOSED, WorkOrder
from services.production.store import COMPONENTS, OPERATIONS, WORK_ORDERS


def work_order(tx: Tx, order: WorkOrder, now: datetime) -> Fact:
    own = [(order.work_order_id,)]
    said = wire.work_order_message(order, OPERATIONS.load_owned(tx, own), COMPONENTS.load_owned(tx, own))
    return wire.order_fact(WorkOrderReleased(work_order=said), order, now)


IS_OPEN = f"state NOT IN ({', '.join(repr(state.value) for state in sorted(CLOSED, key=lambda s: s.value))})"
RESTATES = (Restates(WORK_ORDERS, work_order, IS_OPEN),)
