"""Keeps the bridge connected to its plant: connect, detect loss, back off, resume; records are safe before they are marked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import timedelta

import structlog

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import clock
from servicekit.dispatch import Delivery
from servicekit.domain import DomainError
from servicekit.run import Kit
from services.edge_bridge import machine_wire, use_cases, wire
from services.edge_bridge.domain.evidence import HistorianRead, evidence
from services.edge_bridge.domain.machine import Machine
from services.edge_bridge.domain.watch import Watch
from services.edge_bridge.driver import (
    Connectors,
    DriverAway,
    Health,
    HistorianDriver,
    LaboratoryDriver,
    LineDriver,
    MesDriver,
    Observation,
    Sheet,
    SignalDriver,
)
from services.edge_bridge.mappings import lane_key, order_number
from services.edge_bridge.signal_map import SignalMap
from services.edge_bridge.store import FEEDS, HISTORIAN_READS, MACHINES
from services.edge_bridge.telemetry import Telemetry, TelemetryRules

log = structlog.get_logger()
POLL_SECONDS = 0.2
ASK_SECONDS = 1.0  # how often open questions are put to the historian
READS_MOST = 200  # questions of one round
TOGETHER_MOST = 128  # observations of one transaction
PAUSES = (0.5, 1.0, 2.0, 4.0)


def envelope_of(record: PlantRecord, plant_id: str, *, is_late: bool, order_key: str = "") -> Envelope:
    """A record as a fact of its own source: the same record read again is the same fact."""
    fields = {field.name: field.value for field in record.fields}
    number = order_number(record) or record.record_id
    content = "|".join(
        [record.connector_id, record.feed, record.record_id, *(f"{k}={v}" for k, v in sorted(fields.items()))]
    )
    envelope = Envelope(
        event_id=hashlib.sha256(content.encode()).hexdigest()[:32],
        plant_id=plant_id,
        order_key=order_key or lane_key(record),
        subject_id=record.record_id,
        correlation_id=order_key or number,
        is_late=is_late,
    )
    envelope.occur_time.CopyFrom(record.read_time)
    envelope.record_time.FromDatetime(clock.now())
    envelope.data.Pack(record)
    return envelope


async def follow_mes(kit: Kit, mes: MesDriver, health: Health) -> None:
    """Read the MES's feed for ever."""
    inbox = kit.inboxes[mes.connector_id]
    failures = 0
    while True:
        try:
            position = await _position(kit, mes.connector_id)
            records = await mes.records(position)
            if records:
                await _take(kit, mes, records)
                health.last_record_time = clock.now()
            await inbox.retry_due()
            health.is_connected, health.last_error, failures = True, "", 0
            await asyncio.sleep(0 if records else POLL_SECONDS)
        except (DriverAway, DomainError) as fault:
            failures = await _back_off(health, str(fault), failures)


async def _take(kit: Kit, mes: MesDriver, records: Sequence[tuple[PlantRecord, str]]) -> None:
    is_late = not kit.broker.is_connected
    plant_id = kit.settings.plant_id
    deliveries = [Delivery(envelope_of(record, plant_id, is_late=is_late)) for record, _ in records]
    await kit.inboxes[mes.connector_id].take(deliveries)
    await kit.door.run(use_cases.advance_feed, wire.AdvanceFeed(mes.connector_id, records[-1][1]))
    for record, _ in records:
        await mes.mark_read(record)


async def _position(kit: Kit, feed_id: str) -> str:
    found = await kit.database.read(lambda tx: FEEDS.select(tx, "feed_id = ?", (feed_id,)))
    return found[0].position if found else ""


async def follow_line(kit: Kit, line: LineDriver, health: Health) -> None:
    """Follow the line for ever; every observation is on disk before the next is taken."""
    failures = 0
    while True:
        try:
            await _observe(kit, line, health, line.observations())
        except (DriverAway, DomainError) as fault:
            failures = await _back_off(health, str(fault), failures)
        else:
            failures = 0


async def _observe(kit: Kit, line: LineDriver, health: Health, stream: AsyncIterator[Sequence[Observation]]) -> None:
    is_first = True  # what moved while we were away belongs to no order that we can name
    async for observations in stream:
        health.is_connected, health.last_error, health.last_record_time = True, "", clock.now()
        commands = [_command(kit, line, seen, is_first=is_first) for seen in observations]
        for at in range(0, len(commands), TOGETHER_MOST):
            for outcome in await kit.door.run_all(use_cases.observe_station, commands[at : at + TOGETHER_MOST]):
                if isinstance(outcome, Exception):
                    raise outcome
        is_first = False


def _command(kit: Kit, line: LineDriver, seen: Observation, *, is_first: bool) -> wire.ObserveStation:
    return wire.ObserveStation(
        plant_id=kit.settings.plant_id,
        line_id=line.connector_id,
        station_id=seen.station_id,
        mes_order_number="" if is_first else seen.mes_order_number,
        operation_sequence=seen.operation_sequence,
        good=seen.good,
        scrap=seen.scrap,
        state=seen.state,
        cycle_time_ms=seen.cycle_time_ms,
        fault_code=seen.fault_code,
        source_time=seen.source_time,
        is_uncertain=seen.is_uncertain or is_first,
        is_late=not kit.broker.is_connected,
    )


# --- machines


