"""Fails when docker-compose.yml is not valid: asks docker-compose itself, which needs no engine for that."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ABSENT = "docker-compose is not installed. Install it (apt-get install docker-compose), or run the lint as root."


def compose() -> list[str]:
    """The command, the packaged one or Docker's plugin; as root it is installed where it is missing. Empty: there is none."""
    for is_last in (False, True):
        if found := shutil.which("docker-compose"):
            return [found]
        plugin = ["docker", "compose"]
        if (
            shutil.which("docker")
            and subprocess.run([*plugin, "version"], check=False, capture_output=True).returncode == 0
        ):
            return plugin
        if is_last or os.getuid() != 0 or not shutil.which("apt-get"):
            break
        for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "docker-compose"]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *words], check=False, env=environment, capture_output=True)
    return []


def main() -> int:
    command = compose()
    if not command:
        print(ABSENT)
        return 1
    done = subprocess.run([*command, "config", "-q"], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode or done.stderr.strip():  # a variable that .env does not have is only a warning there
        print(f"docker-compose.yml: {done.stderr.strip()}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
