"""The machine for every change in a foreign system: intent, draft, book, look, so that no answer is no guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from isthmus.edge.v1.plant_record_pb2 import PlantRecord


class Refused(Exception):
    """The other side refused for a business reason: `reason` in capitals, `text` in its own words."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason, self.text = reason, text


class NoAnswer(Exception):
    """Sent, and no answer: it may or may not have been done."""


class NotYet(Exception):
    """Nothing was done because something else must happen there first: tried again for a while, then refused."""


class Away(Exception):
    """Could not connect: certainly not sent."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the other side holds for our key."""

    foreign_id: str
    is_booked: bool
    answer: Mapping[str, str] = field(default_factory=dict)  # figures read back, as text


@dataclass(frozen=True, slots=True)
class Posting:
    """One change that we ask of a partner. `key` stands in a field that the partner keeps."""

    posting_id: str
    plant_id: str
    partner_id: str
    kind: str
    order_key: str
    key: str
    payload: Any


class PostingKind(Protocol):
    """How one kind of change is made at one partner. Every method may raise Refused, NoAnswer or Away."""

    settle_time: timedelta  # how long a request may stay unseen at the other side; timeouts are below half of it

    async def find(self, posting: Posting) -> Found | None:
        """What our key made there, or None."""

    async def draft(self, posting: Posting) -> str:
        """Make or complete the unbooked draft that carries our key; repeatable. Returns its foreign id."""

    async def book(self, posting: Posting, foreign_id: str) -> None:
        """The change of state; safe to repeat."""

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        """The state read back: `is_booked` decides success."""


@dataclass(frozen=True, slots=True)
class PostingOutcome:
    """What became of a posting: the command of a service's `posting_outcome` use case."""

    posting: Posting
    state: str  # acknowledged, refused or unknown
    foreign_id: str
    answer: Mapping[str, str]
    reason: str
    text: str
    sent: PlantRecord | None = None  # what this process asked the partner for, in the partner's form
