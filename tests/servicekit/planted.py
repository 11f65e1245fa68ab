"""Bugs, planted by patching the kit: each takes one guard away. A harness that lets one of them through is blind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest import MonkeyPatch  # noqa: PT013 - a type, not a fixture
BUGS: Sequence[Callable[[MonkeyPatch], None]] = ()
