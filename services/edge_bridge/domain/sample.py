"""A sample that the laboratory took in, by its own number: the only name under which it reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """Kept so that results stand in their order's trace. One that we don't know may be told all the same: quality knows."""

    sample_number: str
    inspection_id: str
    traceparent: str
