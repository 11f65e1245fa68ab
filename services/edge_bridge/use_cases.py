"""What changes something in the plant's bridge: per verb what to load, and a pure decision. The kit saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from isthmus.edge.v1 import edge_service_pb2 as messages
from isthmus.edge.v1.edge_events_pb2 import ConfirmationReported
from servicekit.postings import PostingOutcome
from servicekit.rows import Key
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.edge_bridge import machine_wire, wire
from services.edge_bridge.domain.evidence import HistorianRead
from services.edge_bridge.domain.machine import Machine
from services.edge_bridge.domain.plant_order import (
    Feed,
    MesNumber,
    PlantOrder,
    RecordOrderUnknown,
    require_plant,
)
from services.edge_bridge.domain.sample import Sample
from services.edge_bridge.domain.station import Station, StationState
from services.edge_bridge.domain.watch import is_worth_saying
from services.edge_bridge.material_use_cases import decide_material_outcome, outcome_loads
from services.edge_bridge.material_wire import TELL_MATERIAL
from services.edge_bridge.store import FEEDS, HISTORIAN_READS, MACHINES, MES_NUMBERS, PLANT_ORDERS, SAMPLES, STATIONS

# --- orders to the MES


def decide_give(seen: Seen, command: wire.GiveToMes, now: datetime) -> Decision:
    """Keep the order in the plant, and ask its MES for the step."""
    known = seen.get(PLANT_ORDERS.key(command.order.work_order_id))
    if known is None and command.step != wire.RELEASE:
        return Decision(
            moot="a step of an order that this plant was never given", traceparent=command.order.traceparent
        )
    order = known or command.order
    changed = [order] if known is None else []
    return Decision(changed=changed, postings=[wire.mes_posting(command, order)], traceparent=order.traceparent)


give_to_mes = UseCase(
    name="give_to_mes",
    loads=lambda c, seen: [PLANT_ORDERS.key(c.order.work_order_id)],
    decide=decide_give,
)


def decide_mes_outcome(seen: Seen, command: PostingOutcome, now: datetime) -> Decision:
    """The MES took or refused a step: say so to the hub, and keep the MES's number."""
    order = seen.one(PLANT_ORDERS.key(command.posting.order_key))
    step = wire.STEP_OF_KIND[command.posting.kind]
    if command.state == "unknown":
        return Decision(moot=f"no answer of the MES to {step} yet", traceparent=order.traceparent)
    if command.state == "refused":
        fact = wire.refused(order, step, command.text or command.reason, command.sent)
        return Decision(facts=[_order_fact(fact, order, now)], traceparent=order.traceparent)
    known = order.known_as(command.answer.get("mes_order_number", ""))
    changed: list[object] = [known] if known != order else []
    number = MES_NUMBERS.key(known.mes_order_number)
    if known.mes_order_number and seen.get(number) is None:
        changed.append(MesNumber(known.mes_order_number, known.work_order_id))
    return Decision(
        changed=changed,
        facts=[_order_fact(wire.accepted(known, step, command.sent), known, now)],
        traceparent=order.traceparent,
    )


def _mes_outcome_loads(command: PostingOutcome, seen: Seen) -> list[Key[Any]]:
    number = command.answer.get("mes_order_number", "")
    return [PLANT_ORDERS.key(command.posting.order_key), *([MES_NUMBERS.key(number)] if number else [])]


def _order_fact(data: Any, order: PlantOrder, at: datetime, **more: Any) -> Fact:
    return Fact(data, order.plant_id, order.work_order_id, order.work_order_id, at, **more)


# --- reports of plant systems and apps


def _reported_order(seen: Seen, command: wire.ReportConfirmation | wire.ReportReversal) -> PlantOrder:
    """The order that a report is about, by our id or by the MES's number."""
    if command.work_order_id:
        order = seen.one(PLANT_ORDERS.key(command.work_order_id))
    else:
        number = seen.get(MES_NUMBERS.key(command.mes_order_number))
        if number is None:
            raise RecordOrderUnknown(order_number=command.mes_order_number, record=command.business_key)
        order = seen.one(PLANT_ORDERS.key(number.work_order_id))
    require_plant(command.plant_id, order.plant_id)
    return order


def _report_loads(command: wire.ReportConfirmation | wire.ReportReversal, seen: Seen) -> list[Key[Any]]:
    if command.work_order_id:
        return [PLANT_ORDERS.shared(command.work_order_id)]
    number = seen.get(MES_NUMBERS.shared(command.mes_order_number))
    orders = [PLANT_ORDERS.shared(number.work_order_id)] if number is not None else []
    return [MES_NUMBERS.shared(command.mes_order_number), *orders]


