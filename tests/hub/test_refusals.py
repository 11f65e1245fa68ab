"""Bad input gets a clear, typed refusal and changes nothing: on running services, on both databases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc
import httpx
import pytest
import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook

from isthmus.production.v1.production_service_pb2 import ConfirmOperationRequest, ReleaseWorkOrderRequest
from servicekit.errors import from_rpc_error
from tests.hub.conftest import Calls
from tests.support.eventually import eventually, wait_until_nothing
from tests.support.requests import a_confirmation, a_key, a_release
from tests.support.running import NAMES

pytestmark = pytest.mark.connected
DEADLINE = 10
NUMBERS = count(1)


MOVING = {  # these move by themselves: how far the stream holds the outbox, and others' streams are read
    "producer",
    "stored_mark",
    "position",
    "fact_count",
    "fact_outcome",
    "allocation_marks",  # and what inventory looks up every while, and says where it differs
    "allocations",
    "availabilities",
}
SAID_LATER = ("AllocationChanged", "MaterialAvailabilityChanged")
ALL, OUTBOX = "SELECT * FROM {}", "SELECT fact_type, envelope FROM outbox"


@contextmanager
def closing_engine(calls: Calls, service: str) -> Iterator[sa.Engine]:
    """No transaction: one that pauses on a busy machine would be ended as frozen."""
    engine = sa.create_engine(calls.hub.urls[service], isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def rows_of(calls: Calls, service: str, query: str) -> list[Any]:
    with closing_engine(calls, service) as engine, engine.connect() as connection:
        return list(connection.exec_driver_sql(query))


def unread(calls: Calls) -> list[str]:
    """Consumers that have not read all that others said."""
    ends: dict[str, int] = {}
    for service in NAMES:
        ends.update(map(tuple, rows_of(calls, service, "SELECT slot, max(sequence) FROM outbox GROUP BY slot")))
    return [
        f"{consumer} is at {read} of {slot}, which goes to {ends[slot]}"
        for service in NAMES
        for consumer, slot, read in rows_of(calls, service, "SELECT consumer, slot, producer_sequence FROM position")
        if slot in ends and read < ends[slot]
    ]


def state_of(calls: Calls, service: str) -> dict[str, str]:
    """A digest of each table in a service's database that does not move by itself, with all facts before it taken in."""
    wait_until_nothing(lambda: unread(calls), within=DEADLINE)
    with closing_engine(calls, service) as engine:
        tables = set(sa.inspect(engine).get_table_names()) - MOVING
    rows = {name: rows_of(calls, service, ALL.format(name)) for name in tables if name != "outbox"}
    rows["outbox"] = [row for row in rows_of(calls, service, OUTBOX) if not row.fact_type.endswith(SAID_LATER)]
    return {name: hashlib.sha256(repr(sorted(map(repr, found))).encode()).hexdigest() for name, found in rows.items()}


def refusal_of(calls: Calls, call: Callable[[], Any], service: str = "production") -> tuple[grpc.StatusCode, str]:
    before = state_of(calls, service)
    with pytest.raises(grpc.RpcError) as refused:
        call()
    assert state_of(calls, service) == before, "a refusal changed the database"
    code, reason, _ = from_rpc_error(refused.value)
    return code, reason


async def a_released_order(calls: Calls, quantity: str = "5") -> str:
    number = f"T{next(NUMBERS)}"

    def release() -> Any:
        try:
            return calls.production.ReleaseWorkOrder(a_release(number, quantity=quantity), timeout=DEADLINE)
        except grpc.RpcError as error:
            if from_rpc_error(error)[1] == "ITEM_UNKNOWN":  # production has not heard of it yet
                return None
            raise

    answer = await eventually(release)
    return str(answer.work_order.work_order_id)


def edited(request: ConfirmOperationRequest, **changes: str) -> ConfirmOperationRequest:
    for name, value in changes.items():
        setattr(request.confirmation.good_quantity, name, value)
    return request


async def test_an_unknown_item_is_refused(calls: Calls) -> None:
    request = a_release("X1", item_id="NO-SUCH-ITEM")
    code, reason = refusal_of(calls, lambda: calls.production.ReleaseWorkOrder(request, timeout=DEADLINE))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "ITEM_UNKNOWN")


