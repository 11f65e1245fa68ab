"""A machine as the bridge has said it: counters that roll over or begin anew lose nothing that the device said. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal


class MachineState(enum.Enum):
    UNKNOWN = ""
    IDLE = "idle"
    RUNNING = "running"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Stand:
    """What the two counters of a device show: seconds and cycles, as raw as they are."""

    runtime: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Advance:
    """How far counters went within one epoch."""

    epoch: int
    begin: Stand
    end: Stand


@dataclass(frozen=True, slots=True)
class Look:
    """What a machine's device said at one moment. A measure that is None was of bad quality."""

    asset_id: str
    state: MachineState
    fault_code: int
    stand: Stand
    measures: Mapping[str, Decimal | None]
    source_time: datetime
    is_uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What was said of an asset last. `stand` is None before its counters were first seen."""

    asset_id: str
    state: MachineState = MachineState.UNKNOWN
    fault_code: int = 0
    counter_epoch: int = 0
    stand: Stand | None = None
    measures: Mapping[str, Decimal] = field(default_factory=dict)  # latest value that was said, by measure

    def counted(self, seen: Stand, now: Stand, modulus: int) -> tuple[Machine, list[Advance]]:
        """The counters stand at `now`; `seen` is the stand that we looked at before, said or not.

        A counter below what was seen begins a new epoch for both. Near its modulus it rolled over, and ran to the end of the
        old epoch; else the device was reset, and ran to what was seen.
        """
        if self.stand is None:
            return replace(self, stand=now), []
        if now.runtime >= seen.runtime and now.cycles >= seen.cycles:
            advance = Advance(self.counter_epoch, self.stand, now)
            return replace(self, stand=now), [advance] if now != self.stand else []
        last = Stand(_end(seen.runtime, now.runtime, modulus), _end(seen.cycles, now.cycles, modulus))
        begin = Stand(_begin(seen.runtime, now.runtime), _begin(seen.cycles, now.cycles))
        told = [Advance(self.counter_epoch, self.stand, last), Advance(self.counter_epoch + 1, begin, now)]
        after = replace(self, counter_epoch=self.counter_epoch + 1, stand=now)
        return after, [advance for advance in told if advance.begin != advance.end]


def _end(seen: int, now: int, modulus: int) -> int:
    """Where a counter's old epoch ended."""
    if now >= seen:
        return now
    is_roll_over = modulus > 0 and seen >= modulus - modulus // 4 and now < modulus // 4
    return modulus if is_roll_over else seen


def _begin(seen: int, now: int) -> int:
    """Where its new one begins: a counter that went on belongs to the old epoch up to here."""
    return now if now >= seen else 0
