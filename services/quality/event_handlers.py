"""What quality does when it hears a fact."""

from __future__ import annotations

from isthmus.edge.v1.edge_events_pb2 import HistorianEvidenceReported, LabResultReported, SampleTaken
from isthmus.gateway.v1.gateway_events_pb2 import PostingAcknowledged
from isthmus.production.v1.production_events_pb2 import OperationConfirmed
from servicekit.facts import Do, EventMeta, consumes
from services.quality import use_cases, wire


@consumes(OperationConfirmed)
def reach_checkpoint(event: OperationConfirmed, meta: EventMeta) -> Do:
    """When a lot is confirmed at its release checkpoint, open its inspection."""
    return Do(use_cases.reach_checkpoint, wire.reach_checkpoint(event, meta))


@consumes(SampleTaken)
def register_sample(event: SampleTaken, meta: EventMeta) -> Do:
    """When the laboratory has a sample, note its number."""
    return Do(use_cases.register_sample, wire.sample_taken(event, meta), is_document=meta.business_key is not None)


@consumes(LabResultReported)
def record_test_result(event: LabResultReported, meta: EventMeta) -> Do:
    """When the laboratory reports a result, take it: the same document as a call with this key."""
    return Do(
        use_cases.record_test_result, wire.result_reported(event, meta), is_document=meta.business_key is not None
    )


@consumes(HistorianEvidenceReported)
def record_evidence(event: HistorianEvidenceReported, meta: EventMeta) -> Do:
    """When the plant's historian was asked, take what it showed."""
    command = wire.evidence_reported(event, meta)
    return Do(use_cases.record_historian_evidence, command, is_document=meta.business_key is not None)


@consumes(PostingAcknowledged)
def note_case(event: PostingAcknowledged, meta: EventMeta) -> Do | None:
    """When the QMS has a case, note its number."""
    command = wire.note_case(event)
    return Do(use_cases.note_case, command) if command is not None else None
