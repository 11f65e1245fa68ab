"""A line of a plant: blocked while an asset that stops it is down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Block:
    """Why a line can't work; `block_id` is the downtime's id."""

    block_id: str
    asset_id: str
    fault_code: int
    start_time: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """`changes` counts what blocks it and what does not any more; `told`: up to where its orders were told."""

    plant_id: str
    line_id: str
    blocks: tuple[Block, ...] = ()
    changes: int = 0
    told: int = 0

    @property
    def is_blocked(self) -> bool:
        return bool(self.blocks)

    def blocked(self, block: Block) -> Line:
        """The same block twice is one."""
        if any(known.block_id == block.block_id for known in self.blocks):
            return self
        blocks = tuple(sorted([*self.blocks, block], key=lambda b: (b.start_time, b.block_id)))
        return replace(self, blocks=blocks, changes=self.changes + 1)

    def freed(self, block_id: str) -> Line:
        left = tuple(block for block in self.blocks if block.block_id != block_id)
        return replace(self, blocks=left, changes=self.changes + 1) if left != self.blocks else self


def hold_reasons(lines: Iterable[Line]) -> list[str]:
    """In plant words, a line each block."""
    return [
        f"line {line.line_id} is blocked since {block.start_time:%Y-%m-%d %H:%M} UTC: {block.asset_id} is down"
        + (f", fault {block.fault_code}" if block.fault_code else "")
        for line in sorted(lines, key=lambda one: one.line_id)
        for block in line.blocks
    ]
