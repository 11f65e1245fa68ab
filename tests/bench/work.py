"""The work that every consumer of the benchmark does: facts wait in one stream; each takes effect once and says one more.

For each fact: it is recognised if it comes again, one of 1,000 tallies grows by one, and one fact of the same size goes to
the stream OUT. Totals are checked after every run: tallies == facts == messages of OUT.
"""

from __future__ import annotations

from datetime import UTC, datetime

import nats
from nats.js.errors import NotFoundError

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from servicekit.broker import StreamRules, subjects_of
from servicekit.facts import event_id

TALLIES = 1000
SLOT_IN, SLOT_OUT = "production-aachen", "inventory-aachen"
STREAM_OUT = "OUT"  # of those that know no slots
SUBJECT_IN = "isthmus.aachen.production.v1.output.stored"
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


async def fill(url: str, facts: int) -> None:
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
        await batch(client, range(first, min(first + 250, facts + 1)))
    await client.close()


async def batch(client: nats.aio.client.Client, numbers: range) -> None:
    """One atomic batch: at the broker's durable setting 250 single publishes cost 250 disk writes."""
    for index, number in enumerate(numbers, start=1):
        headers = {"Nats-Batch-Id": f"fill-{numbers.start}", "Nats-Batch-Sequence": str(index)}
        payload = a_fact(number).SerializeToString()
        if index < len(numbers):
            await client.publish(SUBJECT_IN, payload, headers=headers)
        else:
            answer = await client.request(
                SUBJECT_IN, payload, timeout=10, headers={**headers, "Nats-Batch-Commit": "1"}
            )
            assert b'"error"' not in answer.data, answer.data


async def stored(url: str, stream: str) -> int:
    """Business facts in a stream."""
    client = await nats.connect(url)
    info = await client.jetstream().stream_info(stream, subjects_filter=">")
    await client.close()
    beats = subjects_of(SLOT_OUT)[1]
    return sum(count for subject, count in (info.state.subjects or {}).items() if subject != beats)
