"""What reads clocks and standings: for the watch, and for who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from isthmus.operations.v1 import interface_pb2
from isthmus.operations.v1 import operations_service_pb2 as messages
from servicekit import clock, paging
from servicekit.clock import instant, micros
from servicekit.database import Tx
from services.operations import sla_wire
from services.operations.domain.sla import Standing, Waiting
from services.operations.interfaces import Interface
from services.operations.store import CLOCKS, STANDINGS

At = tuple[str, str]  # interface and plant
HOUR = timedelta(hours=1)


def waiting(tx: Tx) -> dict[At, Waiting]:
    """What waits, where anything does."""
    found = tx.rows(
        "SELECT interface_id, plant_id, COUNT(*) AS open_count, MIN(open_time) AS oldest FROM sla_clocks "
        "WHERE close_time = 0 AND open_time > 0 GROUP BY interface_id, plant_id"
    )
    return {
        (row.interface_id, row.plant_id): Waiting(
            row.interface_id,
            row.plant_id,
            row.open_count,
            instant(row.oldest),
            _oldest_order(tx, row.interface_id, row.plant_id, row.oldest),
        )
        for row in found
    }


def _oldest_order(tx: Tx, interface_id: str, plant_id: str, open_time: int) -> str:
    found = tx.rows(
        "SELECT work_order_id FROM sla_clocks WHERE close_time = 0 AND interface_id = ? AND plant_id = ? "
        "AND open_time = ? ORDER BY work_id LIMIT 1",
        (interface_id, plant_id, open_time),
    )
    return found[0].work_order_id


def standings(tx: Tx) -> dict[At, Standing]:
    """What was said of interfaces, where anything was."""
    return {(one.interface_id, one.plant_id): one for one in STANDINGS.select(tx, "1 = 1", ())}


def list_interfaces(
    tx: Tx, request: messages.ListInterfacesRequest, every: Sequence[tuple[str, Interface]]
) -> messages.ListInterfacesResponse:
    """A page of `every` pair of plant and interface, which are in the order of the list."""
    most = paging.size(request)
    after = tuple(paging.after(request) or ["", ""])
    wanted = [
        (plant_id, one)
        for plant_id, one in every
        if request.plant_id in ("", plant_id) and (plant_id, one.interface_id) > after
    ]
    page = wanted[:most]
    open_work, said = waiting(tx), standings(tx)
    found = [_message(tx, plant_id, one, open_work, said) for plant_id, one in page]
    last = [page[-1][0], page[-1][1].interface_id] if len(wanted) > most else None
    return messages.ListInterfacesResponse(interfaces=found, next_page_token=paging.token(request, last))


def _message(
    tx: Tx, plant_id: str, one: Interface, open_work: Mapping[At, Waiting], said: Mapping[At, Standing]
) -> interface_pb2.Interface:
    at = one.interface_id, plant_id
    return sla_wire.interface_message(
        one,
        open_work.get(at) or Waiting(*at),
        said.get(at) or Standing(*at),
        _last_good_time(tx, at),
        _reached_since(tx, at, clock.now() - HOUR),
    )


def missing_steps(
    tx: Tx, work_order_id: str, interfaces: Mapping[str, Interface], now: datetime
) -> list[messages.MissingStep]:
    """What an order waits for now, longest first."""
    running = "work_order_id = ? AND close_time = 0 AND open_time > 0 ORDER BY open_time, interface_id"
    return [
        sla_wire.missing_step_message(interfaces[clock.interface_id], clock.open_time, now)
        for clock in CLOCKS.select(tx, running, (work_order_id,))
        if clock.open_time is not None and clock.interface_id in interfaces
    ]


def _last_good_time(tx: Tx, at: At) -> datetime | None:
    sql = "SELECT MAX(close_time) AS last FROM sla_clocks WHERE interface_id = ? AND plant_id = ? AND is_reached = ?"
    found = tx.rows(sql, (*at, True))
    return instant(found[0].last) if found[0].last else None


def _reached_since(tx: Tx, at: At, begin: datetime) -> int:
    sql = (
        "SELECT COUNT(*) FROM sla_clocks WHERE interface_id = ? AND plant_id = ? AND is_reached = ? AND close_time > ?"
    )
    return int(tx.rows(sql, (*at, True, micros(begin)))[0][0])


def prune(tx: Tx, before: datetime, most: int = 5000) -> int:
    """Forget a few of the clocks that stopped longest ago. Those that run stay, however old."""
    return tx.run(
        "DELETE FROM sla_clocks WHERE (interface_id, plant_id, work_id) IN (SELECT interface_id, plant_id, work_id "
        "FROM sla_clocks WHERE close_time > 0 AND close_time < ? ORDER BY close_time LIMIT ?)",
        (micros(before), most),
    )
