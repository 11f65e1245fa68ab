"""Compares what production booked of the MES's reports with what the MES says, report by report. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from servicekit.domain import Quantity
from services.operations.domain.reconciliation import EXPLAINED, FRESH, Cause, Reconciliation, Standing


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was done, in one unit."""

    good: Quantity
    scrap: Quantity

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(self.good + other.good, self.scrap + other.scrap)

    def __str__(self) -> str:
        return f"{self.good} good, {self.scrap} scrap"


@dataclass(frozen=True, slots=True)
class Report:
    """A report as the MES has it; a reversal names the report that it takes back, and has no amounts."""

    document_id: str
    order_id: str  # ours; the MES's own number where it has an order that is none of ours
    operation_sequence: int
    amounts: Amounts | None  # None: a reversal, or it can't be read
    reversed_id: str
    take_time: datetime | None  # when the bridge took it as a document; None: it did not
    is_read: bool  # the bridge's feed is past it
    lane_key: str
    unreadable_text: str = ""
    is_reversed: bool = False


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A document as production booked it."""

    document_id: str
    order_id: str
    operation_sequence: int
    amounts: Amounts
    is_reversed: bool
    source_system: str


@dataclass(frozen=True, slots=True)
class Way:
    """How reports stand on their way to production: what waits in the plant, and in lanes by order or by lane of the bridge.

    `heard_before` is how far production had heard at the look before this one; None: this is the first.
    """

    now: datetime
    backlog_time: datetime | None
    lanes: Mapping[str, Standing]
    heard_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderDifference:
    """A report that the two hold differently; None: not there, taken back, or unreadable."""

    document_id: str
    cause: Cause
    booked: Amounts | None
    mes: Amounts | None
    text: str


@dataclass(frozen=True, slots=True)
class OrderVariance:
    """Production and the MES do not agree about an operation of a work order."""

    reconciliation_id: str
    plant_id: str
    system_id: str
    work_order_id: str
    operation_sequence: int
    booked: Amounts | None
    mes: Amounts | None
    causes: tuple[OrderDifference, ...]

    @property
    def is_open(self) -> bool:
        """A person is needed."""
        return any(cause.cause not in EXPLAINED for cause in self.causes)


@dataclass(frozen=True, slots=True)
class ToldOrderVariance:
    """A variance as it was told, kept to be read again: the message in protobuf's JSON form."""

    reconciliation_id: str
    number: int
    content: str


def folded(reports: Iterable[Report]) -> dict[str, Report]:
    """Confirmations by document, each with what took it back: its way ends where the reversal's does. What came twice is one."""
    found: dict[str, Report] = {}
    reversals = []
    for report in reports:
        if report.reversed_id:
            reversals.append(report)
        else:
            found[report.document_id] = report
    for reversal in reversals:
        wrong = found.get(reversal.reversed_id)
        if wrong is not None:
            found[wrong.document_id] = replace(
                wrong, take_time=reversal.take_time, is_read=reversal.is_read, is_reversed=True
            )
    return found


def booked_of(confirmed: Iterable[Confirmed], system_id: str) -> dict[str, Confirmed]:
    """What was booked of an MES's reports, by document. What apps confirmed is none of its business."""
    return {one.document_id: one for one in confirmed if one.source_system == system_id}


def heard_to(reports: Mapping[str, Report], booked: Mapping[str, Confirmed]) -> datetime | None:
    """When the latest report was taken in the plant that production has: what was taken before it has come past production."""
    times = [
        report.take_time
        for report in reports.values()
        if report.take_time is not None
        and report.document_id in booked
        and report.is_reversed == booked[report.document_id].is_reversed
    ]
    return max(times, default=None)


def _lane_of(report: Report, way: Way) -> Standing | None:
    return way.lanes.get(report.lane_key) or way.lanes.get(report.order_id)


def standing_of(report: Report, way: Way, heard: datetime | None) -> Standing | None:
    """Why production can't have a report yet; None: it should have."""
    lane = _lane_of(report, way)
    if lane is not None:
        return lane
    if report.take_time is None:
        return None if report.is_read else Standing(Cause.UNDER_WAY, "the bridge has not read it yet")
    if heard is not None and report.take_time < heard:
        return None
    if way.backlog_time is not None and report.take_time >= way.backlog_time:
        return Standing(Cause.UNDER_WAY, "on the plant's disk, on its way to the hub")
    if report.take_time > way.now - FRESH:
        return Standing(Cause.UNDER_WAY, "taken in the plant within the last minute")
    if way.heard_before is not None and heard is not None and heard > way.heard_before:
        return Standing(Cause.UNDER_WAY, "production is catching up with the plant")
    return None


