"""What is asked when an inspection opens, and what follows from the answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from isthmus.edge.v1.laboratory_postings_pb2 import TakeSample
from servicekit import foreign
from servicekit.postings import Posting, PostingOutcome
from services.edge_bridge import use_cases, wire
from services.edge_bridge.domain.evidence import Evidence
from services.edge_bridge.store import STORE
from tests.support.ghent import NOW, TRACE, an_inspection
from tests.support.seen import facts_of, seen

COMMAND = wire.open_inspection(an_inspection(["viscosity"], ["t1", "t2"]), TRACE)
READ = COMMAND.reads[0]
SHOWN = Evidence(2, Decimal(79), Decimal(81), timedelta(seconds=5), ())


def test_an_inspection_asks_for_one_sample_and_one_answer_a_tag() -> None:
    decision = use_cases.decide_open_inspection(seen(STORE), COMMAND, NOW)
    assert [p.key for p in decision.postings] == ["ghent-1-50-H-1/sample"]
    assert decision.changed == list(COMMAND.reads)


def test_a_question_that_was_answered_is_not_put_again() -> None:
    answered = replace(READ, is_answered=True)
    assert use_cases.decide_open_inspection(seen(STORE, answered), COMMAND, NOW).changed == [COMMAND.reads[1]]
    said = wire.ReportEvidence.of("historian-ghent", READ, SHOWN, is_late=False)
    assert not use_cases.decide_evidence(seen(STORE, answered), said, NOW).facts


def test_an_answer_and_its_fact_are_one() -> None:
    said = wire.ReportEvidence.of("historian-ghent", READ, SHOWN, is_late=True)
    decision = use_cases.decide_evidence(seen(STORE, READ), said, NOW)
    assert decision.changed == [replace(READ, is_answered=True)]
    assert facts_of(decision) == ["HistorianEvidenceReported"]
    assert (decision.facts[0].order_key, decision.facts[0].is_late) == ("ghent-1", True)


SENT = foreign.asked_of("lims-ghent", "k", [("file requests/k.csv", "Probe;Test")])


@pytest.mark.parametrize(("state", "told"), [("acknowledged", ["SampleTaken"]), ("refused", []), ("unknown", [])])
def test_a_sample_is_told_only_when_the_laboratory_has_it(state: str, told: list[str]) -> None:
    asked = TakeSample(plant_id="ghent", inspection_id="ghent-1-50-H-1", work_order_id="ghent-1")
    posting = Posting("p", "ghent", "lims-ghent", "take_sample", "ghent-1", "k", asked)
    outcome = PostingOutcome(posting, state, "", {"sample_number": "M26-1"} if told else {}, "", "", SENT)
    facts = use_cases.decide_outcome(seen(STORE), outcome, NOW).facts
    assert [type(fact.data).__name__ for fact in facts] == told
    assert [fact.data.sent_record for fact in facts] == [SENT] * len(told)  # type: ignore[attr-defined]
