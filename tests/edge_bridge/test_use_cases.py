"""Decisions of the plant's bridge, on what they have seen."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from isthmus.edge.v1.mes_postings_pb2 import DispatchWorkOrder
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit import foreign
from servicekit.domain import BusinessKey, Quantity
from servicekit.postings import Posting, PostingOutcome
from services.edge_bridge import use_cases, wire
from services.edge_bridge.domain.plant_order import (
    MesNumber,
    PlantMismatch,
    PlantOrder,
    RecordOrderUnknown,
    WorkOrderUnknown,
)
from services.edge_bridge.domain.station import Station, StationState
from services.edge_bridge.store import STORE
from tests.support.seen import facts_of, seen

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
SENT = foreign.asked_of("mes-brno", "brno-1", [("INSERT INTO ORDERS_IN", "brno-1")])
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
ORDER = PlantOrder("brno-1", "brno", "VALVE-20", "C62", "Z40001", TRACE)
NUMBER = MesNumber("Z40001", "brno-1")


def a_report(
    work_order_id: str = "", mes_order_number: str = "Z40001", plant_id: str = "brno"
) -> wire.ReportConfirmation:
    return wire.ReportConfirmation(
        business_key=BusinessKey("mes-brno", "confirmation", "1"),
        plant_id=plant_id,
        work_order_id=work_order_id,
        mes_order_number=mes_order_number,
        operation_sequence=10,
        good=Quantity(Decimal(1), "C62"),
        scraps=(),
        labour=Quantity(Decimal(60), "SEC"),
        consumptions=(),
        output_lot_id="",
        occur_time=NOW,
        operator_id="",
        is_final=False,
        is_late=True,
    )


def test_a_report_by_the_mes_number_is_about_our_order_and_in_its_trace() -> None:
    decision = use_cases.decide_report(seen(STORE, ORDER, NUMBER), a_report(), NOW)
    (fact,) = decision.facts
    assert (fact.order_key, fact.is_late, decision.traceparent) == ("brno-1", True, TRACE)


def test_a_report_of_an_order_not_yet_known_waits() -> None:
    with pytest.raises(RecordOrderUnknown):
        use_cases.decide_report(seen(STORE), a_report(), NOW)


def test_an_app_confirms_only_an_order_the_plant_was_given() -> None:
    with pytest.raises(WorkOrderUnknown):
        use_cases.decide_report(seen(STORE), a_report("brno-9", ""), NOW)


def test_a_plant_confirms_its_own_orders_only() -> None:
    with pytest.raises(PlantMismatch):
        use_cases.decide_report(seen(STORE, ORDER), a_report("brno-1", "", "aachen"), NOW)


def test_an_order_is_given_to_the_mes_under_its_own_id() -> None:
    message = WorkOrder(work_order_id="brno-1", plant_id="brno")
    command = wire.GiveToMes(wire.RELEASE, PlantOrder("brno-1", "brno", "V", "C62", "", TRACE), message)
    (posting,) = use_cases.decide_give(seen(STORE), command, NOW).postings
    assert (posting.partner_id, posting.kind, posting.key) == ("mes-brno", "dispatch_work_order", "brno-1")


def outcome(state: str, **answer: str) -> PostingOutcome:
    posting = Posting("p", "brno", "mes-brno", "dispatch_work_order", "brno-1", "brno-1", DispatchWorkOrder())
    reason = "MES_REFUSED" if state == "refused" else ""
    return PostingOutcome(posting, state, "", answer, reason, "CHYBI OPERACE", SENT)


def test_the_mes_number_is_kept_and_told() -> None:
    fresh = PlantOrder("brno-1", "brno", "VALVE-20", "C62", "", TRACE)
    decision = use_cases.decide_mes_outcome(seen(STORE, fresh), outcome("acknowledged", mes_order_number="Z40001"), NOW)
    assert facts_of(decision) == ["WorkOrderAccepted"]
    assert decision.changed == [ORDER, NUMBER]
    assert decision.facts[0].data.sent_record == SENT  # type: ignore[attr-defined]


def test_a_refusal_of_the_mes_is_told_in_its_own_words() -> None:
    decision = use_cases.decide_mes_outcome(seen(STORE, ORDER), outcome("refused"), NOW)
    said: Any = decision.facts[0].data
    assert (said.refused_step, said.refusal_reason) == ("release", "CHYBI OPERACE")
    assert said.sent_record == SENT


def observe(good: int, scrap: int = 0, **changes: Any) -> wire.ObserveStation:
    values = {"mes_order_number": "Z40001", "state": StationState.RUNNING, "is_uncertain": False, **changes}
    return wire.ObserveStation(
        plant_id="brno",
        line_id="line-brno",
        station_id="Cell1",
        operation_sequence=10,
        good=good,
        scrap=scrap,
        cycle_time_ms=50,
        fault_code=0,
        source_time=NOW,
        is_late=False,
        **values,
    )


def counted(*nouns: object, good: int, scrap: int = 0) -> tuple[int, int, int]:
    decision = use_cases.decide_observation(seen(STORE, ORDER, NUMBER, *nouns), observe(good, scrap), NOW)
    said: Any = decision.facts[0].data
    return said.good_count_from, said.good_count_to, said.counter_epoch


def test_a_counter_is_told_from_and_to() -> None:
    known = Station("Cell1", 10, 0, 1, StationState.RUNNING, 0)
    assert counted(known, good=13) == (10, 13, 1)


def test_a_counter_that_started_again_counts_from_zero_in_a_new_epoch() -> None:
    known = Station("Cell1", 10, 0, 1, StationState.RUNNING, 0)
    assert counted(known, good=2) == (0, 2, 2)


def test_what_was_counted_before_our_first_look_is_nobodys() -> None:
    decision = use_cases.decide_observation(seen(STORE, ORDER, NUMBER), observe(500), NOW)
    said: Any = decision.facts[0].data
    assert (said.good_count_from, said.good_count_to) == (500, 500)


def test_an_observation_that_says_nothing_new_says_nothing() -> None:
    known = Station("Cell1", 10, 0, 1, StationState.RUNNING, 0)
    assert not use_cases.decide_observation(seen(STORE, known), observe(10), NOW).facts
