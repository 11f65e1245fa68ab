"""The fenced code blocks of READMEs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = (
    "README.md",
    "CONTRIBUTING.md",
    "deploy/README.md",
    "services/*/README.md",
    "libs/*/README.md",
    "protos/README.md",
    "tests/*/README.md",
)
PROGRAMS = r"(?:make|git|cd|docker|kubectl|pip|uv|curl|python3?|isthmus|buf|\.venv/bin/\S+|\./\S+)"
COMMAND = re.compile(rf"^\s*(?:\$ )?((?:sudo )?(?:[A-Z_]+=\S+ )*{PROGRAMS}(?: .*|$))")


def readmes() -> list[Path]:
    return sorted(path for pattern in FILES for path in ROOT.glob(pattern))


def blocks(path: Path, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(path.read_text()) if name == language]


def commands(path: Path) -> list[str]:
    """What a reader would type: without prompt and comment, spaces as one."""
    found = []
    for name, text in BLOCK.findall(path.read_text()):
        if name in ("", "sh", "bash", "shell", "console"):
            lines = (COMMAND.match(line) for line in text.splitlines())
            found += [" ".join(line[1].split(" #")[0].split()) for line in lines if line]
    return found
