"""Compares the inventory ledger with a partner's books and says which transactions make a difference. Pure.

Documents are compared, not only sums: a variance that cannot be led back to a document helps nobody.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from servicekit.domain import DomainError, Kind, Quantity

OPENING = "opening"  # document that holds all that was there, and all that was booked, before the ledger began


class ReconciliationMissing(DomainError):
    """No reconciliation of this id."""

    reason, kind = "RECONCILIATION_MISSING", Kind.MISSING


class ReconciliationUnderWay(DomainError):
    """The plant's books are being compared already."""

    reason, kind = "RECONCILIATION_UNDER_WAY", Kind.PRECONDITION


class State(enum.Enum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Cause(enum.Enum):
    """What is wrong with a transaction. The first two go away by themselves, or stand in a lane."""

    UNDER_WAY = "under_way"
    PARKED = "parked"
    MISSING = "missing"
    DOUBLED = "doubled"
    WRONG_QUANTITY = "wrong_quantity"
    FOREIGN = "foreign"


EXPLAINED = frozenset({Cause.UNDER_WAY, Cause.PARKED})
FRESH = timedelta(seconds=60)  # what is younger in the ledger may not have been asked of the partner yet
UNDER_WAY = frozenset({"planned", "drafting", "drafted", "booking", "unknown"})  # states of a posting


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One comparison of a plant's books."""

    reconciliation_id: str
    plant_id: str
    state: State
    start_time: datetime
    end_time: datetime | None = None
    read_books: str = ""  # "system=lines", separated by blanks
    compared: int = 0
    open_variances: int = 0
    explained_variances: int = 0
    failure_text: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """A plant's place at the desk: one comparison at a time. Empty: none is under way."""

    plant_id: str
    count: int
    running_id: str

    @property
    def next_id(self) -> str:
        return f"{self.plant_id}-{self.count + 1}"


@dataclass(frozen=True, slots=True)
class Booking:
    """One line of somebody's books; quantity is signed, above zero is into the plant's stock.

    `order_id` is the work order or shipment that its postings are kept in order for.
    """

    document_id: str
    item_id: str
    lot_id: str
    quantity: Quantity
    book_time: datetime
    order_id: str = ""
    is_ours: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """How far what the ledger holds of an order was told to the partner: not to the end, and why, in plant words."""

    cause: Cause  # UNDER_WAY or PARKED
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A posting as the gateway has it: what a partner was asked for."""

    system_id: str
    kind: str
    order_id: str
    state: str
    text: str


def standings_of(
    system_id: str, asked: Sequence[Asked], ledger: Sequence[Booking], running: frozenset[str], now: datetime
) -> dict[str, Standing]:
    """By work order or shipment: why the partner can't have all of it yet. `running`: orders that are not complete."""
    found = {order: Standing(Cause.UNDER_WAY, "collected until the order is complete") for order in running}
    for line in ledger:
        if line.order_id and line.book_time > now - FRESH:
            found[line.order_id] = Standing(Cause.UNDER_WAY, "booked here within the last minute")
    for posting in asked:
        if posting.system_id == system_id and posting.state in UNDER_WAY:
            found[posting.order_id] = Standing(Cause.UNDER_WAY, f"{posting.kind} is {posting.state}")
    for posting in asked:
        if posting.system_id == system_id and posting.state == "refused":
            told = f"{posting.kind} was refused: {posting.text}; see isthmus lanes list"
            found[posting.order_id] = Standing(Cause.PARKED, told)
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """A transaction that the two hold differently."""

    document_id: str
    cause: Cause
    ledger: Quantity
    partner: Quantity
    text: str

    @property
    def amount(self) -> Decimal:
        return self.partner.value - self.ledger.value


@dataclass(frozen=True, slots=True)
class Variance:
    """The ledger and a partner do not agree about an item's lot."""

    reconciliation_id: str
    plant_id: str
    system_id: str
    item_id: str
    lot_id: str
    ledger: Quantity
    partner: Quantity
    causes: tuple[Difference, ...]
    unexplained: Quantity

    @property
    def is_open(self) -> bool:
        """A person is needed."""
        return bool(self.unexplained.value) or any(cause.cause not in EXPLAINED for cause in self.causes)


@dataclass(frozen=True, slots=True)
class ToldVariance:
    """A variance as it was told, kept to be read again: the message in protobuf's JSON form."""

    reconciliation_id: str
    number: int
    content: str


Lot = tuple[str, str, str]  # item, lot, unit code
Sums = dict[str, Decimal]  # by document


def compare(
    ledger: Sequence[Booking],
    partner: Sequence[Booking],
    stocks: Mapping[Lot, Decimal],
    standings: Mapping[str, Standing],
    reconciliation: Reconciliation,
    system_id: str,
) -> list[Variance]:
    """One look. `stocks` is the partner's own figure of what it has; what its bookings leave open is unexplained."""
    orders = {line.document_id: line.order_id for line in ledger}
    ours = _by_lot(ledger)
    theirs = _by_lot(_from_the_opening(ledger, partner))
    is_ours = {line.document_id for line in partner if line.is_ours}
    found = []
    for lot in sorted({*ours, *theirs, *stocks}):
        documents = sorted({*ours.get(lot, ()), *theirs.get(lot, ())})
        causes = []
        for document in documents:
            pair = ours.get(lot, {}).get(document, Decimal(0)), theirs.get(lot, {}).get(document, Decimal(0))
            if pair[0] != pair[1]:
                standing = standings.get(orders.get(document, document))
                causes.append(_difference(document, pair, lot[2], standing, is_ours=document in is_ours))
        told = sum(ours.get(lot, {}).values(), Decimal(0))
        has = stocks.get(lot, Decimal(0))
        unexplained = has - told - sum((cause.amount for cause in causes), Decimal(0))
        if causes or unexplained:
            item_id, lot_id, unit = lot
            amounts = Quantity(told, unit), Quantity(has, unit)
            rest = Quantity(unexplained, unit)
            of = reconciliation.reconciliation_id, reconciliation.plant_id, system_id, item_id, lot_id
            found.append(Variance(*of, *amounts, tuple(causes), rest))
    return found


def _by_lot(lines: Iterable[Booking]) -> dict[Lot, Sums]:
    sums: dict[Lot, Sums] = defaultdict(lambda: defaultdict(Decimal))
    for line in lines:
        sums[line.item_id, line.lot_id, line.quantity.unit_code][line.document_id] += line.quantity.value
    return sums


def _from_the_opening(ledger: Sequence[Booking], partner: Sequence[Booking]) -> list[Booking]:
    """What a partner booked before the ledger began, and the ledger has no document of, is part of the opening."""
    known = {line.document_id for line in ledger}
    begun = max((line.book_time for line in ledger if line.document_id == OPENING), default=None)
    return [
        replace(line, document_id=OPENING)
        if begun is not None and line.document_id not in known and line.book_time <= begun
        else line
        for line in partner
    ]


def _difference(
    document: str, pair: tuple[Decimal, Decimal], unit: str, standing: Standing | None, *, is_ours: bool
) -> Difference:
    ledger, partner = pair
    said = Quantity(ledger, unit), Quantity(partner, unit)
    if standing is not None:
        return Difference(document, standing.cause, *said, standing.text)
    if not partner:
        return Difference(document, Cause.MISSING, *said, f"was told, and is not there: {said[0]} are missing")
    if not ledger and not is_ours:
        return Difference(document, Cause.FOREIGN, *said, f"booked there by somebody else: {said[1]}")
    if ledger and partner % ledger == 0 and partner / ledger >= 2:
        times = int(partner / ledger)
        return Difference(document, Cause.DOUBLED, *said, f"is there {times} times: {said[1]} instead of {said[0]}")
    return Difference(document, Cause.WRONG_QUANTITY, *said, f"{said[1]} there, {said[0]} here")


def settle(first: Sequence[Variance], second: Sequence[Variance]) -> list[Variance]:
    """What two looks agree on. What moved between them is under way: books are read while the plant works."""
    seen = {_name(v): v for v in first}
    settled = []
    for variance in second:
        before = seen.get(_name(variance))
        known = set(before.causes) if before is not None else set()
        causes = tuple(cause if cause in known else _moving(cause) for cause in variance.causes)
        rest = variance.unexplained
        if before is None or before.unexplained != rest:
            rest = rest.zero()
        if causes or rest.value:
            settled.append(replace(variance, causes=causes, unexplained=rest))
    return settled


def _name(variance: Variance) -> tuple[str, str, str, str]:
    return variance.system_id, variance.item_id, variance.lot_id, variance.ledger.unit_code


def _moving(cause: Difference) -> Difference:
    if cause.cause in EXPLAINED:
        return cause
    return replace(cause, cause=Cause.UNDER_WAY, text="changed while the books were read")
