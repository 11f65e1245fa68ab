"""What changes something in maintenance: per verb what to load, and a pure decision. The kit saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from isthmus.maintenance.v1 import maintenance_events_pb2 as events
from isthmus.maintenance.v1 import maintenance_service_pb2 as messages
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.maintenance import wire
from services.maintenance.domain import asset as assets
from services.maintenance.domain import condition, work_request
from services.maintenance.domain.asset import Asset, MachineState
from services.maintenance.domain.condition import ConditionRule, Sight, Watch
from services.maintenance.domain.work_request import WorkRequest, WorkRequestMissing
from services.maintenance.store import ASSETS, CONDITION_RULES, DOWNTIMES, WATCHES, WORK_REQUESTS

Loads = list[Key[Any] | Owned[Any]]


# --- assets and rules


def decide_asset(seen: Seen, command: wire.RecordAsset, now: datetime) -> Decision:
    """Keep an asset as its owner has it now; what its machine said stays."""
    said = command.asset
    known = seen.get(ASSETS.key(said.plant_id, said.asset_id))
    after = known.recorded(said) if known is not None else said
    if after == known:
        return Decision(answer=messages.RecordAssetResponse(asset=wire.asset_message(after)))
    after = replace(after, version=known.version + 1) if known is not None else after
    told = wire.asset_message(after)
    fact = wire.asset_fact(events.AssetChanged(asset=told), said.plant_id, said.asset_id, now, command.business_key)
    return Decision(changed=[after], facts=[fact], answer=messages.RecordAssetResponse(asset=told))


record_asset = UseCase(
    name="record_asset",
    loads=lambda c, seen: [ASSETS.key(c.asset.plant_id, c.asset.asset_id)],
    decide=decide_asset,
    fingerprint=Fingerprint.of("asset"),
    answers=messages.RecordAssetResponse,
)


def decide_rule(seen: Seen, command: wire.RecordConditionRule, now: datetime) -> Decision:
    """Keep a condition rule; one that asks for something else than before begins to watch anew."""
    said = command.condition_rule
    asset = seen.one(ASSETS.key(said.plant_id, said.asset_id))
    said.check()
    known = seen.get(CONDITION_RULES.key(said.plant_id, said.condition_rule_id))
    after = replace(said, revision=known.revision) if known is not None else said
    if after == known:
        return Decision(answer=messages.RecordConditionRuleResponse(condition_rule=wire.rule_message(after)))
    after = replace(said, revision=known.revision + 1) if known is not None else said
    changed: list[object] = [after]
    if known is None or (known.condition, known.asset_id) != (after.condition, after.asset_id):
        changed.append(_watch_anew(seen, after, asset))
    told = wire.rule_message(after)
    data = events.ConditionRuleReleased(condition_rule=told)
    fact = wire.asset_fact(data, said.plant_id, said.asset_id, now, command.business_key)
    answer = messages.RecordConditionRuleResponse(condition_rule=told)
    return Decision(changed=changed, facts=[fact], answer=answer)


def _watch_anew(seen: Seen, rule: ConditionRule, asset: Asset) -> Watch:
    """Its count goes on, so that no request gets an id twice; a request that is open stays the rule's."""
    known = seen.get(WATCHES.key(rule.plant_id, rule.condition_rule_id))
    watch = Watch(rule.plant_id, rule.condition_rule_id, asset.asset_id, since_runtime=asset.runtime_seconds)
    if known is None:
        return watch
    return replace(watch, request_count=known.request_count, open_request_id=known.open_request_id)


record_condition_rule = UseCase(
    name="record_condition_rule",
    loads=lambda c, seen: [
        ASSETS.key(c.condition_rule.plant_id, c.condition_rule.asset_id),
        CONDITION_RULES.key(c.condition_rule.plant_id, c.condition_rule.condition_rule_id),
        WATCHES.key(c.condition_rule.plant_id, c.condition_rule.condition_rule_id),
    ],
    decide=decide_rule,
    fingerprint=Fingerprint.of("condition_rule"),
    answers=messages.RecordConditionRuleResponse,
)


# --- what machines say