Operation = tuple[str, int, str]  # order, operation, unit code


@dataclass(slots=True)
class _Compared:
    """What was found of an operation so far."""

    booked: Amounts | None = None
    mes: Amounts | None = None
    causes: list[OrderDifference] = field(default_factory=list)


def compare(
    reports: Mapping[str, Report],
    booked: Mapping[str, Confirmed],
    way: Way,
    reconciliation: Reconciliation,
    system_id: str,
) -> list[OrderVariance]:
    """One look."""
    heard = heard_to(reports, booked)
    found: dict[Operation, _Compared] = defaultdict(_Compared)
    for document in sorted({*reports, *booked}):
        report, confirmed = reports.get(document), booked.get(document)
        here = confirmed.amounts if confirmed is not None and not confirmed.is_reversed else None
        there = report.amounts if report is not None and not report.is_reversed else None
        one = found[_operation_of(report, confirmed, there or here)]
        one.booked, one.mes = _sum(one.booked, here), _sum(one.mes, there)
        difference = _difference(document, report, confirmed, (here, there), way, heard)
        if difference is not None:
            one.causes.append(difference)
    begun = reconciliation.reconciliation_id, reconciliation.plant_id, system_id
    return [
        OrderVariance(*begun, order_id, sequence, one.booked, one.mes, tuple(one.causes))
        for (order_id, sequence, _), one in sorted(found.items(), key=lambda item: item[0])
        if one.causes
    ]


def _operation_of(report: Report | None, confirmed: Confirmed | None, amounts: Amounts | None) -> Operation:
    unit_code = amounts.good.unit_code if amounts is not None else ""
    if report is not None:
        return report.order_id, report.operation_sequence, unit_code
    assert confirmed is not None
    return confirmed.order_id, confirmed.operation_sequence, unit_code


def _sum(total: Amounts | None, more: Amounts | None) -> Amounts | None:
    """What is of another unit stands in its cause alone: there is no sum of it."""
    if total is None or more is None:
        return total or more
    return total + more if total.good.unit_code == more.good.unit_code else total


def _difference(
    document: str,
    report: Report | None,
    confirmed: Confirmed | None,
    amounts: tuple[Amounts | None, Amounts | None],
    way: Way,
    heard: datetime | None,
) -> OrderDifference | None:
    here, there = amounts
    if report is not None and report.unreadable_text:
        if confirmed is not None or report.is_reversed:  # a person put it right on its way
            return None
    elif here == there:
        return None
    if report is None:
        text = f"booked here as a report of the MES, which does not have it: {here}"
        return OrderDifference(document, Cause.FOREIGN, here, there, text)
    has_come = confirmed is not None and (confirmed.is_reversed or not report.is_reversed)
    standing = _lane_of(report, way) if has_come else standing_of(report, way, heard)
    if standing is not None:
        return OrderDifference(document, standing.cause, here, there, standing.text)
    cause, text = _fault(report, confirmed, here, there)
    return OrderDifference(document, cause, here, there, text)


def _fault(
    report: Report, confirmed: Confirmed | None, here: Amounts | None, there: Amounts | None
) -> tuple[Cause, str]:
    if confirmed is None:
        told = report.unreadable_text or str(there)
        return Cause.MISSING, f"the MES has it, and it is neither here nor on its way: {told}"
    if there is None or here is None:
        side = "the MES took it back, and it stands here" if there is None else "taken back here, and not in the MES"
        return Cause.WRONG_QUANTITY, f"{side}: {here or there}"
    if _times(here, there) >= 2:
        return Cause.DOUBLED, f"is here {_times(here, there)} times: {here} instead of {there}"
    return Cause.WRONG_QUANTITY, f"{there} in the MES, {here} here"


def _times(here: Amounts, there: Amounts) -> int:
    """How many times the whole of one is in the other; 0: it is not."""
    base = there.good.value or there.scrap.value
    if not base or here.good.unit_code != there.good.unit_code:
        return 0
    times = (here.good.value if there.good.value else here.scrap.value) // base
    is_whole = (here.good.value, here.scrap.value) == (there.good.value * times, there.scrap.value * times)
    return int(times) if is_whole else 0


def settle(first: Sequence[OrderVariance], second: Sequence[OrderVariance]) -> list[OrderVariance]:
    """What two looks agree on; what moved between them is under way."""
    known = {(variance.work_order_id, cause) for variance in first for cause in variance.causes}
    return [
        replace(
            variance,
            causes=tuple(
                cause
                if cause.cause in EXPLAINED or (variance.work_order_id, cause) in known
                else replace(cause, cause=Cause.UNDER_WAY, text="changed while the books were read")
                for cause in variance.causes
            ),
        )
        for variance in second
    ]
