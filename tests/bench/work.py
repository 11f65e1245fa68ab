"""The work that every consumer of the benchmark does: facts wait in one stream; each takes effect once and says one more.

For each fact: it is recognised if it comes again, one of 1,000 tallies grows by one, and one fact of the same size goes to
the stream OUT. Totals are checked after every run: tallies == facts == messages of OUT.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import nats
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from isthmus.production.v1.production_events_pb2 import OperationConfirmed
from servicekit.broker import StreamRules, subjects_of
from servicekit.facts import event_id

TALLIES = 1000
SLOT_IN, SLOT_OUT = "production-aachen", "inventory-aachen"
STREAM_OUT = "OUT"  # of those that know no slots
SUBJECT_IN = "isthmus.aachen.production.v1.output.stored"
SUBJECT_CONFIRMED = "isthmus.aachen.production.v1.operation.confirmed"
RULES = StreamRules(max_bytes=8 * 1024**3, max_age=35 * 86400, max_msg_size=1 << 20, num_replicas=1)
AT = datetime(2026, 11, 1, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def tally_of(number: int) -> str:
    return f"new-{number * 7919 % TALLIES:06d}"


def a_fact(number: int) -> Envelope:
    """The envelope of fact `number` (from 1), about 300 bytes."""
    tally = tally_of(number)
    said = OutputStored(
        plant_id="aachen", work_order_id=tally, item_id="PUMP-100", lot_id=f"P-{number}", document_id=f"D-{number}"
    )
    said.quantity.value, said.quantity.unit_code = "1", "C62"
    envelope = Envelope(
        event_id=event_id(f"bench-{number}", "OutputStored", 0),
        plant_id="aachen",
        order_key=tally,
        subject_id=tally,
        producer_slot=SLOT_IN,
        producer_epoch=1,
        producer_sequence=number,
        correlation_id=tally,
        traceparent=TRACE,
    )
    envelope.occur_time.FromDatetime(AT)
    envelope.record_time.FromDatetime(AT)
    envelope.data.Pack(said)
    return envelope


def a_confirmation(number: int) -> Envelope:
    """What production says of a confirmation that used one part of 1,000; the same envelope around it."""
    envelope = a_fact(number)
    said = OperationConfirmed(item_id="PUMP-100")
    said.confirmation.confirmation_id, said.confirmation.plant_id = f"C-{number}", "aachen"
    said.confirmation.work_order_id, said.confirmation.operation_sequence = envelope.order_key, 10
    said.confirmation.good_quantity.value, said.confirmation.good_quantity.unit_code = "0", "C62"
    used = said.confirmation.consumptions.add(item_id=tally_of(number))
    used.quantity.value, used.quantity.unit_code = "1", "C62"
    said.confirmation.occur_time.FromDatetime(AT)
    envelope.data.Pack(said)
    return envelope


Made = Callable[[int], Envelope]


async def fill(url: str, facts: int, made: Made = a_fact, subject: str = SUBJECT_IN) -> None:
    """Fresh streams, with `facts` waiting in the one that is read."""
    client = await nats.connect(url)
    js = client.jetstream(publish_async_max_pending=4000)
    for name in (SLOT_IN, SLOT_OUT, STREAM_OUT):
        try:
            await js.delete_stream(name)
        except NotFoundError:
            continue
    await js.add_stream(RULES.config(SLOT_IN))
    await js.add_stream(RULES.config(SLOT_OUT))
    await js.add_stream(name=STREAM_OUT, subjects=["out.>"])
    for first in range(1, facts + 1, 250):
        await batch(client, [made(number) for number in range(first, min(first + 250, facts + 1))], subject)
    await client.close()


async def batch(client: nats.aio.client.Client, facts: Sequence[Envelope], subject: str) -> None:
    """One atomic batch: at the broker's durable setting 250 single publishes cost 250 disk writes."""
    for index, fact in enumerate(facts, start=1):
        headers = {"Nats-Batch-Id": f"fill-{facts[0].producer_sequence}", "Nats-Batch-Sequence": str(index)}
        payload = fact.SerializeToString()
        if index < len(facts):
            await client.publish(subject, payload, headers=headers)
        else:
            answer = await client.request(subject, payload, timeout=10, headers={**headers, "Nats-Batch-Commit": "1"})
            assert b'"error"' not in answer.data, answer.data


async def stored(url: str, stream: str) -> int:
    """Business facts in a stream."""
    client = await nats.connect(url)
    held = await stored_now(client.jetstream(), stream)
    await client.close()
    return held


async def stored_now(js: JetStreamContext, stream: str) -> int:
    """The same, over a connection that stands."""
    info = await js.stream_info(stream, subjects_filter=">")
    beats = subjects_of(SLOT_OUT)[1]
    return sum(count for subject, count in (info.state.subjects or {}).items() if subject != beats)


async def told_between(url: str, stream: str, subject: str) -> float:
    """Seconds between the first and the last fact of a subject, by the broker's clock."""
    client = await nats.connect(url)
    times = []
    for which in ({"next_by_subj": subject, "seq": 1}, {"last_by_subj": subject}):
        answer = await client.request(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps(which).encode())
        stamp = json.loads(answer.data)["message"]["time"]  # nanoseconds, where Python reads microseconds
        times.append(datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", lambda m: "." + m[1].ljust(6, "0"), stamp)))
    await client.close()
    return (times[1] - times[0]).total_seconds()