def decide_report(seen: Seen, command: wire.ReportConfirmation, now: datetime) -> Decision:
    """Take a confirmation on the plant's disk; the hub books it when it arrives there."""
    order = _reported_order(seen, command)
    said = wire.confirmation_message(command, order)
    fact = _order_fact(
        ConfirmationReported(confirmation=said, source_record=command.source),
        order,
        command.occur_time,
        business_key=command.business_key,
        is_late=command.is_late,
    )
    return Decision(
        facts=[fact],
        answer=messages.ConfirmOperationResponse(confirmation=said),
        traceparent=order.traceparent,
    )


confirm_operation = UseCase(
    name="confirm_operation",
    loads=_report_loads,
    decide=decide_report,
    fingerprint=Fingerprint.of(
        "plant_id",
        "operation_sequence",
        "good",
        "scraps",
        "labour",
        "consumptions",
        "output_lot_id",
        "operator_id",
        "is_final",
    ),
    answers=messages.ConfirmOperationResponse,
)


def decide_reversal(seen: Seen, command: wire.ReportReversal, now: datetime) -> Decision:
    """Take a reversal on the plant's disk."""
    order = _reported_order(seen, command)
    fact = _order_fact(
        wire.reversal_reported(command, order),
        order,
        command.occur_time,
        business_key=command.business_key,
        is_late=command.is_late,
    )
    answer = messages.ReverseConfirmationResponse(accepted=True)
    return Decision(facts=[fact], answer=answer, traceparent=order.traceparent)


reverse_confirmation = UseCase(
    name="reverse_confirmation",
    loads=_report_loads,
    decide=decide_reversal,
    fingerprint=Fingerprint.of("plant_id", "confirmation_key"),
    answers=messages.ReverseConfirmationResponse,
)


# --- the line


def decide_observation(seen: Seen, command: wire.ObserveStation, now: datetime) -> Decision:
    """Say what a station counted since we last looked; evidence, never a booking."""
    key = STATIONS.key(command.station_id)
    known = seen.get(key)
    if known is None:  # counters before our first look belong to nobody we know
        first = Station(command.station_id, command.good, command.scrap, 1, StationState.UNKNOWN, command.fault_code)
        observed = first.observe(command.good, command.scrap, command.state, command.fault_code)
    else:
        observed = known.observe(command.good, command.scrap, command.state, command.fault_code)
    if observed.is_nothing():
        return Decision(changed=[observed.after] if known is None else [])
    number = seen.get(MES_NUMBERS.shared(command.mes_order_number)) if command.mes_order_number else None
    order = seen.get(PLANT_ORDERS.shared(number.work_order_id)) if number is not None else None
    event = wire.production_event(command, observed, order.work_order_id if order else "")
    order_key = order.work_order_id if order else f"station:{command.station_id}"
    fact = Fact(event, command.plant_id, order_key, command.station_id, command.source_time, is_late=command.is_late)
    return Decision(changed=[observed.after], facts=[fact], traceparent=order.traceparent if order else "")


def _observation_loads(command: wire.ObserveStation, seen: Seen) -> list[Key[Any]]:
    wanted: list[Key[Any]] = [STATIONS.key(command.station_id)]
    if command.mes_order_number:
        number = seen.get(MES_NUMBERS.shared(command.mes_order_number))
        wanted.append(MES_NUMBERS.shared(command.mes_order_number))
        wanted += [PLANT_ORDERS.shared(number.work_order_id)] if number is not None else []
    return wanted


observe_station = UseCase(name="observe_station", loads=_observation_loads, decide=decide_observation, is_traced=False)


# --- machines


def decide_machine(seen: Seen, command: machine_wire.ObserveMachine, now: datetime) -> Decision:
    """Say what is new of a machine, once, also if the process died after the last time."""
    worth, look = command.worth, command.worth.look
    known = seen.get(MACHINES.key(look.asset_id)) or Machine(look.asset_id)
    after, said = known, list[Any]()
    if worth.is_counter_due:
        after, advances = after.counted(worth.seen, look.stand, command.modulus)
        said += [machine_wire.counters_advanced(command, advance) for advance in advances]
    if is_worth_saying(known, look):
        after = replace(after, state=look.state, fault_code=look.fault_code)
        said.append(machine_wire.machine_state_reported(command))
    said += [machine_wire.faults_reported(command, faults) for faults in worth.faults]
    said += [machine_wire.measurement_summarised(command, window) for window in worth.windows]
    measures = {**after.measures, **{window.measure_id: window.latest for window in worth.windows}}
    after = replace(after, measures=measures)
    key, at = f"asset:{look.asset_id}", look.source_time
    facts = [Fact(data, command.plant_id, key, look.asset_id, at, is_late=command.is_late) for data in said]
    return Decision(changed=[after] if after != known else [], facts=facts)


