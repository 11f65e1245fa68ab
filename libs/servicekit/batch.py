"""A batch of commands in one transaction: claims and rows loaded, each command decided, everything saved, facts numbered last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from google.protobuf.message import Message

from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import claims, outbox, posting_table, telemetry
from servicekit.bounds import Bounds
from servicekit.claims import Claim
from servicekit.clock import new_id
from servicekit.database import Tx
from servicekit.domain import BusinessKeyConflict, DomainError
from servicekit.facts import slot_of, timestamp, wrap
from servicekit.outbox import Stored
from servicekit.use_case import Decision, PlannedPosting, Seen, Store, UseCase

log = structlog.get_logger()
LOAD_ROUNDS = 8  # a use case that wants more rows after this many rounds does not end


@dataclass(slots=True)
class Work:
    """One command on its way through a batch, and what became of it."""

    use_case: UseCase[Any]
    command: Any
    is_document: bool  # claims its business key
    cause: str = ""  # event id of the fact behind it; made up for calls
    traceparent: str = ""  # of the caller or the fact
    correlation_id: str = ""
    arrival_ns: int = field(default_factory=time.time_ns)
    claim_id: claims.Id | None = None
    key_hash: bytes = b""
    answer: Message | None = None
    is_replayed: bool = False
    is_moot: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        if self.is_document and self.use_case.fingerprint is not None:
            key = self.command.business_key
            self.claim_id, self.key_hash = claims.id_of(self.use_case.name, key), claims.key_hash(key)
        else:
            self.cause = self.cause or new_id()

    @property
    def why(self) -> str:
        """What the facts of this command are caused by: the fact, the document, or this one call."""
        if self.claim_id is not None:
            return f"{self.use_case.name}:{self.key_hash.hex()}"
        return self.cause


class Batch:
    """Load, decide one after another, save; all in the caller's transaction."""

    def __init__(
        self, tx: Tx, store: Store, now: datetime, bounds: Bounds | None = None, *, is_trial: bool = False
    ) -> None:
        self._tx, self._store, self._now, self._bounds = tx, store, now, bounds
        self._record_time = timestamp(now)
        self._is_trial = is_trial  # will be taken back: no span and no log line may say that it was done
        self._seen = Seen()
        self._known: dict[claims.Id, Claim] = {}
        self._new_claims: list[Claim] = []
        self._conflicts: list[tuple[Claim, str]] = []
        self._envelopes: list[Envelope] = []
        self._postings: list[tuple[PlannedPosting, str]] = []
        self._moots: dict[tuple[str, str], list[str]] = {}  # causes by use case and why

    def load(self, works: Sequence[Work]) -> None:
        """Read the claims of all, then the rows of those that are not answered already, set-based."""
        self._known.update(claims.read(self._tx, [w.claim_id for w in works if w.claim_id is not None]))
        fresh = [w for w in works if w.claim_id is None or w.claim_id not in self._known]
        for _ in range(LOAD_ROUNDS):
            wanted = [want for w in fresh for want in w.use_case.loads(w.command, self._seen)]
            if not self._seen.load(self._tx, wanted):
                return
        raise LookupError(f"{fresh[0].use_case.name} asks for more rows after {LOAD_ROUNDS} rounds")

    def decide(self, work: Work) -> None:
        """Decide one command on what those before it left. A refusal has changed nothing."""
        try:
            known = self._known.get(work.claim_id) if work.claim_id is not None else None
            if known is not None:
                self._answer_again(work, known)
            else:
                self._decide_fresh(work)
        except DomainError as refusal:
            work.error = refusal
        except Exception as bug:  # the door is here: a bug in one decision must not fail its neighbours
            log.exception("decision failed", use_case=work.use_case.name)
            work.error = bug

    def _answer_again(self, work: Work, known: Claim) -> None:
        fingerprint = work.use_case.fingerprint
        assert fingerprint is not None
        second = claims.content(fingerprint, work.command, known.fingerprint_version)
        if second != known.content:
            self._conflicts.append((known, second))
            raise BusinessKeyConflict(command=work.use_case.name, business_key=known.business_key)
        work.is_replayed = True
        if work.use_case.answers is not None:
            work.answer = work.use_case.answers.FromString(known.answer)

    def _decide_fresh(self, work: Work) -> None:
        self._seen.traceparent = work.traceparent
        decision = work.use_case.decide(self._seen, work.command, self._now)
        if self._bounds is not None:
            self._bounds.require_room(self._store.service, decision.facts)
        self._seen.apply(self._store.by_type, decision)
        work.answer = decision.answer
        work.is_moot = bool(decision.moot)
        if decision.moot:
            self._moots.setdefault((work.use_case.name, decision.moot), []).append(work.why)
        traceparent = self._tell(work, decision)
        self._postings.extend((planned, traceparent) for planned in decision.postings)
        if work.claim_id is not None:
            self._claim(work)

    def _tell(self, work: Work, decision: Decision) -> str:
        """Make the facts, in the order's own trace. Returns the trace context that postings go on with."""
        order_key = decision.facts[0].order_key if decision.facts else ""
        traceparent = self._span(work, work.use_case.name, decision.traceparent, work.traceparent, order_key)
        for ordinal, fact in enumerate(decision.facts):
            own = traceparent
            if fact.traceparent:
                own = self._span(work, fact.data.DESCRIPTOR.name, fact.traceparent, traceparent, fact.order_key)
            self._envelopes.append(
                wrap(
                    fact,
                    slot_of(self._store.service, fact.plant_id),
                    work.why,
                    ordinal,
                    self._record_time,
                    traceparent=own,
                    correlation_id=work.correlation_id,
                )
            )
        return traceparent

    def _span(self, work: Work, name: str, kept: str, incoming: str, order_key: str) -> str:
        if self._is_trial or not work.use_case.is_traced:
            return kept or incoming
        key = getattr(work.command, "business_key", "")
        return telemetry.record_step(name, kept, incoming, work.arrival_ns, order_key=order_key, business_key=key)

    def _claim(self, work: Work) -> None:
        fingerprint = work.use_case.fingerprint
        assert fingerprint is not None
        assert work.claim_id is not None
        claim = Claim(
            command=work.use_case.name,
            key_hash=work.key_hash,
            business_key=work.command.business_key,
            fingerprint_version=fingerprint.version,
            content=claims.content(fingerprint, work.command),
            answer=work.answer.SerializeToString() if work.answer is not None else b"",
        )
        self._known[claim.id] = claim
        self._new_claims.append(claim)

    @property
    def moots(self) -> list[str]:
        """Why commands had no effect, each reason once."""
        return [why for _, why in self._moots]

    def save(self) -> list[Stored]:
        """Write rows, claims, conflicts and postings, then number the facts. Returns them as they stand in the outbox."""
        if not self._is_trial:
            for (name, why), causes in self._moots.items():  # one line for many: a reader may hear a thousand a second
                log.info("moot", use_case=name, why=why, count=len(causes), cause=causes[0])
        self._seen.save(self._tx)
        claims.insert(self._tx, self._new_claims, self._now)
        claims.keep_conflicts(self._tx, self._conflicts, self._now)
        posting_table.insert(self._tx, self._postings, self._now)
        return outbox.append(self._tx, self._envelopes, self._now)
