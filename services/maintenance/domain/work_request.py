"""The work request: a machine asks for work, once a cause; what repeats is counted in it."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from servicekit.domain import BusinessKey, DomainError, Kind
from services.maintenance.domain.asset import Asset
from services.maintenance.domain.condition import ConditionRule, Sight, SparePart, Watch


class State(enum.Enum):
    OPEN = "open"
    ACCEPTED = "accepted"
    COMPLETED = "completed"


class WorkRequestMissing(DomainError):
    """There is no work request of this id."""

    reason, kind = "WORK_REQUEST_MISSING", Kind.MISSING


class WorkRequestClosed(DomainError):
    """The work request was completed before."""

    reason, kind = "WORK_REQUEST_CLOSED", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """`condition_rule_id` is empty when a person asked."""

    work_request_id: str
    plant_id: str
    asset_id: str
    line_id: str
    condition_rule_id: str
    problem: str
    priority: int
    cause: str
    occurrence_count: int
    first_occur_time: datetime
    last_occur_time: datetime
    expected_time: datetime | None
    spare_parts: tuple[SparePart, ...]
    cost_centre_id: str
    cmms_asset_number: str
    cmms_request_number: str = ""
    state: State = State.OPEN
    version: int = 1

    def seen_again(self, occurrences: int, at: datetime, expected_time: datetime | None) -> WorkRequest:
        return replace(
            self,
            occurrence_count=self.occurrence_count + occurrences,
            last_occur_time=max(self.last_occur_time, at),
            expected_time=expected_time or self.expected_time,
            version=self.version + 1,
        )

    def accepted(self, cmms_request_number: str) -> WorkRequest | None:
        """None: nothing new."""
        if self.cmms_request_number == cmms_request_number:
            return None
        state = State.ACCEPTED if self.state is State.OPEN else self.state
        return replace(self, cmms_request_number=cmms_request_number, state=state, version=self.version + 1)

    def completed(self) -> WorkRequest:
        """WORK_REQUEST_CLOSED."""
        if self.state is State.COMPLETED:
            raise WorkRequestClosed(work_request_id=self.work_request_id)
        return replace(self, state=State.COMPLETED, version=self.version + 1)


def request_id(rule: ConditionRule, number: int) -> str:
    return f"{rule.plant_id}~{rule.condition_rule_id}~{number}"


def id_by_hand(plant_id: str, asset_id: str, key: BusinessKey) -> str:
    """Two systems may number their documents alike: the whole key names the request."""
    digest = hashlib.sha256("\x1f".join((key.source_system, key.document_type, key.document_number, key.line)).encode())
    return f"{plant_id}~{asset_id}~by-{digest.hexdigest()[:16]}"


def ask(
    rule: ConditionRule, asset: Asset, sight: Sight, known: WorkRequest | None, at: datetime
) -> tuple[Watch, WorkRequest | None, bool]:
    """(the watch, the request that changed, whether it is new): a rule asks once, and counts while that is open."""
    watch = sight.watch
    if not sight.occurrences:
        return watch, None, False
    if watch.open_request_id and known is not None:
        return watch, known.seen_again(sight.occurrences, at, sight.expected_time), False
    number = watch.request_count + 1
    opened = WorkRequest(
        request_id(rule, number),
        rule.plant_id,
        asset.asset_id,
        asset.line_id,
        rule.condition_rule_id,
        rule.problem,
        rule.priority,
        sight.cause,
        sight.occurrences,
        at,
        at,
        sight.expected_time,
        rule.spare_parts,
        asset.cost_centre_id,
        asset.cmms_asset_number,
    )
    return replace(watch, request_count=number, open_request_id=opened.work_request_id), opened, True