observe_machine = UseCase(
    name="observe_machine",
    loads=lambda c, seen: [MACHINES.key(c.worth.look.asset_id)],
    decide=decide_machine,
    is_traced=False,
)


def decide_feed(seen: Seen, command: wire.AdvanceFeed, now: datetime) -> Decision:
    """Remember how far a feed is read; only after what was read is safe."""
    return Decision(changed=[Feed(command.feed_id, command.position)])


advance_feed = UseCase(
    name="advance_feed", loads=lambda c, seen: [FEEDS.key(c.feed_id)], decide=decide_feed, is_traced=False
)


# --- laboratory and historian


def decide_open_inspection(seen: Seen, command: wire.OpenInspection, now: datetime) -> Decision:
    """Ask the laboratory for a sample, and keep the questions to the historian until they are answered."""
    fresh = [read for read in command.reads if seen.get(_read_key(read)) is None]
    postings = [command.sample] if command.sample is not None else []
    return Decision(changed=fresh, postings=postings, traceparent=command.traceparent)


def _read_key(read: HistorianRead) -> Key[HistorianRead]:
    return HISTORIAN_READS.key(read.inspection_id, read.characteristic_id)


open_inspection = UseCase(
    name="open_inspection",
    loads=lambda c, seen: [_read_key(read) for read in c.reads],
    decide=decide_open_inspection,
)


def decide_sample_outcome(seen: Seen, command: PostingOutcome, now: datetime) -> Decision:
    """The laboratory took the sample in: say under which number. A refusal stands in its lane for a person."""
    if command.state != "acknowledged":
        return Decision(moot=f"the laboratory's answer to {command.posting.key} is {command.state}")
    asked, number = command.posting.payload, command.answer["sample_number"]
    known = seen.get(SAMPLES.key(number))
    changed = [Sample(number, asked.inspection_id, seen.traceparent)] if known is None else []
    fact = Fact(
        wire.sample_taken(asked, number, command.sent), asked.plant_id, asked.work_order_id, asked.inspection_id, now
    )
    return Decision(changed=changed, facts=[fact])


def decide_outcome(seen: Seen, command: PostingOutcome, now: datetime) -> Decision:
    """What follows from the end of a posting, to the MES or to the laboratory."""
    if command.posting.kind == TELL_MATERIAL:
        return decide_material_outcome(seen, command, now)
    is_sample = command.posting.kind == wire.TAKE_SAMPLE
    return decide_sample_outcome(seen, command, now) if is_sample else decide_mes_outcome(seen, command, now)


def _outcome_loads(command: PostingOutcome, seen: Seen) -> Sequence[Key[Any]]:
    if command.posting.kind == TELL_MATERIAL:
        return outcome_loads(command)
    if command.posting.kind != wire.TAKE_SAMPLE:
        return _mes_outcome_loads(command, seen)
    return [SAMPLES.key(command.answer["sample_number"])] if command.state == "acknowledged" else []


posting_outcome = UseCase(name="posting_outcome", loads=_outcome_loads, decide=decide_outcome)


def decide_lab_result(seen: Seen, command: wire.ReportLabResult, now: datetime) -> Decision:
    """Take a result of the laboratory on the plant's disk. Which lot its sample is of, quality knows."""
    sample = seen.get(SAMPLES.shared(command.sample_number))
    fact = Fact(
        wire.lab_result_reported(command),
        command.plant_id,
        f"sample:{command.sample_number}",
        command.sample_number,
        command.occur_time,
        business_key=command.business_key,
        is_late=command.is_late,
    )
    return Decision(facts=[fact], traceparent=sample.traceparent if sample is not None else "")


report_lab_result = UseCase(
    name="report_lab_result",
    loads=lambda c, seen: [SAMPLES.shared(c.sample_number)],
    decide=decide_lab_result,
    fingerprint=Fingerprint.of("plant_id", "characteristic_id", "value"),
)


def decide_evidence(seen: Seen, command: wire.ReportEvidence, now: datetime) -> Decision:
    """Tell what the historian showed, and take the question as answered."""
    read = seen.get(_read_key(command.read))
    if read is None or read.is_answered:
        return Decision(moot="nobody waits for this answer of the historian", traceparent=command.read.traceparent)
    fact = Fact(
        wire.evidence_reported(read, command.evidence),
        read.plant_id,
        read.work_order_id,
        read.inspection_id,
        now,
        business_key=command.business_key,
        is_late=command.is_late,
    )
    return Decision(changed=[replace(read, is_answered=True)], facts=[fact], traceparent=read.traceparent)


report_evidence = UseCase(
    name="report_evidence",
    loads=lambda c, seen: [_read_key(c.read)],
    decide=decide_evidence,
    fingerprint=Fingerprint.of("read.tag_id", "read.question.start_time", "read.question.end_time"),
)
