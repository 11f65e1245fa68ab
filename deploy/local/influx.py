"""A real historian: InfluxDB 1.6 of the distribution, unpacked beside our own files, so that nobody needs to be root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.local.ports import ROOT

UNPACKED = ROOT / "var" / "tools" / "influxdb"
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


class InfluxAbsent(Exception):
    """No InfluxDB here, and the distribution's package could not be fetched; the text says what to do."""


def binary() -> Path:
    """The installed `influxd`, else the package's own, fetched and unpacked once. Raises InfluxAbsent."""
    installed = shutil.which("influxd")
    if installed:
        return Path(installed)
    unpacked = UNPACKED / "usr" / "bin" / "influxd"
    if not unpacked.exists():
        _unpack()
    return unpacked


def _unpack() -> None:
    """Fetch and unpack aside, then put in place: two processes at once do not meet."""
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent) as place:
        package = _fetch(Path(place))
        done = _run(["dpkg", "-x", str(package), f"{place}/files"], Path(place))
        if done.returncode:
            raise InfluxAbsent(f"{package.name} can't be unpacked: {done.stderr.strip()[-300:]}")
        try:
            (Path(place) / "files").rename(UNPACKED)
        except OSError:
            if not UNPACKED.exists():
                raise


def _fetch(place: Path) -> Path:
    steps = [["apt-get", "download", "-q", "influxdb"]]
    if os.getuid() == 0:  # package lists may be absent, and only root may get them
        steps += [["apt-get", "update", "-q"], steps[0]]
    said = ""
    for step in steps:
        said = _run(step, place).stderr.strip() or said
        found = sorted(place.glob("influxdb_*.deb"))
        if found:
            return found[-1]
    raise InfluxAbsent(
        "InfluxDB is not installed, and `apt-get download influxdb` failed. Install it (apt-get install influxdb), run "
        "`apt-get update` as root and try again, or do without: `make demo SCENARIO=1` and `ISTHMUS_PLANTS=aachen,brno make "
        f"up` have no historian, ALLOW_SKIP=influxdb leaves out its tests. apt said: {said[-300:]}"
    )


def _run(command: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=place, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


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
                raise InfluxAbsent(f"influxd did not start: {(self.home / 'influxd.log').read_text()[-500:]}")
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