def decide_state(seen: Seen, command: wire.ReportState, now: datetime) -> Decision:
    """A machine's state changed; a time in which it was down begins or ends."""
    asset = seen.one(ASSETS.key(command.plant_id, command.asset_id))
    assets.require_plausible(command.asset_id, command.occur_time, now)
    change = assets.change_state(
        asset, command.state, command.fault_code, command.occur_time, is_uncertain=command.is_uncertain
    )
    if change is None:
        return Decision(moot="nothing new, older than known, or not sure")
    changed: list[object] = [change.asset]
    facts: list[Fact] = []
    if change.started is not None:
        changed.append(change.started)
        data: Any = events.DowntimeStarted(downtime=wire.downtime_message(change.started))
        facts.append(wire.asset_fact(data, command.plant_id, command.asset_id, command.occur_time))
    down = seen.get(_downtime_key(asset)) if change.is_ended else None
    if down is not None:
        ended = replace(down, end_time=command.occur_time)
        changed.append(ended)
        data = events.DowntimeRecorded(downtime=wire.downtime_message(ended))
        facts.append(wire.asset_fact(data, command.plant_id, command.asset_id, command.occur_time))
    return Decision(changed=changed, facts=facts)


def _downtime_key(asset: Asset) -> Key[Any]:
    assert asset.state_time is not None, "an asset that is down is so since some time"
    return DOWNTIMES.key(asset.plant_id, assets.downtime_id(asset.asset_id, asset.state_time))


def _state_loads(command: wire.ReportState, seen: Seen) -> Loads:
    key = ASSETS.key(command.plant_id, command.asset_id)
    asset = seen.get(key)
    new = DOWNTIMES.key(command.plant_id, assets.downtime_id(command.asset_id, command.occur_time))
    is_down = asset is not None and asset.state is MachineState.DOWN
    return [key, new, *([_downtime_key(asset)] if asset is not None and is_down else [])]


report_state = UseCase(name="report_state", loads=_state_loads, decide=decide_state)


def decide_runtime(seen: Seen, command: wire.CountRuntime, now: datetime) -> Decision:
    """A machine ran on: what is new counts, and rules by runtime may ask for work."""
    asset = seen.one(ASSETS.key(command.plant_id, command.asset_id))
    assets.require_plausible(command.asset_id, command.occur_time, now)
    after = asset.counted(command.counters)
    if after == asset:
        return Decision(moot="counted before")
    told = _look(
        seen, after, command.occur_time, lambda rule, watch: condition.see_runtime(rule, watch, after.runtime_seconds)
    )
    return Decision(changed=[after, *told.changed], facts=told.facts)


def decide_measurement(seen: Seen, command: wire.WatchMeasurement, now: datetime) -> Decision:
    """A measurement's window: thresholds and trends may ask for work."""
    asset = seen.one(ASSETS.key(command.plant_id, command.asset_id))
    at = command.window.end_time
    assets.require_plausible(command.asset_id, at, now)
    return _look(seen, asset, at, lambda rule, watch: condition.see_window(rule, watch, command.window))


def decide_faults(seen: Seen, command: wire.CountFaults, now: datetime) -> Decision:
    """Faults came: rules by frequency may ask for work."""
    asset = seen.one(ASSETS.key(command.plant_id, command.asset_id))
    at = command.occur_time
    assets.require_plausible(command.asset_id, at, now)
    return _look(
        seen,
        asset,
        at,
        lambda rule, watch: condition.see_faults(rule, watch, command.fault_code, command.fault_count, at),
    )


def _look(seen: Seen, asset: Asset, at: datetime, see: Callable[[ConditionRule, Watch], Sight]) -> Decision:
    """Let every rule of the asset look: one open request a rule, in which what repeats is counted."""
    changed: list[object] = []
    facts: list[Fact] = []
    for rule in seen.all(CONDITION_RULES.of(asset.plant_id, asset.asset_id)):
        before = seen.get(WATCHES.key(rule.plant_id, rule.condition_rule_id))
        if rule.is_retired or before is None:
            continue
        known = seen.get(WORK_REQUESTS.key(before.open_request_id)) if before.open_request_id else None
        watch, request, is_new = work_request.ask(rule, asset, see(rule, before), known, at)
        changed += [watch] if watch != before else []
        if request is not None:
            changed.append(request)
            facts += wire.request_facts(request, at) if is_new else []
    return Decision(changed=changed, facts=facts) if changed else Decision(moot="no rule sees anything in it")


def _look_loads(command: Any, seen: Seen) -> Loads:
    rules = CONDITION_RULES.of(command.plant_id, command.asset_id)
    wanted: Loads = [ASSETS.key(command.plant_id, command.asset_id), rules]
    for rule in seen.all(rules):
        key = WATCHES.key(rule.plant_id, rule.condition_rule_id)
        watch = seen.get(key)
        wanted.append(key)
        if watch is not None:
            wanted.append(WORK_REQUESTS.key(work_request.request_id(rule, watch.request_count + 1)))
            wanted += [WORK_REQUESTS.key(watch.open_request_id)] if watch.open_request_id else []
    return wanted