@pytest.mark.parametrize(
    ("field", "expected"),
    [("bill_of_materials_id", "BILL_OF_MATERIALS_UNKNOWN"), ("routing_id", "ROUTING_UNKNOWN")],
)
async def test_an_order_whose_recipe_is_not_known_yet_is_refused(calls: Calls, field: str, expected: str) -> None:
    await a_released_order(calls)  # its item is known by now
    request = a_release(f"R{next(NUMBERS)}")
    setattr(request.work_order, field, "not-recorded-yet")
    code, reason = refusal_of(calls, lambda: calls.production.ReleaseWorkOrder(request, timeout=DEADLINE))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"unit_code": "XYZ"}, "UNIT_UNKNOWN"),
        ({"unit_code": "KGM"}, "UNIT_MISMATCH"),
        ({"value": "-1"}, "QUANTITY_NEGATIVE"),
        ({"value": "NaN"}, "FIELD_INVALID"),
        ({"value": "1e5"}, "FIELD_INVALID"),
        ({"value": "0.12345678901234567890"}, "FIELD_INVALID"),
        ({"value": ""}, "FIELD_INVALID"),
    ],
)
async def test_a_quantity_that_is_none_is_refused(calls: Calls, changes: dict[str, str], expected: str) -> None:
    order_id = await a_released_order(calls)
    request = edited(a_confirmation(f"q{next(NUMBERS)}", order_id), **changes)
    code, reason = refusal_of(calls, lambda: calls.production.ConfirmOperation(request, timeout=DEADLINE))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, expected)


async def test_a_day_or_time_that_no_calendar_has_is_refused(calls: Calls) -> None:
    release = a_release(f"D{next(NUMBERS)}")
    release.work_order.due_date.year, release.work_order.due_date.month, release.work_order.due_date.day = 2026, 13, 1
    confirmation = a_confirmation(f"d{next(NUMBERS)}", await a_released_order(calls))
    confirmation.confirmation.occur_time.seconds = 10**15
    for call in (
        lambda: calls.production.ReleaseWorkOrder(release, timeout=DEADLINE),
        lambda: calls.production.ConfirmOperation(confirmation, timeout=DEADLINE),
    ):
        assert refusal_of(calls, call) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_a_confirmation_for_a_closed_order_is_refused(calls: Calls) -> None:
    order_id = await a_released_order(calls)
    last = a_confirmation(f"c{next(NUMBERS)}", order_id, 20, lot="P-1")
    calls.production.ConfirmOperation(last, timeout=DEADLINE)
    late = a_confirmation(f"c{next(NUMBERS)}", order_id, 10)
    code, reason = refusal_of(calls, lambda: calls.production.ConfirmOperation(late, timeout=DEADLINE))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WORK_ORDER_CLOSED")


async def test_over_delivery_beyond_the_tolerance_is_refused(calls: Calls) -> None:
    order_id = await a_released_order(calls)
    request = a_confirmation(f"o{next(NUMBERS)}", order_id, good="6")
    code, reason = refusal_of(calls, lambda: calls.production.ConfirmOperation(request, timeout=DEADLINE))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OVER_DELIVERY")


async def test_a_time_in_the_future_is_refused(calls: Calls) -> None:
    request = a_confirmation(f"f{next(NUMBERS)}", await a_released_order(calls))
    request.confirmation.occur_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    code, reason = refusal_of(calls, lambda: calls.production.ConfirmOperation(request, timeout=DEADLINE))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TIME_IN_FUTURE")


async def test_the_same_key_with_another_quantity_is_refused(calls: Calls) -> None:
    order_id = await a_released_order(calls)
    request = a_confirmation(f"k{next(NUMBERS)}", order_id, good="2")
    first = calls.production.ConfirmOperation(request, timeout=DEADLINE)
    again = calls.production.ConfirmOperation(request, timeout=DEADLINE)
    assert (first.replayed, again.replayed) == (False, True)
    with pytest.raises(grpc.RpcError) as refused:
        calls.production.ConfirmOperation(edited(request, value="3"), timeout=DEADLINE)
    code, reason, _ = from_rpc_error(refused.value)
    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "BUSINESS_KEY_CONFLICT")


async def test_a_stale_etag_is_refused(calls: Calls) -> None:
    from isthmus.production.v1.production_service_pb2 import CancelWorkOrderRequest

    order_id = await a_released_order(calls)
    request = CancelWorkOrderRequest(business_key=a_key("s1"), work_order_id=order_id, etag="99")
    code, reason = refusal_of(calls, lambda: calls.production.CancelWorkOrder(request, timeout=DEADLINE))
    assert (code, reason) == (grpc.StatusCode.ABORTED, "STALE_ETAG")


