"""Where a line's values live: our words by node address, as data, checked at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.edge_bridge.domain.station import StationState

WORDS = ("state", "good", "scrap", "cycle_ms", "fault", "order", "operation")


@dataclass(frozen=True, slots=True)
class TagMap:
    """`path` names a node with {i} namespace index, {n} station number, {tag}; by browse path or by string node id."""

    namespace: str
    is_browse_path: bool
    path: str
    station_id: str
    tags: Mapping[str, str]
    states: Mapping[str, StationState]

    def __post_init__(self) -> None:
        missing = [word for word in WORDS if word not in self.tags]
        if missing:
            raise ValueError(f"tag map of {self.namespace} lacks {missing}")


TAG_MAPS = {
    "stations": TagMap(
        namespace="urn:line:stations",
        is_browse_path=True,
        path="0:Objects/{i}:Line1/{i}:Stations/{i}:ST{n}0/{i}:{tag}",
        station_id="ST{n}0",
        tags={
            "state": "State",
            "good": "GoodCount",
            "scrap": "ScrapCount",
            "cycle_ms": "CycleTimeMs",
            "fault": "FaultCode",
            "order": "ActiveOrder",
            "operation": "ActiveOperation",
        },
        states={"0": StationState.IDLE, "1": StationState.RUNNING, "2": StationState.FAULT},
    ),
    "cells": TagMap(
        namespace="urn:line:cells",
        is_browse_path=False,
        path="ns={i};s=PLC.Cell{n}.{tag}",
        station_id="Cell{n}",
        tags={
            "state": "stav",
            "good": "cntOK",
            "scrap": "cntNOK",
            "cycle_ms": "takt",
            "fault": "chyba",
            "order": "zakazka",
            "operation": "operace",
        },
        states={"STOJI": StationState.IDLE, "BEZI": StationState.RUNNING, "PORUCHA": StationState.FAULT},
    ),
}
