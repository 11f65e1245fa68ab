"""What docker-compose.yml and deploy/Dockerfile say, read as a container engine reads them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$\{(\w+)\}")
Container = Mapping[str, Any]


def variables() -> dict[str, str]:
    """What .env says."""
    lines = (ROOT / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose() -> dict[str, Any]:
    """The compose file, with .env put in. Raises KeyError for a variable that is not in .env."""
    told = variables()
    text = VARIABLE.sub(lambda found: told[found[1]], (ROOT / "docker-compose.yml").read_text())
    return dict(yaml.safe_load(text))


def service_of(container: Container) -> str:
    """The package that a container of ours runs; empty for any other."""
    return str(container.get("build", {}).get("args", {}).get("SERVICE", ""))


def ours() -> dict[str, Container]:
    """Our containers, by name."""
    return {name: found for name, found in compose()["services"].items() if service_of(found)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """The Dockerfile's last stage for one service, and the lock that its environment is made from."""

    lock: str
    copies: list[tuple[str, str]]  # from the context, to the working directory
    environment: dict[str, str]
    user: str
    health: str
    command: list[str]


def recipe(service: str) -> Recipe:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    start = max(number for number, (word, _) in enumerate(lines) if word == "FROM")
    told = dict(argument.split("=", 1) for word, argument in lines if word == "ARG" and "=" in argument)
    told["SERVICE"] = service
    last = [(word, VARIABLE.sub(lambda found: told[found[1]], rest)) for word, rest in lines[start:]]
    locks = [found for word, rest in lines[:start] if word == "COPY" for found in re.findall(r"\S+\.lock", rest)]
    assert len(locks) == 1, locks
    pairs = [rest.split() for word, rest in last if word == "COPY" and "--from" not in rest]
    return Recipe(
        lock=locks[0],
        copies=[(source, target) for source, target in pairs],
        environment=dict(part.split("=", 1) for word, rest in last if word == "ENV" for part in rest.split()),
        user=next(rest for word, rest in last if word == "USER"),
        health=next(rest for word, rest in last if word == "HEALTHCHECK"),
        command=json.loads(next(rest for word, rest in last if word == "CMD")),
    )


def build(service: str, folder: Path) -> None:
    """The image's working directory: exactly what the recipe copies, and nothing else."""
    for source, target in recipe(service).copies:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / source, folder / target)