async def follow_machines(
    kit: Kit, machines: SignalDriver, signals: SignalMap, health: Health, telemetry: Telemetry
) -> None:
    """Read the machines' signals for ever; what is worth saying is on disk before they are read again."""
    known = {m.asset_id: m for m in await kit.database.read(lambda tx: MACHINES.select(tx, "TRUE", ()))}
    assets = {asset.asset_id: asset for asset in signals.assets}
    interval, window = timedelta(seconds=signals.counter_seconds), timedelta(seconds=signals.fault_seconds)
    watches = {
        name: Watch(known.get(name) or Machine(name), tuple(m.measure for m in asset.measures), interval, window)
        for name, asset in assets.items()
    }
    failures = 0
    while True:
        try:
            (looks, fault_text), now = await machines.looks(), clock.now()
            for look in looks:
                telemetry.offer(look, {m.measure_id: m.unit_code for m in assets[look.asset_id].measures})
                worth = watches[look.asset_id].take(look, now)
                if worth is not None:
                    modulus, is_late = assets[look.asset_id].counter_modulus, not kit.broker.is_connected
                    command = machine_wire.ObserveMachine(kit.settings.plant_id, worth, modulus, is_late)
                    await _until_safe(kit, command)
            health.is_connected, health.last_error, health.last_record_time, failures = True, fault_text, now, 0
            await asyncio.sleep(kit.settings.signal_poll_seconds)
        except DriverAway as fault:
            failures = await _back_off(health, str(fault), failures)


async def _until_safe(kit: Kit, command: machine_wire.ObserveMachine) -> None:
    """A disk that takes nothing now is waited for: what was taken out of the filter can't be read again."""
    while True:
        try:
            await kit.door.run(use_cases.observe_machine, command)
        except DomainError as fault:
            log.warning("machine not observed yet", asset_id=command.worth.look.asset_id, fault=str(fault))
            await asyncio.sleep(PAUSES[0])
        else:
            return


# --- laboratory and historian


async def follow_laboratory(kit: Kit, laboratory: LaboratoryDriver, health: Health) -> None:
    """Take the laboratory's sheets for ever, each in one transaction before it is put away."""
    inbox = kit.inboxes[laboratory.connector_id]
    failures = 0
    while True:
        try:
            sheet = await laboratory.next_sheet()
            if sheet is not None:
                await inbox.take(_rows_of(kit, sheet))
                await laboratory.mark_read(sheet)
                health.last_record_time = clock.now()
            await inbox.retry_due()
            health.is_connected, health.last_error, failures = True, laboratory.quarantined(), 0
            await asyncio.sleep(0 if sheet is not None else POLL_SECONDS)
        except (DriverAway, DomainError) as fault:
            failures = await _back_off(health, str(fault), failures)


def _rows_of(kit: Kit, sheet: Sheet) -> list[Delivery]:
    plant_id, is_late = kit.settings.plant_id, not kit.broker.is_connected
    return [
        Delivery(envelope_of(record, plant_id, is_late=is_late, order_key=order_key))
        for order_key, record in sheet.rows
    ]


async def ask_historian(kit: Kit, historian: HistorianDriver, health: Health) -> None:
    """Put the standing questions to the historian for ever; one that can't be answered yet keeps no other waiting."""
    failures = 0
    while True:
        try:
            await historian.check()
            faults = [fault for read in await _open_reads(kit) if (fault := await _ask(kit, historian, health, read))]
            if faults:
                raise DriverAway(faults[0])
            health.is_connected, health.last_error, failures = True, "", 0
            await asyncio.sleep(ASK_SECONDS)
        except (DriverAway, DomainError) as fault:
            failures = await _back_off(health, str(fault), failures)


async def _open_reads(kit: Kit) -> list[HistorianRead]:
    return await kit.database.read(
        lambda tx: HISTORIAN_READS.select(tx, "NOT is_answered ORDER BY end_time LIMIT ?", (READS_MOST,))
    )


async def _ask(kit: Kit, historian: HistorianDriver, health: Health, read: HistorianRead) -> str:
    """Put one question and save its answer with its fact. Returns why the historian could not be asked."""
    try:
        if not await historian.is_written(read):
            return ""
        readings = await historian.readings(read)
    except DriverAway as fault:
        return f"{read.tag_id}: {fault}"
    shown = await asyncio.to_thread(evidence, readings, read.question)
    is_late = not kit.broker.is_connected
    command = wire.ReportEvidence.of(historian.connector_id, read, shown, is_late=is_late)
    await kit.door.run(use_cases.report_evidence, command)
    health.last_record_time = clock.now()
    return ""


async def _back_off(health: Health, fault: str, failures: int) -> int:
    pause = PAUSES[min(failures, len(PAUSES) - 1)]
    if health.is_connected or not failures:
        log.warning("connector away", connector=health.connector_id, fault=fault, seconds=pause)
    health.is_connected, health.last_error = False, fault
    await asyncio.sleep(pause)
    return failures + 1


def loops(kit: Kit, connectors: Connectors) -> list[Awaitable[None]]:
    """The bridge's own tasks."""
    found: list[Awaitable[None]] = [follow_mes(kit, connectors.mes, connectors.health[connectors.mes.connector_id])]
    if connectors.line is not None:
        found.append(follow_line(kit, connectors.line, connectors.health[connectors.line.connector_id]))
    laboratory, historian = connectors.laboratory, connectors.historian
    if laboratory is not None:
        found.append(follow_laboratory(kit, laboratory, connectors.health[laboratory.connector_id]))
    if historian is not None:
        found.append(ask_historian(kit, historian, connectors.health[historian.connector_id]))
    if connectors.machines is not None and connectors.signals is not None:
        machines, health = connectors.machines, connectors.health[connectors.machines.connector_id]
        telemetry = Telemetry(kit.broker, kit.settings.plant_id, TelemetryRules.load(kit.settings.streams_file))
        connectors.telemetry = telemetry
        found += [follow_machines(kit, machines, connectors.signals, health, telemetry), telemetry.serve()]
    return found
