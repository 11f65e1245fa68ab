"""A private, real nats-server: JetStream on disk, every write synced; it can be killed, wiped and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port


class Broker:
    def __init__(self, home: Path, sync_interval: str = "always", max_file: str = "1T") -> None:
        self.home, self.port = home, free_port()
        self._sync, self._max_file = sync_interval, max_file
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        configuration = self.home / "nats.conf"
        configuration.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.home / "js"}", max_file: {self._max_file}, '
            f"sync_interval: {self._sync} }}\n"
        )
        log = (self.home / "nats.log").open("ab")
        binary = Path(sys.executable).parent / "nats-server"
        self._process = subprocess.Popen([str(binary), "-c", str(configuration)], stdout=log, stderr=log)
        deadline = time.monotonic() + 15
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.home / "nats.log").read_text()[-1000:])

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It is there and says nothing, until the end of the block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """The whole store is gone, as with a lost disk."""
        shutil.rmtree(self.home / "js", ignore_errors=True)
