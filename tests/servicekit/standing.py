"""How the databases of the two services stand, compared with the model, and with what must hold whatever the model says."""

from __future__ import annotations

import json

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.inventory.v1.inventory_events_pb2 import OutputStored
from servicekit import outbox
from servicekit.database import Tx
from tests.servicekit.model import Hearing, Said, Saying, Tallies

MILLION = 10**6


def _same_tallies(tx: Tx, nouns: Tallies) -> None:
    found = {row[0]: row[1] for row in tx.rows("SELECT tally_id, amount FROM tallies")}
    assert found == {key: amount * MILLION for key, amount in nouns.amounts.items()}, "amounts"


def same_as_said(tx: Tx, model: Saying, ends: list[Said]) -> None:
    """Documents once, and the facts of each slot numbered 1 to the last without a hole, in the order of acceptance.

    `ends` are the last messages of the streams: nothing was told that is not on record.
    """
    _same_tallies(tx, model.tallies)
    for fact in ends:
        assert outbox.event_at(tx, fact.slot, fact.sequence) == fact.event_id, "told and not on record"
    facts: dict[str, list[tuple[str, str, int]]] = {}
    rows = tx.rows("SELECT slot, sequence, envelope FROM outbox ORDER BY slot, sequence")
    for slot, sequence, data in rows:
        stored = _stored(data)
        facts.setdefault(slot, []).append((stored.lot_id, stored.work_order_id, int(stored.quantity.value)))
        assert sequence == len(facts[slot]), "a producer's numbers have a hole"
    assert facts == model.said, "facts said"
    last = {row[0]: row[1] for row in tx.rows("SELECT slot, last_sequence FROM producer")}
    assert last == {slot: len(said) for slot, said in facts.items()}, "numbers given"
    claimed = {row[0] for row in tx.rows("SELECT document_number FROM claims")}
    assert claimed == set(model.claims), "documents claimed"
    found = tx.rows("SELECT document_number, second_content FROM conflicts")
    seconds = {(row[0], _content(row[1])) for row in found}
    assert seconds == model.conflicts, "second contents kept"


def _content(text: str) -> tuple[str, int]:
    said = json.loads(text)
    return said["tally_id"], int(said["quantity"]["value"])


def _stored(data: bytes) -> OutputStored:
    stored = OutputStored()
    Envelope.FromString(bytes(data)).data.Unpack(stored)
    return stored


def same_as_heard(tx: Tx, model: Hearing, consumer: str) -> None:
    _same_tallies(tx, model.tallies)
    positions = {row[0]: row[1] for row in tx.rows("SELECT slot, producer_sequence FROM position")}
    assert positions == model.positions, "positions"
    lanes = {row[0]: row[1] for row in tx.rows("SELECT order_key, state FROM lane WHERE consumer = ?", (consumer,))}
    assert lanes == {key: lane.state for key, lane in model.lanes.items()}, "lanes"
    waiting: dict[str, list[str]] = {}
    for key, event_id in tx.rows("SELECT order_key, event_id FROM lane_fact ORDER BY order_key, position"):
        waiting.setdefault(key, []).append(event_id)
    assert waiting == {key: lane.event_ids for key, lane in model.lanes.items()}, "facts in lanes"
    outcomes = {row[0]: row[1] for row in tx.rows("SELECT event_id, superseded_by FROM fact_outcome")}
    assert outcomes == model.outcomes, "what a person decided"
    assert effects(tx) == model.effects, "effects"


def effects(tx: Tx) -> list[str]:
    """Lots in the order of their effects: each effect said a fact, in its own transaction."""
    rows = tx.rows("SELECT sequence, envelope FROM outbox ORDER BY sequence")
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), "the hearer's numbers have a hole"
    return [_stored(row[1]).lot_id for row in rows]


def settled_once(tx: Tx, said: dict[str, list[Said]], lots: dict[str, str], consumer: str) -> None:
    """After everything healed: one effect, or a person's word, for each fact; in order of its key; and nothing else.

    Needs no model: only what was said, and what persons decided.
    """
    assert not tx.rows("SELECT 1 FROM lane_fact WHERE consumer = ?", (consumer,)), "something waits for ever"
    outcomes = {row[0]: row[1] for row in tx.rows("SELECT event_id, superseded_by FROM fact_outcome")}
    order = effects(tx)
    assert len(order) == len(set(order)), "an effect twice"
    left = {lot for lot in order if not lot.startswith("local")}
    for facts in said.values():
        at: dict[str, int] = {}  # order key -> where its last effect stands
        seen: set[str] = set()
        for fact in facts:
            stands = fact.event_id
            while stands in outcomes and stands:
                stands = outcomes[stands]
            if fact.event_id in seen:
                continue  # told twice
            seen.add(fact.event_id)
            if not stands:
                continue  # discarded
            index = order.index(lots[stands])
            assert index > at.get(fact.order_key, -1), "out of order"
            at[fact.order_key] = index
            left.discard(lots[stands])
    assert not left, f"effects of nothing that was said: {left}"
