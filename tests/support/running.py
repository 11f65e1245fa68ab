"""Services of ours as real processes, with a broker and databases of their own."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.processes import health
from tests.support.broker import Broker
from tests.support.eventually import eventually
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("master_data", "production", "inventory", "quality", "maintenance", "gateway")
PARTNERS = ("qms", "cmms")
EQUIPMENT = ("EQ-100", "EQ-200")


class Hub:
    """The hub's services, one process each; a replica is named like "production.2" and shares the database of the first."""

    def __init__(
        self,
        home: Path,
        database_url: Callable[[str], str],
        plants: str = "aachen,brno",
        broker: Broker | None = None,
    ) -> None:
        self.home, self.plants = home, plants
        self.broker = broker or Broker(home / "broker")
        self.ports = {name: free_port() for name in (*NAMES, *PARTNERS, "webhooks")}
        self.urls = {name: database_url(name) for name in NAMES}
        self.webhook_secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
        self.partner_key = secrets.token_urlsafe(16)
        self.erps: dict[str, dict[str, str]] = {}  # by plant, as the gateway is told
        self.more: dict[str, dict[str, str]] = {}  # environment of a service beside the usual
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    def _environment(self, replica: str) -> dict[str, str]:
        name = replica.split(".", maxsplit=1)[0]
        secret, key = self._secrets()
        settings = {
            "DATABASE_URL": self.urls[name],
            "NATS_URL": self.broker.url,
            "LISTEN": self.address(replica),
            "PLANTS": self.plants,
            "STREAMS_FILE": str(ROOT / "deploy" / "nats" / "streams.yaml"),
        }
        if name == "gateway":
            settings |= {
                "MASTER_DATA": self.address("master_data"),
                "PRODUCTION": self.address("production"),
                "INVENTORY": self.address("inventory"),
                "ERPS": json.dumps(self.erps),
                "QUALITY": self.address("quality"),
                "MAINTENANCE": self.address("maintenance"),
                "QMS_URL": f"http://{self.address('qms')}",
                "QMS_API_KEY_FILE": str(key),
                "CMMS_URL": f"http://{self.address('cmms')}",
                "CMMS_API_KEY_FILE": str(key),
                "WEBHOOK_LISTEN": self.address("webhooks"),
                "WEBHOOK_SECRET_FILE": str(secret),
            }
        return {f"{name.upper()}_{key}": value for key, value in settings.items()}

    def _secrets(self) -> tuple[Path, Path]:
        secret, key = self.home / "webhook_secret", self.home / "partner_key"
        secret.write_text(self.webhook_secret)
        key.write_text(self.partner_key)
        return secret, key

    def start_partner(self, name: str) -> None:
        """A partner's simulator; it keeps what it was told when it is killed."""
        secret, key = self._secrets()
        command = [sys.executable, "-m", f"simulators.{name}", "--port", str(self.ports[name])]
        command += ["--state", str(self.home / name), "--api-key-file", str(key)]
        if name == "qms":
            command += ["--webhook-url", f"http://{self.address('webhooks')}/webhooks/qms"]
            command += ["--webhook-secret-file", str(secret)]
        else:
            command += ["--equipment", *EQUIPMENT]
        log = (self.home / f"{name}.log").open("ab")
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "libs")}
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)

    def start(self, name: str, module: str = "") -> None:
        """Start a service, or what stands for it."""
        self.ports.setdefault(name, free_port())
        log = (self.home / f"{name}.log").open("ab")
        roots = os.pathsep.join(str(ROOT / part) for part in (".", "libs", "libs/contracts"))
        environment = {**os.environ, **self._environment(name), **self.more.get(name, {}), "PYTHONPATH": roots}
        command = [sys.executable, "-m", module or f"services.{name.split('.', maxsplit=1)[0]}"]
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)

    def wait_ready(self, *names: str) -> None:
        async def ready() -> None:
            for name in names:
                await eventually(health(self.ports[name]), within=60)

        asyncio.run(ready())

    def kill(self, name: str) -> None:
        """kill -9."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        self.stop_services()
        self.broker.kill()

    def stop_services(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            process.wait(60)

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")


@contextmanager
def running_hub(home: Path, database_url: Callable[[str], str]) -> Iterator[Hub]:
    hub = Hub(home, database_url)
    hub.broker.start()
    try:
        for partner in PARTNERS:
            hub.start_partner(partner)
        for name in NAMES:
            hub.start(name)
        hub.wait_ready(*NAMES)
        yield hub
    finally:
        hub.stop()
