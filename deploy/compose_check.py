"""Fails when docker-compose.yml is not valid: asks docker-compose itself, which needs no engine for that."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from deploy.local.debian import PackageAbsent, installed

ROOT = Path(__file__).resolve().parents[1]


def compose() -> list[str] | None:
    """The command, the packaged one or Docker's plugin; None: there is none."""
    if found := shutil.which("docker-compose"):
        return [found]
    plugin = ["docker", "compose"]
    has_plugin = (
        shutil.which("docker") and not subprocess.run([*plugin, "version"], check=False, capture_output=True).returncode
    )
    return plugin if has_plugin else None


def main() -> int:
    try:
        command = installed(compose, "docker-compose", "run the lint as root")
    except PackageAbsent as absent:
        print(absent)
        return 1
    done = subprocess.run([*command, "config", "-q"], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode or done.stderr.strip():  # a variable that .env does not have is only a warning there
        print(f"docker-compose.yml: {done.stderr.strip()}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
