"""The support desk of a service: its lanes, conflicts and postings, and the hands to put them right (LaneService)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from google.protobuf import json_format

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.operations.v1 import lane_service_pb2 as messages
from isthmus.operations.v1.lane_service_pb2_grpc import LaneServiceServicer
from servicekit import audit, clock, counts, lanes, outbox, paging, poster, posting_table, stops
from servicekit.database import Database, Tx
from servicekit.domain import BusinessKey, DomainError, Kind
from servicekit.door import run_again
from servicekit.facts import key_message, key_of_message, timestamp, type_of, unpack
from servicekit.inbox import Inbox

STATES = {lanes.WAITING: messages.LANE_STATE_WAITING, lanes.PARKED: messages.LANE_STATE_PARKED}


class TrialImpossible(DomainError):
    """What this consumer does is a call to a foreign system: only the call itself shows whether it is taken."""

    reason, kind = "TRIAL_IMPOSSIBLE", Kind.PRECONDITION


class Desk(LaneServiceServicer):
    """Lanes of all consumers of one database. `inboxes` by consumer."""

    def __init__(self, database: Database, inboxes: dict[str, Inbox]) -> None:
        self._database, self._inboxes = database, inboxes

    async def ListLanes(self, request: Any, context: Any) -> messages.ListLanesResponse:
        names = {value: name for name, value in STATES.items()}
        return await self._database.read(lambda tx: _list_lanes(tx, request, names.get(request.state, "")))

    async def GetLane(self, request: Any, context: Any) -> messages.GetLaneResponse:
        def read(tx: Tx) -> messages.GetLaneResponse:
            lane = _lane(tx, request.consumer, request.order_key)
            shown = [_fact(fact) for fact in lanes.facts(tx, request.consumer, request.order_key)]
            return messages.GetLaneResponse(lane=lane, facts=shown)

        return await self._database.write(read)

    async def CorrectLaneFact(self, request: Any, context: Any) -> messages.CorrectLaneFactResponse:
        def correct(tx: Tx) -> messages.CorrectLaneFactResponse:
            lanes.lock(tx, request.consumer, [request.order_key])  # what another operator just did is seen behind it
            done = lanes.outcome_of(tx, request.consumer, request.event_id)
            if done is not None:
                fact = lanes.fact_in(tx, request.consumer, request.order_key, done[1])
                if not _says(fact, request.content_json):
                    raise lanes.LaneChanged(consumer=request.consumer, order_key=request.order_key)
                return messages.CorrectLaneFactResponse(fact=_fact(fact), replayed=True)
            lanes.one(tx, request.consumer, request.order_key)
            fact = lanes.fact_in(tx, request.consumer, request.order_key, request.event_id)
            renewed = lanes.corrected(fact, request.content_json)
            lanes.supersede(tx, request.consumer, fact, renewed)
            _audit(tx, "correct", request, request.correct_reason, request.event_id, request.content_json)
            after = lanes.fact_in(tx, request.consumer, request.order_key, renewed.event_id)
            return messages.CorrectLaneFactResponse(fact=_fact(after))

        return await run_again(self._database, correct)

    async def TryLaneFact(self, request: Any, context: Any) -> messages.TryLaneFactResponse:
        def renewed(tx: Tx) -> Envelope:
            lanes.one(tx, request.consumer, request.order_key)
            fact = lanes.fact_in(tx, request.consumer, request.order_key, request.event_id)
            return lanes.corrected(fact, request.content_json) if request.content_json else fact.read()

        envelope = await self._database.write(renewed)
        if request.consumer not in self._inboxes:
            raise TrialImpossible(consumer=request.consumer)
        trial = await self._inboxes[request.consumer].rehearse(envelope)
        if trial.error is not None:
            reason = lanes.reason_of(trial.error)
            return messages.TryLaneFactResponse(reason=reason, text=str(trial.error)[:2000])
        return messages.TryLaneFactResponse(text="; ".join(trial.moots), told_fact_types=trial.told)

    async def ReleaseLane(self, request: Any, context: Any) -> messages.ReleaseLaneResponse:
        consumer, order_key = request.consumer, request.order_key

        def begin(tx: Tx) -> int:
            lanes.one(tx, consumer, order_key)
            _audit(tx, "release", request, request.release_reason)
            return poster.release(tx, consumer, order_key) if consumer.startswith(counts.OF_POSTINGS) else 0

        released = await run_again(self._database, begin)
        if consumer in self._inboxes:
            released = await self._inboxes[consumer].drain(order_key, is_released=True)
        left = await self._database.write(lambda tx: _lane_left(tx, consumer, order_key))
        return messages.ReleaseLaneResponse(released_count=released, lane=left)

    async def ProposeDiscard(self, request: Any, context: Any) -> messages.ProposeDiscardResponse:
        consumer, order_key, event_id = request.consumer, request.order_key, request.event_id

        def propose(tx: Tx) -> messages.ProposeDiscardResponse:
            lanes.one(tx, consumer, order_key)
            fact = lanes.fact_in(tx, consumer, order_key, event_id)
            if fact.proposer_id:
                return messages.ProposeDiscardResponse(fact=_fact(fact), replayed=True)
            _audit(tx, "propose", request, request.propose_reason, event_id)
            lanes.propose_discard(tx, consumer, event_id, request.operator_id, request.propose_reason)
            return messages.ProposeDiscardResponse(fact=_fact(lanes.fact_in(tx, consumer, order_key, event_id)))

        return await run_again(self._database, propose)

    async def DiscardLaneFact(self, request: Any, context: Any) -> messages.DiscardLaneFactResponse:
        consumer, order_key = request.consumer, request.order_key

        def discard(tx: Tx) -> messages.DiscardLaneFactResponse:
            lanes.lock(tx, consumer, [order_key])
            if lanes.outcome_of(tx, consumer, request.event_id) is not None:
                return messages.DiscardLaneFactResponse(lane=_lane_left(tx, consumer, order_key), replayed=True)
            lanes.one(tx, consumer, order_key)
            fact = lanes.fact_in(tx, consumer, order_key, request.event_id)
            lanes.discard(tx, consumer, order_key, fact, request.operator_id)
            if consumer.startswith(counts.OF_POSTINGS):
                poster.discard(tx, fact)
            else:
                counts.add(tx, consumer, Counter({(fact.read().plant_id, counts.DISCARDED): 1}))
            _audit(tx, "discard", request, request.discard_reason, request.event_id)
            return messages.DiscardLaneFactResponse(lane=_lane_left(tx, consumer, order_key))

        return await run_again(self._database, discard)

    async def ListConflicts(self, request: Any, context: Any) -> messages.ListConflictsResponse:
        return await self._database.read(lambda tx: _list_conflicts(tx, request))

    async def ListPostings(self, request: Any, context: Any) -> messages.ListPostingsResponse:
        return await self._database.read(lambda tx: _list_postings(tx, request))

    async def ListFactCounts(self, request: Any, context: Any) -> messages.ListFactCountsResponse:
        most, after = paging.size(request), tuple(paging.after(request) or ["", ""])
        found = [one for one in await self._database.read(counts.standing) if (one.consumer, one.plant_id) > after]
        last = [found[most - 1].consumer, found[most - 1].plant_id] if len(found) > most else None
        token = paging.token(request, last)
        return messages.ListFactCountsResponse(fact_counts=map(_count_message, found[:most]), next_page_token=token)

    async def GetToldFact(self, request: Any, context: Any) -> messages.GetToldFactResponse:
        slot, sequence = request.producer_slot, request.producer_sequence
        envelope, record_time = await self._database.read(lambda tx: outbox.told(tx, slot, sequence))
        return messages.GetToldFactResponse(
            event_id=envelope.event_id,
            fact_type=type_of(envelope.data),
            content_json=_content_json(envelope),
            envelope=envelope.SerializeToString(),
            record_time=timestamp(record_time),
        )

    async def ListSlotStops(self, request: Any, context: Any) -> messages.ListSlotStopsResponse:
        most, after = paging.size(request), paging.after(request) or [0, "", ""]
        found = await self._database.read(lambda tx: stops.listed(tx, after, most))
        last = [found[-1].since_time, found[-1].consumer, found[-1].slot] if len(found) == most else None
        token = paging.token(request, last)
        return messages.ListSlotStopsResponse(slot_stops=map(_stop_message, found), next_page_token=token)

    async def ResumeSlot(self, request: Any, context: Any) -> messages.ResumeSlotResponse:
        consumer, slot = request.consumer, request.producer_slot

        def resume(tx: Tx) -> messages.ResumeSlotResponse:
            stop, is_again = stops.accept(tx, consumer, slot)
            if not is_again:
                key, who, why = key_of_message(request.business_key), request.operator_id, request.resume_reason
                audit.append(tx, audit.Action("resume", f"{consumer} {slot}", "", who, why, str(key)))
            return messages.ResumeSlotResponse(slot_stop=_stop_message(stop), replayed=is_again)

        return await run_again(self._database, resume)

    async def ListAuditEntries(self, request: Any, context: Any) -> messages.ListAuditEntriesResponse:
        return await self._database.read(lambda tx: audit.listed(tx, request))

    async def VerifyAudit(self, request: Any, context: Any) -> messages.VerifyAuditResponse:
        known = request.known_entry_number, request.known_chain_hash
        return await self._database.read(lambda tx: audit.verified(tx, *known))


def _count_message(one: counts.Standing) -> messages.FactCount:
    outcomes = {f"{outcome}_count": one.counted.get(outcome, 0) for outcome in (counts.IN, *counts.OUTCOMES)}
    return messages.FactCount(
        consumer=one.consumer, plant_id=one.plant_id, waiting_count=one.waiting, parked_count=one.parked, **outcomes
    )


def _stop_message(stop: stops.Stop) -> messages.SlotStop:
    message = messages.SlotStop(
        consumer=stop.consumer,
        producer_slot=stop.slot,
        reason=stop.reason,
        text=stop.text,
        is_accepted=stop.is_accepted,
    )
    message.since_time.FromDatetime(clock.instant(stop.since_time))
    return message


def _audit(tx: Tx, what: str, request: Any, reason: str, event_id: str = "", content: str = "") -> None:
    subject = f"{request.consumer} {request.order_key}"
    key = str(key_of_message(request.business_key))
    detail = f"{key} {content}" if content else key
    audit.append(tx, audit.Action(what, subject, event_id, request.operator_id, reason, detail))


FACTS_OF_LANE = "FROM lane_fact f WHERE f.consumer = lane.consumer AND f.order_key = lane.order_key"
LANE_SQL = (
    f"SELECT {lanes.LANE}, (SELECT COUNT(*) {FACTS_OF_LANE}), (SELECT MAX(record_time) {FACTS_OF_LANE}), "
    f"(SELECT COUNT(*) {FACTS_OF_LANE} AND f.proposer_id <> '') FROM lane"
)


def _list_lanes(tx: Tx, request: Any, state: str) -> messages.ListLanesResponse:
    most = paging.size(request)
    since, consumer, key = paging.after(request) or [0, "", ""]
    rows = tx.rows(
        f"{LANE_SQL} WHERE (? = '' OR state = ?) AND (since_time, consumer, order_key) > (?, ?, ?) "
        "ORDER BY since_time, consumer, order_key LIMIT ?",
        (state, state, since, consumer, key, most),
    )
    last = [rows[-1][6], rows[-1][0], rows[-1][1]] if len(rows) == most else None
    return messages.ListLanesResponse(lanes=map(_lane_message, rows), next_page_token=paging.token(request, last))


def _lane(tx: Tx, consumer: str, order_key: str) -> messages.Lane:
    lanes.one(tx, consumer, order_key)
    rows = tx.rows(f"{LANE_SQL} WHERE consumer = ? AND order_key = ?", (consumer, order_key))
    return _lane_message(rows[0])


def _lane_left(tx: Tx, consumer: str, order_key: str) -> messages.Lane | None:
    return _lane(tx, consumer, order_key) if lanes.lock(tx, consumer, [order_key]) else None


def _lane_message(row: Any) -> messages.Lane:
    lane = messages.Lane(
        consumer=row[0],
        order_key=row[1],
        plant_id=row[2],
        state=STATES[row[3]],
        reason=row[4],
        text=row[5],
        fact_count=row[8],
        proposal_count=row[10],
    )
    if row[9]:
        lane.last_fact_time.FromDatetime(clock.instant(row[9]))
    lane.since_time.FromDatetime(clock.instant(row[6]))
    if row[7]:
        lane.next_attempt_time.FromDatetime(clock.instant(row[7]))
    return lane


def _content_json(envelope: Envelope) -> str:
    """Empty where this service does not know the type."""
    content = unpack(envelope.data)
    return json_format.MessageToJson(content, indent=None) if content is not None else ""


def _fact(fact: lanes.LaneFact) -> messages.LaneFact:
    envelope = fact.read()
    shown = messages.LaneFact(
        event_id=fact.event_id,
        position=fact.position,
        attempts=fact.attempts,
        reason=fact.reason,
        text=fact.text,
        fact_type=type_of(envelope.data),
        content_json=_content_json(envelope),
        envelope=fact.envelope,
        proposer_id=fact.proposer_id,
        propose_reason=fact.propose_reason,
    )
    shown.record_time.FromDatetime(clock.instant(fact.record_time))
    return shown


def _says(fact: lanes.LaneFact, content_json: str) -> bool:
    """Whether the fact in the lane is what this correction asks for."""
    return unpack(lanes.corrected(fact, content_json).data) == unpack(fact.read().data)


def _list_conflicts(tx: Tx, request: Any) -> messages.ListConflictsResponse:
    most = paging.size(request)
    found, conflict_id = paging.after(request) or [2**62, ""]
    rows = tx.rows(
        "SELECT conflict_id, command, source_system, document_type, document_number, document_line, first_content, "
        "second_content, found_time FROM conflicts WHERE (found_time, conflict_id) < (?, ?) "
        "ORDER BY found_time DESC, conflict_id DESC LIMIT ?",
        (found, conflict_id, most),
    )
    response = messages.ListConflictsResponse()
    for row in rows:
        conflict = response.conflicts.add(
            conflict_id=row[0],
            command=row[1],
            business_key=key_message(BusinessKey(row[2], row[3], row[4], row[5])),
            first_content=row[6],
            second_content=row[7],
        )
        conflict.found_time.FromDatetime(clock.instant(row[8]))
    response.next_page_token = paging.token(request, [rows[-1][8], rows[-1][0]] if len(rows) == most else None)
    return response


def _list_postings(tx: Tx, request: Any) -> messages.ListPostingsResponse:
    most = paging.size(request)
    before = (paging.after(request) or [2**62])[0]
    rows = tx.rows(
        f"SELECT {posting_table.COLUMNS}, posting_number FROM posting WHERE (? = '' OR state = ?) "
        "AND posting_number < ? ORDER BY posting_number DESC LIMIT ?",
        (request.state, request.state, before, most),
    )
    response = messages.ListPostingsResponse()
    for row in rows:
        posting = response.postings.add(
            posting_id=row.posting_id,
            partner_id=row.partner_id,
            plant_id=row.plant_id,
            posting_kind=row.kind,
            order_key=row.order_key,
            state=row.state,
            attempts=row.attempts,
            foreign_id=row.foreign_id,
            reason=row.reason,
            text=row.text,
        )
        posting.plan_time.FromDatetime(clock.instant(row.plan_time))
        posting.change_time.FromDatetime(clock.instant(row.change_time))
    response.next_page_token = paging.token(request, [rows[-1].posting_number] if len(rows) == most else None)
    return response