count_runtime = UseCase(name="count_runtime", loads=_look_loads, decide=decide_runtime, is_traced=False)
watch_measurement = UseCase(name="watch_measurement", loads=_look_loads, decide=decide_measurement, is_traced=False)
count_faults = UseCase(name="count_faults", loads=_look_loads, decide=decide_faults, is_traced=False)


# --- work requests


def decide_open(seen: Seen, command: wire.OpenWorkRequest, now: datetime) -> Decision:
    """A person asks for work."""
    asset = seen.one(ASSETS.key(command.plant_id, command.asset_id))
    opened = WorkRequest(
        _by_hand(command),
        command.plant_id,
        command.asset_id,
        asset.line_id,
        "",
        command.problem,
        command.priority,
        f"asked by {command.business_key.source_system}",
        1,
        now,
        now,
        None,
        command.spare_parts,
        asset.cost_centre_id,
        asset.cmms_asset_number,
    )
    answer = messages.OpenWorkRequestResponse(work_request=wire.request_message(opened))
    return Decision(changed=[opened], facts=wire.request_facts(opened, now, command.business_key), answer=answer)


def _by_hand(command: wire.OpenWorkRequest) -> str:
    return work_request.id_by_hand(command.plant_id, command.asset_id, command.business_key)


open_work_request = UseCase(
    name="open_work_request",
    loads=lambda c, seen: [ASSETS.key(c.plant_id, c.asset_id), WORK_REQUESTS.key(_by_hand(c))],
    decide=decide_open,
    fingerprint=Fingerprint.of("plant_id", "asset_id", "problem", "priority", "spare_parts"),
    answers=messages.OpenWorkRequestResponse,
)


def decide_complete(seen: Seen, command: wire.CompleteWorkRequest, now: datetime) -> Decision:
    """The work is done: the rule that asked for it is armed again."""
    known = seen.one(WORK_REQUESTS.key(command.work_request_id))
    if known.plant_id != command.plant_id:
        raise WorkRequestMissing(work_request_id=command.work_request_id)
    assets.require_plausible(known.asset_id, command.occur_time, now)
    done = known.completed()
    changed: list[object] = [done]
    watch = seen.get(WATCHES.key(known.plant_id, known.condition_rule_id))
    asset = seen.get(ASSETS.key(known.plant_id, known.asset_id))
    if watch is not None and asset is not None and watch.open_request_id == done.work_request_id:
        changed.append(watch.armed(asset.runtime_seconds))
    told = wire.request_message(done)
    data = events.WorkRequestCompleted(work_request=told)
    fact = wire.asset_fact(data, known.plant_id, known.asset_id, command.occur_time, command.business_key)
    return Decision(changed=changed, facts=[fact], answer=messages.CompleteWorkRequestResponse(work_request=told))


def _complete_loads(command: wire.CompleteWorkRequest, seen: Seen) -> Loads:
    key = WORK_REQUESTS.key(command.work_request_id)
    known = seen.get(key)
    if known is None:
        return [key]
    rule = WATCHES.key(known.plant_id, known.condition_rule_id)
    return [key, ASSETS.key(known.plant_id, known.asset_id), rule]


complete_work_request = UseCase(
    name="complete_work_request",
    loads=_complete_loads,
    decide=decide_complete,
    fingerprint=Fingerprint.of("plant_id", "work_request_id", "occur_time"),
    answers=messages.CompleteWorkRequestResponse,
)


def decide_accept(seen: Seen, command: wire.AcceptWorkRequest, now: datetime) -> Decision:
    """The CMMS has a request, under its own number."""
    known = seen.get(WORK_REQUESTS.key(command.work_request_id))
    after = known.accepted(command.cmms_request_number) if known is not None else None
    if after is None:
        return Decision(moot="no request of ours, or known already")
    data = events.WorkRequestAccepted(work_request=wire.request_message(after))
    return Decision(changed=[after], facts=[wire.asset_fact(data, after.plant_id, after.asset_id, now)])


accept_work_request = UseCase(
    name="accept_work_request",
    loads=lambda c, seen: [WORK_REQUESTS.key(c.work_request_id)],
    decide=decide_accept,
)
