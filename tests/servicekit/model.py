"""What must become of documents and facts, written as plainly as it can be said. It imports nothing of the kit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

TRIES = 14  # the first, and one for each pause that a waiting lane makes
TOGETHER = 2  # facts of a lane that are worked off in one transaction; few, so that many lanes need several
WAITING, PARKED = "waiting", "parked"


class Said(NamedTuple):
    """A fact as it was said. A local record (slot empty) has no number and claims its lot, the name of its document."""

    event_id: str
    slot: str
    sequence: int
    order_key: str
    tally_id: str
    amount: int
    lot_id: str

    @property
    def content(self) -> tuple[str, int]:
        return self.tally_id, self.amount


@dataclass
class Tallies:
    """Amounts that only grow. Those called "new" are made on the fly."""

    amounts: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)

    def refusal(self, tally_id: str) -> str:
        """WAITING: may come yet; PARKED: waiting can't help; empty: takes it."""
        if tally_id in self.closed:
            return PARKED
        return "" if tally_id in self.amounts or tally_id.startswith("new") else WAITING

    def add(self, tally_id: str, amount: int) -> int:
        self.amounts[tally_id] = self.amounts.get(tally_id, 0) + amount
        return self.amounts[tally_id]


@dataclass
class Saying:
    """The service where documents enter: each once, and each accepted one says a fact with the next number of its slot."""

    tallies: Tallies = field(default_factory=Tallies)
    claims: dict[str, tuple[tuple[str, int], int]] = field(default_factory=dict)  # number -> content, answer
    said: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)  # slot -> lot, tally, amount
    conflicts: set[tuple[str, tuple[str, int]]] = field(default_factory=set)

    def call(self, slot: str, number: str, tally_id: str, amount: int) -> tuple[str, int]:
        """What the caller is told, and the total in the answer."""
        known = self.claims.get(number)
        if known is not None:
            if known[0] == (tally_id, amount):
                return "replayed", known[1]
            self.conflicts.add((number, (tally_id, amount)))
            return "conflict", 0
        if self.tallies.refusal(tally_id):
            return "refused", 0
        total = self.tallies.add(tally_id, amount)
        self.claims[number] = ((tally_id, amount), total)
        self.said.setdefault(slot, []).append((number, tally_id, amount))
        return "accepted", total


@dataclass
class Lane:
    state: str
    facts: list[tuple[Said, int]]  # with the times that each was tried

    @property
    def event_ids(self) -> list[str]:
        return [fact.event_id for fact, _ in self.facts]


@dataclass
class Hearing:
    """The service that hears: every fact one effect, in order of its key, or a lane, or a person's word."""

    tallies: Tallies = field(default_factory=Tallies)
    positions: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, Lane] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)  # event id -> the one that stands for it; empty: discarded
    claims: dict[str, tuple[str, int]] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)  # lots, in order

    def take(self, facts: list[Said]) -> set[str]:
        """Facts as they arrive. Returns the slots whose next number did not come."""
        holes: set[str] = set()
        for fact in facts:
            if fact.slot:
                after = self.positions.get(fact.slot, 0)
                if fact.sequence > after + 1:
                    holes.add(fact.slot)
                if fact.sequence != after + 1:
                    continue
                holes.discard(fact.slot)
                self.positions[fact.slot] = fact.sequence
            self._arrive(fact)
        return holes

    def _arrive(self, fact: Said) -> None:
        lane = self.lanes.get(fact.order_key)
        if fact.event_id in self.outcomes or any(fact.event_id in other.event_ids for other in self.lanes.values()):
            return
        if lane is not None:
            lane.facts.append((fact, 0))
        elif refusal := self._effect(fact):
            self.lanes[fact.order_key] = Lane(refusal, [(fact, 1)])

    def _effect(self, fact: Said) -> str:
        if not fact.slot and fact.lot_id in self.claims:
            return ""  # the same document again, or a second content that is kept for a person
        refusal = self.tallies.refusal(fact.tally_id)
        if not refusal:
            self.tallies.add(*fact.content)
            self.effects.append(fact.lot_id)
            if not fact.slot:
                self.claims[fact.lot_id] = fact.content
        return refusal

    def advance(self, order_key: str, *, is_released: bool) -> bool:
        """One transaction of working a lane off, up to the first that is refused; only a head was tried. False: it ends."""
        lane = self.lanes.get(order_key)
        if lane is None or (lane.state == PARKED and not is_released):
            return False
        for done in range(TOGETHER):
            if not lane.facts:
                break
            head, tries = lane.facts[0]
            if refusal := self._effect(head):
                if not done:
                    lane.facts[0] = (head, tries + 1)
                    lane.state = PARKED if refusal == PARKED or tries + 1 >= TRIES else WAITING
                return done > 0
            self._drop(order_key, head.event_id)
        return True

    def correct(self, order_key: str, event_id: str, renewed: Said) -> None:
        lane = self.lanes[order_key]
        lane.facts[lane.event_ids.index(event_id)] = (renewed, 0)
        self.outcomes[event_id] = renewed.event_id

    def discard(self, order_key: str, event_id: str) -> None:
        self._drop(order_key, event_id)
        self.outcomes[event_id] = ""

    def _drop(self, order_key: str, event_id: str) -> None:
        lane = self.lanes[order_key]
        del lane.facts[lane.event_ids.index(event_id)]
        if not lane.facts:
            del self.lanes[order_key]