def test_an_oversize_message_is_refused(calls: Calls) -> None:
    request = a_release("BIG")
    request.work_order.operations[0].description = "x" * (5 * 1024 * 1024)
    code, _ = refusal_of(calls, lambda: calls.production.ReleaseWorkOrder(request, timeout=DEADLINE))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x0a\xff\x01", bytes(range(256))])
def test_random_bytes_are_refused_without_a_word_of_ours(calls: Calls, data: bytes) -> None:
    method = calls.channels["production"].unary_unary("/isthmus.production.v1.ProductionService/ReleaseWorkOrder")
    with pytest.raises(grpc.RpcError) as refused:
        method(data, timeout=DEADLINE)
    code, reason, _ = from_rpc_error(refused.value)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_UNREADABLE")
    assert "Traceback" not in refused.value.details()


def test_an_empty_request_names_every_field(calls: Calls) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        calls.production.ReleaseWorkOrder(ReleaseWorkOrderRequest(), timeout=DEADLINE)
    assert from_rpc_error(refused.value)[1] == "FIELD_INVALID"


def test_a_damaged_page_token_is_refused(calls: Calls) -> None:
    from isthmus.production.v1.production_service_pb2 import ListWorkOrdersRequest

    request = ListWorkOrdersRequest(page_token="not-a-token")
    _, reason = refusal_of(calls, lambda: calls.production.ListWorkOrders(request, timeout=DEADLINE))
    assert reason == "PAGE_TOKEN_INVALID"


# --- webhooks


def a_webhook(calls: Calls, reference: str, quantity: str = "2", message_id: str = "msg_1") -> dict[str, Any]:
    data = {
        "site": "aachen",
        "clientReference": reference,
        "sku": "PUMP-100",
        "lot": "P-W",
        "quantity": quantity,
        "uom": "EA",
    }
    body = json.dumps({"type": "inbound.received", "timestamp": datetime.now(UTC).isoformat(), "data": data})
    now = datetime.now(UTC)
    signature = Webhook(calls.hub.webhook_secret).sign(message_id, now, body)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return {"content": body, "headers": headers}


def post(calls: Calls, webhook: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"http://{calls.hub.address('webhooks')}/webhooks/wms", timeout=DEADLINE, **webhook)


def test_a_webhook_with_a_wrong_signature_is_refused(calls: Calls) -> None:
    webhook = a_webhook(calls, "w1")
    webhook["content"] = webhook["content"].replace('"2"', '"3"')
    before = state_of(calls, "inventory")
    answer = post(calls, webhook)
    assert (answer.status_code, answer.json()["reason"]) == (401, "WEBHOOK_SIGNATURE_INVALID")
    assert state_of(calls, "inventory") == before


def test_a_webhook_six_minutes_old_is_refused(calls: Calls) -> None:
    webhook = a_webhook(calls, "w2")
    old = datetime.now(UTC) - timedelta(minutes=6)
    webhook["headers"]["webhook-timestamp"] = str(int(old.timestamp()))
    signature = Webhook(calls.hub.webhook_secret).sign("msg_1", old, webhook["content"])
    webhook["headers"]["webhook-signature"] = signature
    assert post(calls, webhook).status_code == 401


def test_a_signed_webhook_that_is_not_what_its_type_says_is_refused(calls: Calls) -> None:
    body = '{"type": "inbound.received", "timestamp": "yesterday", "data": []}'
    now = datetime.now(UTC)
    signature = Webhook(calls.hub.webhook_secret).sign("msg_2", now, body)
    headers = {"webhook-id": "msg_2", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    answer = post(calls, {"content": body, "headers": headers})
    assert (answer.status_code, answer.json()["reason"]) == (400, "WEBHOOK_UNREADABLE")


async def test_a_replayed_webhook_has_one_effect(calls: Calls) -> None:
    order_id = await a_released_order(calls, "2")
    last = a_confirmation(f"w{next(NUMBERS)}", order_id, 20, good="2", lot="P-W")
    calls.production.ConfirmOperation(last, timeout=DEADLINE)
    webhook = a_webhook(calls, "w3")

    def taken() -> Any:
        answer = post(calls, webhook)
        assert answer.status_code in (200, 503), "its lot may still be on the way"
        return answer.json() if answer.status_code == 200 else None

    first = await eventually(taken)
    before = state_of(calls, "inventory")
    again = post(calls, webhook)
    assert (first["replayed"], again.json()["replayed"]) == (False, True)
    assert state_of(calls, "inventory") == before
    other = post(calls, a_webhook(calls, "w3", quantity="1", message_id="msg_9"))
    assert (other.status_code, other.json()["reason"]) == (409, "BUSINESS_KEY_CONFLICT")
