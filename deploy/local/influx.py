"""A real historian: InfluxDB 1.6 of the distribution, unpacked beside our own files, so that nobody needs to be root."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.local.debian import program
from deploy.local.processes import DidNotStart

START_SECONDS = 30.0
CONFIGURATION = """\
reporting-disabled = true
bind-address = "127.0.0.1:{backup_port}"
[meta]
  dir = "{home}/meta"
[data]
  dir = "{home}/data"
  wal-dir = "{home}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


def binary() -> Path:
    """The installed `influxd`, else the package's own, fetched and unpacked once. Raises PackageAbsent."""
    return program(
        "influxd",
        "influxdb",
        "`make demo SCENARIO=1` and `ISTHMUS_PLANTS=aachen,brno make up` have no historian, ALLOW_SKIP=influxdb leaves out its "
        "tests",
    )


class Influx:
    """One server on loopback, its files in `home`. `backup_port` is a second port that it always opens."""

    def __init__(self, home: Path, port: int, backup_port: int) -> None:
        self.home, self.port, self._backup_port = home, port, backup_port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What runs it, with its configuration written."""
        self.home.mkdir(parents=True, exist_ok=True)
        file = self.home / "influxdb.conf"
        file.write_text(CONFIGURATION.format(home=self.home, port=self.port, backup_port=self._backup_port))
        return [str(binary()), "-config", str(file)]

    def start(self) -> None:
        """Start and wait until it answers."""
        command = self.command()
        with (self.home / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"influxd did not start: {(self.home / 'influxd.log').read_text()[-500:]}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=1) as answer:  # noqa: S310 - loopback
                return answer.status == 204
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
