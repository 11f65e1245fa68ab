"""The volume door on running services, on both databases: typed outcomes, the same answers again, whole messages through a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from isthmus.production.v1.production_service_pb2 import (
    ConfirmationOutcome,
    ConfirmOperationRequest,
    ImportConfirmationsRequest,
    ImportConfirmationsResponse,
    ListConfirmationsRequest,
)
from isthmus.production.v1.production_service_pb2_grpc import ProductionServiceStub
from servicekit.errors import from_rpc_error
from tests.hub.conftest import Calls
from tests.hub.test_refusals import a_released_order, edited
from tests.support.eventually import eventually
from tests.support.requests import a_confirmation

pytestmark = pytest.mark.connected
DEADLINE = 20
NUMBERS = count(1)
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def documents(order_id: str, many: int, good: str = "1") -> list[ConfirmOperationRequest]:
    return [a_confirmation(f"import-{next(NUMBERS)}", order_id, good=good) for _ in range(many)]


def imported(calls: Calls, *said: Sequence[ConfirmOperationRequest]) -> list[list[ConfirmationOutcome]]:
    """The answers to these messages, sent on one stream."""
    stream = (ImportConfirmationsRequest(requests=each) for each in said)
    return [list(answer.outcomes) for answer in calls.production.ImportConfirmations(stream, timeout=DEADLINE)]


def told(outcomes: Sequence[ConfirmationOutcome]) -> list[str]:
    """taken, replayed, or the reason of the refusal."""
    return [
        reason_of(outcome) if outcome.HasField("refusal") else ("replayed" if outcome.response.replayed else "taken")
        for outcome in outcomes
    ]


def reason_of(outcome: ConfirmationOutcome) -> str:
    info = error_details_pb2.ErrorInfo()
    assert outcome.refusal.details[0].Unpack(info)
    return info.reason


def booked(calls: Calls, order_id: str) -> list[str]:
    request = ListConfirmationsRequest(work_order_id=order_id, page_size=500)
    found = calls.production.ListConfirmations(request, timeout=DEADLINE).confirmations
    return [confirmation.confirmation_id for confirmation in found]


async def test_each_document_of_a_message_is_taken_replayed_or_refused_with_its_own_reason(calls: Calls) -> None:
    order_id = await a_released_order(calls, "5")
    before, *said = documents(order_id, 7)
    first = calls.production.ConfirmOperation(before, timeout=DEADLINE)
    said[1].confirmation.work_order_id = "aachen-none"
    edited(said[2], value="1e5")
    edited(said[3], unit_code="KGM")
    edited(said[4], value="5")
    other = edited(ConfirmOperationRequest.FromString(said[0].SerializeToString()), value="2")
    (outcomes,) = imported(calls, [before, *said, other])
    assert told(outcomes) == [
        "replayed", "taken", "WORK_ORDER_MISSING", "FIELD_INVALID", "UNIT_MISMATCH", "OVER_DELIVERY", "taken",
        "BUSINESS_KEY_CONFLICT",
    ]  # fmt: skip
    assert outcomes[0].response.confirmation == first.confirmation
    assert [grpc_code(outcome) for outcome in outcomes[2:4]] == [
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
    ]
    assert len(booked(calls, order_id)) == 3


def grpc_code(outcome: ConfirmationOutcome) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == outcome.refusal.code)


async def test_confirmations_of_a_plant_are_listed_page_by_page_with_their_documents(calls: Calls) -> None:
    orders = sorted([await a_released_order(calls, "5") for _ in range(2)])
    said = [document for order_id in orders for document in documents(order_id, 2)]
    imported(calls, said)
    request, found = ListConfirmationsRequest(plant_id="aachen", page_size=3), []
    while True:
        page = calls.production.ListConfirmations(request, timeout=DEADLINE)
        found += [one for one in page.confirmations if one.work_order_id in orders]
        if not (token := page.next_page_token):
            break
        request.page_token = token
    assert [one.document_key for one in found] == [document.business_key for document in said]
    none = calls.production.ListConfirmations(ListConfirmationsRequest(plant_id="nowhere"), timeout=DEADLINE)
    assert not none.confirmations


async def test_a_stream_sent_again_has_the_same_answers_in_the_same_order(calls: Calls) -> None:
    order_id = await a_released_order(calls, "1000")
    said = [documents(order_id, 100) for _ in range(4)]
    first, again = imported(calls, *said), imported(calls, *said)
    assert {word for outcomes in first for word in told(outcomes)} == {"taken"}
    assert {word for outcomes in again for word in told(outcomes)} == {"replayed"}
    assert [[o.response.confirmation for o in outcomes] for outcomes in again] == [
        [o.response.confirmation for o in outcomes] for outcomes in first
    ]
    assert booked(calls, order_id) == [o.response.confirmation.confirmation_id for each in first for o in each]


async def test_a_message_too_large_ends_the_stream_and_those_before_it_stand(calls: Calls) -> None:
    order_id = await a_released_order(calls, "1000")
    said = [documents(order_id, 100), documents(order_id, 101)]
    stream = (ImportConfirmationsRequest(requests=each) for each in said)
    answers: list[ImportConfirmationsResponse] = []
    with pytest.raises(grpc.RpcError) as refused:
        answers.extend(calls.production.ImportConfirmations(stream, timeout=DEADLINE))
    assert from_rpc_error(refused.value)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert len(booked(calls, order_id)) == 100


async def test_a_call_that_is_given_up_leaves_whole_messages(calls: Calls) -> None:
    order_id = await a_released_order(calls, "1000")
    said = [documents(order_id, 50) for _ in range(6)]
    call = calls.production.ImportConfirmations(
        (ImportConfirmationsRequest(requests=e) for e in said), timeout=DEADLINE
    )
    next(call)
    call.cancel()
    again = [told(outcomes) for outcomes in imported(calls, *said)]
    assert [len(set(words)) for words in again] == [1] * 6, again
    assert again[0][0] == "replayed"
    assert len(booked(calls, order_id)) == 300


class Importer:
    """A client that keeps what is unanswered, and sends from there again when its stream is lost."""

    def __init__(self, calls: Calls, said: Sequence[Sequence[ConfirmOperationRequest]]) -> None:
        self.calls, self.said = calls, said
        self.answered: list[list[str]] = []

    def go_on(self) -> bool:
        """True when all is answered."""
        with grpc.insecure_channel(self.calls.hub.address("production")) as channel:
            rest: Iterator[Any] = (ImportConfirmationsRequest(requests=e) for e in self.said[len(self.answered) :])
            try:
                for answer in ProductionServiceStub(channel).ImportConfirmations(rest, timeout=DEADLINE):
                    self.answered.append(told(answer.outcomes))
            except grpc.RpcError as error:
                if error.code() not in AWAY:
                    raise
        return len(self.answered) == len(self.said)


async def test_a_kill_between_messages_loses_nothing_and_repeats_only_whole_ones(calls: Calls) -> None:
    order_id = await a_released_order(calls, "10000")
    importer = Importer(calls, [documents(order_id, 50) for _ in range(60)])
    sending = asyncio.ensure_future(asyncio.to_thread(importer.go_on))
    await eventually(lambda: len(importer.answered) >= 5)
    calls.hub.kill("production")
    assert not await sending, "it was killed after the last answer: nothing was tried"
    calls.hub.start("production")
    await eventually(lambda: asyncio.to_thread(importer.go_on), within=60)
    assert all(len(set(words)) == 1 for words in importer.answered), importer.answered
    assert {word for words in importer.answered for word in words} <= {"taken", "replayed"}
    assert len(all_booked(calls, order_id)) == 3000


def all_booked(calls: Calls, order_id: str) -> set[str]:
    token, found = "", set()
    while True:
        request = ListConfirmationsRequest(work_order_id=order_id, page_size=500, page_token=token)
        page = calls.production.ListConfirmations(request, timeout=DEADLINE)
        found |= {confirmation.confirmation_id for confirmation in page.confirmations}
        if not (token := page.next_page_token):
            return found
